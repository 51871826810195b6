//! The proxy's one connection to Redis is shared by all clients: nothing that one of them says may
//! change its state, or be answered later, twice or not at all.

use super::compare::ONE_DATABASE;
use super::grammar::in_mixed_case;
use super::script::Request;
use super::wire::Wire;
use crate::support::process::Process;
use crate::support::redis_server::Redis;
use crate::support::resp::Value;
use crate::support::tools::{connected_proxy, stat};

/// A client that knows which replies are its own.
struct Client {
    wire: Wire,
    asked: usize,
}

impl Client {
    fn of(proxy: &Process) -> Client {
        Client { wire: Wire::connect(proxy.address()), asked: 0 }
    }

    /// The reply to a request, which is the only one.
    #[track_caller]
    fn ask(&mut self, words: &str) -> String {
        self.asked += 1;
        let mark = format!("mark{}", self.asked);
        let request = Request::of(words);
        // Redis itself answers this, and nobody else asks it.
        let check = Request::of(&format!("EVAL_RO return\\x20ARGV[1] 0 {mark}"));
        self.wire.send(&[request.encode(), check.encode()].concat());
        let answer = self.wire.sure_reply();
        let checked = self.wire.sure_reply();
        let is_own = checked.value() == Some(Value::Bulk(b'$', mark.as_bytes()));
        assert!(is_own, "after {words}: {checked:?}");
        answer.bytes.escape_ascii().to_string().trim_end_matches("\\r\\n").to_string()
    }

    /// The same within a transaction: the reply to the request, and that to EXEC.
    #[track_caller]
    fn ask_in_transaction(&mut self, words: &str) -> [String; 2] {
        let requests = ["MULTI", words, "EXEC"].map(|words| Request::of(words).encode());
        self.wire.send(&requests.concat());
        let replies = [(); 3].map(|()| self.wire.sure_reply());
        self.ask("EXISTS nothing");
        let [_, reply, exec] = replies.map(|reply| reply.bytes.escape_ascii().to_string());
        [reply, exec]
    }
}

/// The state of the connection, and how often there was one.
#[track_caller]
fn check_connection(redis: &Redis, proxy: &Process) {
    let mut direct = Client { wire: Wire::connect(redis.address), asked: 0 };
    let list = direct.ask("CLIENT LIST TYPE NORMAL");
    let lines: Vec<_> = list.split("\\n").filter(|line| line.contains(" resp=3")).collect();
    let [line] = lines[..] else { panic!("one speaks RESP3: {list}") };
    for field in ["flags=t ", "db=0 ", "sub=0 ", "psub=0 ", "multi=-1 "] {
        assert!(line.contains(field), "{line}");
    }
    let mut client = proxy.client();
    assert_eq!(stat(&mut client, "upstream_connects"), 1);
    assert_eq!(stat(&mut client, "upstream_unanswered"), 0);
}

fn start() -> (Redis, Process, Client) {
    let redis = Redis::start(ONE_DATABASE);
    let proxy = connected_proxy(redis.address, &[]);
    let client = Client::of(&proxy);
    (redis, proxy, client)
}

/// Every command that Redis has, whatever it is: one reply to each, and all others are right.
#[test]
fn no_command_of_redis_changes_the_shared_connection() {
    let (redis, proxy, mut client) = start();
    let list = Wire::connect(redis.address).ask("COMMAND LIST");
    let names: Vec<_> = list.value().expect("a list").parts().iter().map(Value::text).collect();
    assert!(names.len() > 200, "{} commands", names.len());
    let own = ["quit", "multi", "exec", "discard"];
    for name in names.iter().filter(|name| !own.contains(&name.as_str())) {
        for arguments in ["", " k", " 1 k", " on k 1", " k 1 1 k", " store 1 k 1 1"] {
            for name in [name.clone(), name.to_ascii_uppercase(), in_mixed_case(name)] {
                client.ask(&format!("{name}{arguments}"));
            }
            client.ask_in_transaction(&format!("{name}{arguments}"));
        }
    }
    check_connection(&redis, &proxy);
}

#[test]
fn what_would_harm_others_is_refused_in_any_case() {
    let (redis, proxy, mut client) = start();
    for request in include_str!("harmful.txt").lines().filter(|line| !line.starts_with('#')) {
        let (name, arguments) = request.split_once(' ').unwrap_or((request, ""));
        for name in [name.to_string(), name.to_ascii_lowercase(), in_mixed_case(name)] {
            let request = format!("{name} {arguments}");
            let reply = client.ask(&request);
            let is_refusal = reply.ends_with(" is not available through the proxy");
            assert!(
                is_refusal || reply.starts_with("-ERR unknown subcommand"),
                "{request}: {reply}"
            );
            let [reply, exec] = client.ask_in_transaction(&request);
            assert!(reply.starts_with("-ERR "), "{request}: {reply}");
            assert!(exec.starts_with("-EXECABORT"), "{request}: {exec}");
        }
    }
    check_connection(&redis, &proxy);
}

/// What a client changes of its own connection stays its own.
#[test]
fn what_a_client_says_of_itself_is_not_said_of_the_shared_connection() {
    let (redis, proxy, mut client) = start();
    let mut other = Client::of(&proxy);
    for request in ["HELLO 2", "AUTH default x", "SELECT 0", "CLIENT SETNAME me", "RESET"] {
        client.ask(request);
        other.ask(request);
    }
    for request in ["CLIENT REPLY OFF", "SET k hidden", "INCR n", "GET k", "CLIENT REPLY ON"] {
        client.wire.send(&Request::of(request).encode());
    }
    assert_eq!(client.wire.sure_reply().bytes, b"+OK\r\n");
    for request in ["CLIENT REPLY SKIP", "INCR n"] {
        client.wire.send(&Request::of(request).encode());
    }
    assert_eq!(client.ask("INCR n"), ":3");
    assert_eq!(other.ask("GET k"), "$6\\r\\nhidden");
    client.wire.send(&Request::of("MULTI").encode());
    assert_eq!(client.wire.sure_reply().bytes, b"+OK\r\n");
    assert_eq!(other.ask("INCR n"), ":4", "a transaction that is open is its client's alone");
    for request in ["MULTI", "RESET", "EXEC"] {
        client.wire.send(&Request::of(request).encode());
    }
    let told = [(); 3].map(|()| client.wire.sure_reply().bytes.escape_ascii().to_string());
    let expected =
        [r"-ERR MULTI calls can not be nested\r\n", r"+RESET\r\n", r"-ERR EXEC without MULTI\r\n"];
    assert_eq!(told, expected);
    check_connection(&redis, &proxy);
}
