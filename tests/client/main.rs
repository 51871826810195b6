//! The client as its users meet it: from a pipe, with a command, with a file, on a terminal.

mod program;
#[path = "../support/mod.rs"]
mod support;

use program::{command_to, home, run, run_with};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::process::Stdio;
use std::thread::{self, JoinHandle};
use support::child::{Exit, Running, Terminal};
use support::guards::OwnFile;
use support::process;
use support::tools::{Reserved, wait_until};

#[track_caller]
fn check(ended: &Exit, stdout: &str, stderr: &str, code: i32) {
    let got = (ended.stdout.as_str(), ended.stderr.as_str(), ended.code);
    assert_eq!(got, (stdout, stderr, Some(code)));
}

/// A server that greets, answers each request with the next of `replies`, and then hangs up.
fn fickle_server(replies: &'static [&'static str]) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let thread = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the client comes");
        let mut lines = BufReader::new(stream.try_clone().expect("a descriptor is free")).lines();
        for reply in [&"%0\r\n"].into_iter().chain(replies) {
            let header = lines.next().and_then(Result::ok).unwrap_or_default();
            let words: usize = header.trim_start_matches('*').parse().unwrap_or(0);
            lines.by_ref().take(2 * words).for_each(drop);
            let _ = stream.write_all(reply.as_bytes());
        }
        // What is closed with input unread is reset, and the last reply might be lost.
        let _ = stream.shutdown(Shutdown::Write);
        lines.map_while(Result::ok).for_each(drop);
    });
    (address, thread)
}

/// A peer that sends these bytes at once, and hangs up.
fn stranger(bytes: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the client comes");
        let _ = stream.read(&mut [0; 100]);
        let _ = stream.write_all(bytes);
    });
    address
}

#[test]
fn a_peer_that_is_no_such_server_is_named() {
    let check_stranger = |bytes: &'static [u8], did: &str| {
        let address = stranger(bytes);
        let complaint =
            format!("client: {address} is no server of Larder, Redis or Valkey: {did}\n");
        check(&run(&[], address, &["get", "x"], b""), "", &complaint, 2);
    };
    check_stranger(b"HTTP/1.1 400 Bad Request\r\n\r\n", "it replied 'HTTP/1.1 400 Bad Request'");
    check_stranger(b"ERROR\r\n", "it replied 'ERROR'");
    check_stranger(b"", "it closed the connection");
    let address = stranger(b"-ERR too many connections\r\n");
    let refused = run(&[], address, &["get", "x"], b"");
    check(&refused, "", "client: ERR too many connections\n", 2);
}

#[test]
fn a_value_is_a_value_whatever_it_reads_like() {
    let server = process::server(&[]);
    let requests = b"set k Key not found\nset l ERR boom\nget k\nget l\n";
    let ended = run(&["--load", "-"], server.address(), &[], requests);
    check(&ended, "sent 4, OK 4, refused 0, errors 0\n", "", 0);
    check(&run(&[], server.address(), &["get", "k"], b""), "Key not found\n", "", 0);
    check(&run(&[], server.address(), &["get", "l"], b""), "ERR boom\n", "", 0);
}

#[test]
fn every_command_is_sent_and_every_reply_shown() {
    let server = process::server(&[]);
    let requests =
        b"incr n\nmget n x\nscan 0\nset t \"a\ntype t\ndel n t\nconfig get timeout\nkeys *\n";
    let expected = "1\n1\n(nil)\n0\n2)\n  n\nOK\nstring\n2\ntimeout = 0\n(empty)\nGoodbye\n";
    check(&run(&["--raw"], server.address(), &[], requests), expected, "", 0);
    assert!(run(&[], server.address(), &["help"], b"").stdout.contains("\nEXPIRE <key> <seconds>"));
}

#[test]
fn a_load_takes_requests_of_resp_and_skips_a_mark_of_utf_8() {
    let server = process::server(&[]);
    let requests = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\na\n\r\n*1\r\n$3\r\nFOO\r\n";
    let ended = run(&["--load", "-"], server.address(), &[], requests);
    let complaint = "line 2: ERR unknown command 'FOO', try HELP\n";
    check(&ended, "sent 2, OK 1, refused 0, errors 1\n", complaint, 2);
    check(&run(&[], server.address(), &["get", "k"], b""), "\"a\\n\"\n", "", 0);
    let ended = run(&["--load", "-"], server.address(), &[], b"\xef\xbb\xbfput m 1");
    check(&ended, "sent 1, OK 1, refused 0, errors 0\n", "", 0);
}

// From a pipe.

#[test]
fn the_session_of_a_c_programmer() {
    let server = process::server(&[]);
    let requests = b"put 1 2\nput 1 3\nput 2 3\nget 1\ndel 1\nget 1\ndel 5\nBye\n";
    let expected = "Connected to server\n\
        Enter request: Server replied: OK\n\
        Enter request: Server replied: Key already exists\n\
        Enter request: Server replied: OK\n\
        Enter request: Server replied: 2\n\
        Enter request: Server replied: OK\n\
        Enter request: Server replied: Key not found\n\
        Enter request: Server replied: Key not found\n\
        Enter request: Server replied: Goodbye\n";
    check(&run(&[], server.address(), &[], requests), expected, "", 0);
}

#[test]
fn the_end_of_input_says_goodbye() {
    let server = process::server(&[]);
    let expected = "Connected to server\n\
        Enter request: Server replied: OK\n\
        Enter request: Enter request: Enter request: Server replied: 2\n\
        Enter request: Server replied: ERR usage: BYE\n\
        Enter request: \n\
        Server replied: Goodbye\n";
    let requests = b"put 1 2\r\n\n \t\r\nget 1\nbye now";
    check(&run(&[], server.address(), &[], requests), expected, "", 1);
}

#[test]
fn long_replies_are_printed_whole() {
    let server = process::server(&[]);
    let requests = b"put ERR v\ndump pairs\nping\norigin on\ndump pairs\nhelp x\norigin off\nbye\n";
    let expected = "Connected to server\n\
        Enter request: Server replied: OK\n\
        Enter request: Server replied: ERR = v\nEND\n\
        Enter request: Server replied: PONG\n\
        Enter request: Server replied: OK\n\
        Enter request: Server replied: server: ERR = v\nserver: END\n\
        Enter request: Server replied: server: ERR usage: HELP\n\
        Enter request: Server replied: OK\n\
        Enter request: Server replied: Goodbye\n";
    check(&run(&[], server.address(), &[], requests), expected, "", 1);
}

#[test]
fn raw_prints_replies_alone() {
    let server = process::server(&[]);
    let ended = run(&["--raw"], server.address(), &[], b"put 1 2\nget 1\nget 2\nbye\n");
    check(&ended, "OK\n2\nKey not found\nGoodbye\n", "", 0);
    check(&run(&["--raw"], server.address(), &[], b"get 1"), "2\nGoodbye\n", "", 0);
}

#[test]
fn no_byte_that_is_typed_puts_requests_and_replies_out_of_step() {
    let server = process::server(&[]);
    let requests =
        b"*1\r\n$4\n\xff\xf4x\nput k a\xffb\nget k\nput l \xfe\nget l\ngxx\x08\x7fet l\n\
        xy\x08\x08\nbye\n";
    let ended = run(&["--raw"], server.address(), &[], requests);
    let expected = "ERR unknown command '*1', try HELP\n\
        ERR unknown command '$4', try HELP\n\
        ERR unknown command '\\xff\\xf4x', try HELP\n\
        OK\n\
        \"a\\xffb\"\n\
        OK\n\u{fffd}\n\u{fffd}\nGoodbye\n";
    check(&ended, expected, "", 1);
}

#[test]
fn a_reader_that_has_had_enough_is_no_error() {
    let server = process::server(&[]);
    let mut command = command_to(&[], server.address(), &[]);
    let mut client = Running::start_watched(command.stdin(Stdio::piped()));
    let mut stdout = client.stdout.take().expect("it is watched");
    stdout.read_exact(&mut [0; 9]).expect("it says that it is connected");
    drop(stdout);
    let mut stdin = client.stdin.take().expect("it is piped");
    while stdin.write_all(b"ping\n").is_ok() {}
    check(&client.ended(), "", "", 0);
}

// One command.

#[test]
fn a_command_prints_its_reply_and_exits_by_it() {
    let server = process::server(&[]);
    let check_command = |words: &[&str], stdout: &str, code: i32| {
        check(&run(&[], server.address(), words, b""), stdout, "", code);
    };
    check_command(&["put", "1", "-3", "--raw"], "OK\n", 0);
    check_command(&["get 1"], "-3 --raw\n", 0);
    check_command(&["put", "1", "2"], "Key already exists\n", 1);
    check_command(&["get", "2"], "Key not found\n", 1);
    check_command(&["get"], "ERR usage: GET <key>\n", 2);
    check_command(&["nonsense"], "ERR unknown command 'nonsense', try HELP\n", 2);
    check_command(&["dump"], "1\n", 0);
    check_command(&["dump", "pairs"], "1 = -3 --raw\nEND\n", 0);
    check_command(&["bye"], "Goodbye\n", 0);
    let stats = run(&[], server.address(), &["stats"], b"").stdout;
    assert!(stats.ends_with("\nEND\n") && stats.contains("\nkeys 1\n"), "{stats}");
}

#[test]
fn a_list_of_keys_that_is_broken_off_is_not_taken_for_all() {
    let (address, server) =
        fickle_server(&["*2\r\n$1\r\n7\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n", "-ERR upstream lost\r\n"]);
    let complaint = "client: the list of keys is not complete: ERR upstream lost\n";
    check(&run(&[], address, &["dump"], b""), "a b\n", complaint, 2);
    server.join().expect("it ends with its client");
}

#[test]
fn wrong_arguments_are_told_in_one_line() {
    let check_wrong = |arguments: &[&str], complaint: &str| {
        let complaint = format!("client: {complaint}; try client --help\n");
        check(&run_with(arguments, b""), "", &complaint, 2);
    };
    check_wrong(&["--nonsense"], "there is no flag --nonsense");
    let lines = "a command is one line, and cannot hold CR or LF";
    check_wrong(&["127.0.0.1", "5000", "put", "k", "a\nget b"], lines);
}

// Origins.

#[test]
fn origin_tells_what_the_cache_answered() {
    let server = process::server(&[]);
    let proxy = process::proxy(server.address(), &[]);
    let requests = b"put name a\nget name\nget name\ndump pairs\nbye\n";
    let expected = "Connected to server\n\
        Enter request: Server replied: OK\n\
        Enter request: Server replied: a\n\
        Enter request: Proxy replied: a\n\
        Enter request: Server replied: name = a\nEND\n\
        Enter request: Server replied: Goodbye\n";
    check(&run(&["--origin"], proxy.address(), &[], requests), expected, "", 0);
    let get = ["get", "name"];
    check(&run(&[], proxy.address(), &get, b""), "a\n", "", 0);
    check(&run(&["--origin"], proxy.address(), &get, b""), "Proxy replied: a\n", "", 0);
    check(&run(&["--origin", "--raw"], proxy.address(), &get, b""), "proxy: a\n", "", 0);
    let gone = run(&["--origin"], proxy.address(), &["get", "x"], b"");
    check(&gone, "Server replied: Key not found\n", "", 1);
}

// No connection, a lost connection.

#[test]
fn no_connection_is_told_in_one_line() {
    let place = Reserved::new();
    let address = place.address;
    let complaint = format!("client: cannot connect to {address}: Connection refused\n");
    check(&run(&[], address, &[], b"get 1\n"), "", &complaint, 2);
    check(&run(&[], address, &["get", "1"], b""), "", &complaint, 2);
}

#[test]
fn a_lost_connection_is_told_in_one_line() {
    let (address, server) = fickle_server(&["+OK\r\n", "$9\r\nhalf a"]);
    let complaint = format!("client: the connection to {address} was lost\n");
    let expected = "Connected to server\nEnter request: Server replied: OK\nEnter request: ";
    check(&run(&[], address, &[], b"put 1 2\nget 1\nget 2\n"), expected, &complaint, 2);
    server.join().expect("it ends with its client");
}

#[test]
fn every_address_of_a_name_is_tried() {
    let server = process::server(&[]);
    let port = server.address().port().to_string();
    check(&run_with(&["localhost", &port, "ping"], b""), "PONG\n", "", 0);
}

// A file of requests.

#[test]
fn a_load_counts_replies_and_names_failed_lines() {
    let server = process::server(&[]);
    let load = |name: &str, content: &str| {
        let file = OwnFile::new(name, content);
        run(&["--load", file.path()], server.address(), &[], b"")
    };
    let ended = load("mixed", "put 1 2\r\n\nput 1\nput 1 3\ndump pairs\nget 1\nstats x\nget 9");
    let complaints = "line 3: ERR usage: PUT <key> <value>\nline 7: ERR usage: STATS\n";
    check(&ended, "sent 7, OK 3, refused 2, errors 2\n", complaints, 2);
    let ended = load("refused", "put 1 2\norigin on\nget 1\ndump pairs\nbye\nnonsense\n");
    check(&ended, "sent 5, OK 4, refused 1, errors 0\n", "", 1);
    check(&load("empty", ""), "sent 0, OK 0, refused 0, errors 0\n", "", 0);
    let ended = run(&["--load", "-"], server.address(), &[], b"get 1\nget 1");
    check(&ended, "sent 2, OK 2, refused 0, errors 0\n", "", 0);
}

#[test]
fn a_load_names_a_hundred_failures_and_counts_the_others() {
    let server = process::server(&[]);
    let ended = run(&["--load", "-"], server.address(), &[], &b"x\n".repeat(123));
    let named: String =
        (1..=100).map(|line| format!("line {line}: ERR unknown command 'x', try HELP\n")).collect();
    let complaints = named + "23 more lines failed\n";
    check(&ended, "sent 123, OK 0, refused 0, errors 123\n", &complaints, 2);
}

#[test]
fn a_load_outruns_no_server() {
    // The replies are far more than all buffers between: the server stops reading meanwhile.
    let server = process::server(&[]);
    let value = "x".repeat(50_000);
    let mut requests = format!("put k {value}\n");
    requests.push_str(&"get k\n".repeat(3000));
    requests.push_str(&format!("set k {value}\n").repeat(500));
    let ended = run(&["--load", "-"], server.address(), &[], requests.as_bytes());
    check(&ended, "sent 3501, OK 3501, refused 0, errors 0\n", "", 0);
}

#[test]
fn a_load_does_not_wait_for_more_input() {
    let server = process::server(&[]);
    let mut command = command_to(&["--load", "-"], server.address(), &[]);
    let mut client = Running::start(command.stdin(Stdio::piped()));
    let stdin = client.stdin.as_mut().expect("it is piped");
    stdin.write_all(b"put k v\nput half").expect("it reads");
    let mut other = server.client();
    wait_until("the request is not held back", || other.ask("get k") == "v");
    check(&client.ended(), "sent 2, OK 1, refused 0, errors 1\n", USAGE_OF_LINE_2, 2);
}

const USAGE_OF_LINE_2: &str = "line 2: ERR usage: PUT <key> <value>\n";

#[test]
fn a_load_that_loses_its_server_says_how_far_it_came() {
    let (address, server) = fickle_server(&["+OK\r\n", "$-1\r\n"]);
    let ended = run(&["--load", "-"], address, &[], b"put 1 2\n\nget 2\nget 3\n");
    let complaint = format!(
        "client: the connection to {address} was lost, 2 requests were answered, the last of them \
         on line 3\n"
    );
    check(&ended, "", &complaint, 2);
    server.join().expect("it ends with its client");
}

#[test]
fn a_file_that_is_not_there_is_told_in_one_line() {
    let complaint = "client: cannot read /nonexistent/file: No such file or directory\n";
    check(&run_with(&["--load", "/nonexistent/file"], b""), "", complaint, 2);
}

// On a terminal.

/// A client on a terminal that has asked for the first request.
#[track_caller]
fn terminal(address: SocketAddr, home_name: &str) -> Terminal {
    let mut command = command_to(&[], address, &[]);
    let mut terminal = Terminal::start(command.env("HOME", home(home_name)), "Enter request: ");
    terminal.expect("Connected to server\nEnter request:");
    terminal
}

#[test]
fn verbs_are_completed_and_arguments_hinted_at() {
    let server = process::server(&[]);
    let mut terminal = terminal(server.address(), "none");
    terminal.press("pu\t");
    terminal.expect("Connected to server\nEnter request: put <key> <value>");
    terminal.press("1 ");
    terminal.expect("Connected to server\nEnter request: put 1 <value>");
    terminal.press("2\r");
    terminal
        .expect("Connected to server\nEnter request: put 1 2\nServer replied: OK\nEnter request:");
    terminal.press("du\tp\t\r");
    terminal.expect(
        "Connected to server\n\
         Enter request: put 1 2\n\
         Server replied: OK\n\
         Enter request: dump pairs\n\
         Server replied: 1 = 2\n\
         END\n\
         Enter request:",
    );
}

#[test]
fn control_keys_and_keys_typed_ahead() {
    let server = process::server(&[]);
    let mut terminal = terminal(server.address(), "none");
    terminal.press("zzz\x03");
    terminal.expect("Connected to server\nEnter request: zzz\nEnter request:");
    // All at once, as when lines are pasted: none is lost, though replies come in between.
    terminal.press("put a b\rget a\r\rget b\r");
    terminal.expect(
        "Connected to server\n\
         Enter request: zzz\n\
         Enter request: put a b\n\
         Server replied: OK\n\
         Enter request: get a\n\
         Server replied: b\n\
         Enter request:\n\
         Enter request: get b\n\
         Server replied: Key not found\n\
         Enter request:",
    );
    terminal.press("\x04");
    terminal.wait_for(|screen| screen.text().ends_with("Enter request:\nServer replied: Goodbye"));
    assert_eq!(terminal.exit_code(), Some(0));
}

#[test]
fn requests_are_remembered_from_one_session_to_the_next() {
    let server = process::server(&[]);
    let folder = home("history");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("the folder is ours");
    let mut first = terminal(server.address(), "history");
    first.press("ping\rbye\r");
    assert_eq!(first.exit_code(), Some(0));
    let mut second = terminal(server.address(), "history");
    second.press("\x1b[A\x1b[A");
    second.expect("Connected to server\nEnter request: ping");
}

#[test]
fn a_value_cannot_drive_the_terminal() {
    let server = process::server(&[]);
    server.client().ask("put k \x1b[2Jgone\x07");
    let mut terminal = terminal(server.address(), "none");
    terminal.press("get k\r");
    terminal.wait_for(|screen| {
        screen.text().ends_with("get k\nServer replied: \\x1b[2Jgone\\x07\nEnter request:")
    });
}

#[test]
fn a_server_that_goes_ends_a_session_on_a_terminal() {
    let server = process::server(&[]);
    let address = server.address();
    let mut terminal = terminal(address, "none");
    assert!(server.terminate().success());
    terminal.press("get 1\r");
    terminal.expect(&format!(
        "Connected to server\n\
         Enter request: get 1\n\
         client: the connection to {address} was lost"
    ));
    assert_eq!(terminal.exit_code(), Some(2));
}
