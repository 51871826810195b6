//! An upstream that wants a password, or has several databases; where the proxy is told of them,
//! and that nobody else is.

use crate::support::fake::Fake;
use crate::support::guards::OwnFile;
use crate::support::process::{Process, proxy};
use crate::support::redis_server::Redis;
use crate::support::resp::resp_request;
use crate::support::tools::{connected_proxy, start_in_shell, stat, wait_until};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

const PROXY: &str = env!("CARGO_BIN_EXE_proxy");
const UNAVAILABLE: &str = "ERR upstream unavailable";
const SECRET: &str = "s3cret pass:word";

fn proxy_with_file(upstream: SocketAddr, file: &OwnFile) -> Process {
    proxy(upstream, &["--upstream-auth-file", file.path()])
}

/// A proxy whose environment has these variables, as the shell assigns them.
fn proxy_with_environment(variables: &str, upstream: SocketAddr, flags: &[&str]) -> Process {
    let upstream = upstream.to_string();
    let flags = [&["--listen", "127.0.0.1:0", "--upstream", &upstream], flags].concat();
    start_in_shell(variables, PROXY, &flags, 1)
}

/// It serves once it has connected so often, and what it must not tell is in none of the places
/// where others look.
#[track_caller]
fn check_serves(proxy: &Process, connects: u64) {
    let mut client = proxy.client();
    wait_until("it is let in", || {
        stat(&mut client, "upstream_connects") >= connects && stat(&mut client, "upstream_up") == 1
    });
    assert_eq!(client.ask("SET k v"), "OK");
    assert_eq!(client.ask("GET k"), "v");
    check_silence(proxy);
}

#[track_caller]
fn check_silence(proxy: &Process) {
    let mut client = proxy.client();
    client.send("STATS\r\nHELP\r\n");
    for words in ["CONFIG GET *", "INFO", "CLIENT INFO", "CLIENT LIST"] {
        let words: Vec<_> = words.split(' ').collect();
        client.send(resp_request(&words));
    }
    client.send("BYE\r\n");
    let mut told = String::from_utf8(client.until_eof()).expect("text");
    told += &proxy.log();
    let arguments = fs::read(format!("/proc/{}/cmdline", proxy.id())).expect("it runs");
    told += &String::from_utf8_lossy(&arguments);
    assert!(told.contains("upstream_up") && told.contains("maxclients"), "{told}");
    assert!(!told.contains("s3cret"), "{told}");
}

fn redis_with_password() -> Redis {
    let redis = Redis::start(&[]);
    redis.tell(&format!("CONFIG SET requirepass \"{SECRET}\""));
    redis
}

#[test]
fn a_password_and_a_user_come_from_a_file_or_the_environment() {
    let redis = redis_with_password();
    let file = OwnFile::new("login-password", &format!("{SECRET}\n"));
    check_serves(&proxy_with_file(redis.address, &file), 1);
    let variable = format!("LARDER_UPSTREAM_PASSWORD='{SECRET}'");
    check_serves(&proxy_with_environment(&variable, redis.address, &[]), 1);
    // The file goes before the environment.
    let flags = ["--upstream-auth-file", file.path()];
    let wrong = "LARDER_UPSTREAM_PASSWORD=wrong";
    check_serves(&proxy_with_environment(wrong, redis.address, &flags), 1);
    redis.tell(&format!("AUTH \"{SECRET}\"\r\nACL SETUSER app on >app-s3cret ~* +@all"));
    file.write("app\napp-s3cret\n");
    check_serves(&proxy_with_file(redis.address, &file), 1);
    let both = "LARDER_UPSTREAM_USER=app LARDER_UPSTREAM_PASSWORD=app-s3cret";
    check_serves(&proxy_with_environment(both, redis.address, &[]), 1);
    file.write("app-s3cret");
    check_serves(&proxy_with_environment("LARDER_UPSTREAM_USER=app", redis.address, &flags), 1);
    // A pipe can be read once only; the connection is made anew all the same.
    let script =
        format!("exec \"$0\" \"$@\" --upstream-auth-file /dev/stdin <<'END'\n{SECRET}\nEND\n");
    let upstream = redis.address.to_string();
    let flags = ["-c", &script, PROXY, "--listen", "127.0.0.1:0", "--upstream", &upstream];
    let proxy = Process::start("sh", &flags, 1);
    check_serves(&proxy, 1);
    redis.tell(&format!("AUTH \"{SECRET}\"\r\nCLIENT KILL TYPE normal SKIPME yes"));
    check_serves(&proxy, 2);
}

#[test]
fn a_wrong_password_is_told_once_and_the_file_is_read_again() {
    let redis = redis_with_password();
    let file = OwnFile::new("login-wrong", "s3cret but wrong\n");
    let proxy = proxy_with_file(redis.address, &file);
    let mut client = proxy.client();
    wait_until("it has been tried often", || stat(&mut client, "upstream_errors") > 6);
    assert_eq!(client.ask("SET k v"), UNAVAILABLE);
    assert_eq!((client.ask("PING"), stat(&mut client, "upstream_up")), ("PONG".to_string(), 0));
    let told = "authentication failed (WRONGPASS)";
    assert_eq!(proxy.log().matches(told).count(), 1, "{}", proxy.log());
    assert!(proxy.log().lines().count() < 8, "{}", proxy.log());
    file.write(&format!("{SECRET}\n"));
    check_serves(&proxy, 1);
    // It is changed on both sides while the proxy runs, and so is the connection.
    redis.tell(&format!("AUTH \"{SECRET}\"\r\nCONFIG SET requirepass \"s3cret too\""));
    file.write("s3cret too");
    let connects = stat(&mut client, "upstream_connects");
    redis.tell("AUTH \"s3cret too\"\r\nCLIENT KILL TYPE normal SKIPME yes");
    check_serves(&proxy, connects + 1);
}

#[test]
fn an_upstream_that_wants_a_password_where_there_is_none_says_how_to_give_it() {
    let redis = redis_with_password();
    let proxy = proxy(redis.address, &[]);
    proxy.wait_for_log("it wants a password: see --upstream-auth-file");
    assert_eq!(proxy.client().ask("GET k"), UNAVAILABLE);
    check_silence(&proxy);
}

#[test]
fn a_file_that_goes_away_is_told_and_one_that_all_can_read_too() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    };
    let redis = redis_with_password();
    let file = OwnFile::new("login-gone", SECRET);
    mode(&file.0, 0o600);
    let proxy = proxy_with_file(redis.address, &file);
    check_serves(&proxy, 1);
    assert!(!proxy.log().contains("can be read by all"), "{}", proxy.log());
    mode(&file.0, 0o644);
    proxy_with_file(redis.address, &file).wait_for_log("can be read by all users of this machine");
    fs::remove_file(&file.0).expect("it is there");
    redis.tell(&format!("AUTH \"{SECRET}\"\r\nCLIENT KILL TYPE normal SKIPME yes"));
    proxy.wait_for_log("No such file");
    let mut client = proxy.client();
    assert_eq!(client.ask("SET k v"), UNAVAILABLE);
    file.write(SECRET);
    check_serves(&proxy, 1);
}

#[test]
fn each_proxy_keeps_to_its_database() {
    let redis = Redis::start(&[]);
    let connect = |database| connected_proxy(redis.address, &["--upstream-db", database]);
    let proxies = ["0", "1", "15"].map(connect);
    for (number, proxy) in proxies.iter().enumerate() {
        let mut client = proxy.client();
        assert_eq!(client.ask("GET k"), "Key not found");
        assert_eq!(client.ask(&format!("SET k {number}")), "OK");
        client.send(
            "*1\r\n$5\r\nMULTI\r\n*3\r\n$6\r\nAPPEND\r\n$1\r\nk\r\n$1\r\n!\r\n*1\r\n$4\r\nEXEC\r\n",
        );
        assert_eq!(client.lines(4), ["+OK", "+QUEUED", "*1", ":2"]);
    }
    redis.tell("CLIENT KILL TYPE normal SKIPME yes");
    for (number, proxy) in proxies.iter().enumerate() {
        let mut client = proxy.client();
        wait_until("it is connected again", || {
            stat(&mut client, "upstream_connects") == 2 && stat(&mut client, "upstream_up") == 1
        });
        assert_eq!(client.ask("GET k"), format!("{number}!"));
        assert_eq!(client.ask("DUMP"), "k");
    }
    let proxy = proxy(redis.address, &["--upstream-db", "16"]);
    proxy.wait_for_log("it does not give database 16: ERR DB index is out of range");
    assert_eq!(proxy.client().ask("SET k v"), UNAVAILABLE, "in no other database either");
}

/// Redis 5, whose errors repeat what it was asked.
#[test]
fn a_redis_without_hello_is_let_in_and_served_and_its_errors_tell_no_password() {
    let fake = Fake::start();
    let file = OwnFile::new("login-five", SECRET);
    let proxy = proxy_with_file(fake.address(), &file);
    let hello = format!("HELLO 3 AUTH default {SECRET}");
    let unknown = format!(
        "-ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `default`, \
         `{SECRET}`, \r\n"
    );
    let greet = |answer: &str| {
        let mut link = fake.accept_in_silence();
        link.expect(&hello);
        link.say(&unknown);
        link.expect(&format!("AUTH {SECRET}"));
        link.say(answer);
        link
    };
    greet("-ERR invalid password\r\n").expect_end();
    greet(&unknown.replace("HELLO", "AUTH")).expect_end();
    let mut link = greet("+OK\r\n");
    link.expect("COMMAND");
    link.say("*0\r\n");
    link.serve(&mut proxy.client(), "k", "v");
    check_silence(&proxy);
    assert_eq!(proxy.log().matches("authentication failed (ERR)").count(), 1);
}
