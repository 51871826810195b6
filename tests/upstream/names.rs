//! An upstream that is known by its name: looked up when it is needed, without anybody waiting.

use crate::support::guards::OwnFile;
use crate::support::process::{Process, server};
use crate::support::strace::start_traced;
use crate::support::tools::{own_loopback, server_at, stat, wait_until};
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PROXY: &str = env!("CARGO_BIN_EXE_proxy");
const UNAVAILABLE: &str = "ERR upstream unavailable";

fn proxy_of(upstream: &str) -> Process {
    Process::start(PROXY, &["--listen", "127.0.0.1:0", "--upstream", upstream], 1)
}

#[test]
fn a_proxy_starts_with_an_upstream_that_has_no_address_or_is_not_there() {
    for (upstream, why) in [
        ("no.such.host.invalid:5000", "its name has no address"),
        ("127.0.0.1:1", "connection refused"),
        ("localhost:1", "connection refused"),
    ] {
        let proxy = proxy_of(upstream);
        proxy.wait_for_log(&format!("upstream {upstream}: no connection: {why}"));
        let mut client = proxy.client();
        wait_until("it has tried more than once", || stat(&mut client, "upstream_errors") > 3);
        assert_eq!(client.ask("GET k"), UNAVAILABLE);
        assert_eq!(client.ask("PING"), "PONG");
        // Another one if the name has addresses that fail in other ways.
        assert!(proxy.log().matches(upstream).count() <= 2, "{}", proxy.log());
        assert!(proxy.terminate().success());
    }
}

/// The system's resolver is held up by `strace`; the loop is not, and the connect has its timeout.
#[test]
fn nobody_waits_for_a_name_that_takes_long() {
    let server = server(&[]);
    let upstream = format!("localhost:{}", server.address().port());
    let inject = "inject=openat:delay_enter=6000000:when=1";
    let held_up = ["-P", "/etc/hosts", "-e", "trace=openat", "-e", inject];
    let flags = ["--listen", "127.0.0.1:0", "--upstream-timeout", "0.7", "--upstream", &upstream];
    let proxy = start_traced(&held_up, PROXY, &flags);
    let (mut client, started) = (proxy.client(), Instant::now());
    assert_eq!(client.ask("GET k"), UNAVAILABLE);
    for _ in 0..20 {
        assert_eq!(client.ask("PING"), "PONG");
    }
    let took = started.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?} for a timeout of 0.7 s");
    assert_eq!(client.ask("SET k v"), UNAVAILABLE);
    let threads = fs::read_dir(format!("/proc/{}/task", proxy.id())).expect("it runs").count();
    // The loop's, the one that touches memory, and the one that writes the log.
    assert!(threads <= 3 + 1, "{threads} threads: one lookup is enough");
    // Each lookup is held up as long; one that ends while an attempt is under way is of use to it.
    wait_until("a lookup has ended", || client.ask("SET k v") == "OK");
}

#[test]
fn a_name_with_several_addresses_is_followed_to_the_one_that_listens() {
    const NAME: &str = "several.larder.test";
    let places = [own_loopback(), own_loopback(), own_loopback()];
    let line = |host: &IpAddr| format!("{host} {NAME}\n");
    // It takes the place of `/etc/hosts` for one process.
    let hosts = OwnFile::new("hosts", &places.iter().map(line).collect::<String>());
    let prelude = format!("mount --bind {} /etc/hosts &&", hosts.path());
    let probe = format!("{prelude} true");
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--map-root-user", "sh", "-c", &probe]).stderr(Stdio::null());
    if !unshare.status().is_ok_and(|status| status.success()) {
        println!("no namespace for mounts here");
        return;
    }
    let first = server_at(SocketAddr::new(places[1], 0));
    let port = first.address().port();
    let script = format!("{prelude} exec \"$0\" \"$@\"");
    let upstream = format!("{NAME}:{port}");
    let flags = ["--mount", "--map-root-user", "sh", "-c", &script, PROXY];
    let own = ["--listen", "127.0.0.1:0", "--upstream", &upstream];
    let proxy = Process::start("unshare", &[&flags[..], &own].concat(), 1);
    let mut client = proxy.client();
    wait_until("it is connected", || client.ask("SET k first") == "OK");
    first.kill();
    let second = server_at(SocketAddr::new(places[2], port));
    wait_until("it is found again", || client.ask("SET k second") == "OK");
    assert_eq!(second.client().ask("GET k"), "second");
    // The name moves to a place that it did not stand for before.
    let elsewhere = own_loopback();
    let third = server_at(SocketAddr::new(elsewhere, port));
    hosts.write(&line(&elsewhere));
    second.kill();
    wait_until("it is followed", || client.ask("SET k third") == "OK");
    assert_eq!(third.client().ask("GET k"), "third");
}
