//! A `DUMP` through the proxy whose upstream fails, and one that others overtake.

use crate::support::fake::{Fake, Link, play};
use crate::support::process::{Client, Process};

fn start(request: &str) -> (Fake, Process, Link, Client) {
    let (fake, proxy, mut link, mut client) = play(&[]);
    client.send(format!("{request}\r\n"));
    link.expect("SCAN 0 COUNT 500");
    (fake, proxy, link, client)
}

#[test]
fn a_dump_that_has_not_begun_fails_in_one_line_and_the_client_goes_on() {
    let (_fake, _proxy, mut link, mut client) = start("DUMP\r\nPING");
    link.say("-ERR unknown command 'SCAN'\r\n");
    assert_eq!(client.lines(2), ["ERR unknown command 'SCAN'", "PONG"]);
}

#[test]
fn a_dump_stands_in_its_place_among_the_replies() {
    let (_fake, proxy, mut link, mut client) = start("DUMP PAIRS\r\nGET x\r\nBYE\r\nGET never");
    client.finish_sending();
    // Page by page, an empty one among them.
    link.say("*2\r\n$1\r\n3\r\n*0\r\n");
    link.expect("SCAN 3 COUNT 500");
    link.say("*2\r\n$1\r\n9\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    link.expect("GET a");
    link.expect("GET b");
    let mut other = proxy.client();
    link.hear(&mut other, "GET y");
    link.say_value("1");
    // Deleted since it was named.
    link.say("$-1\r\n");
    link.say_value("yes");
    assert_eq!(other.line(), "yes");
    link.expect("SCAN 9 COUNT 500");
    link.say("*2\r\n$1\r\n0\r\n*1\r\n$1\r\nc\r\n");
    link.expect("GET c");
    link.say("-WRONGTYPE it is a list\r\n");
    link.expect("GET x");
    link.say_value("last");
    assert_eq!(client.lines(4), ["a = 1", "END", "last", "Goodbye"]);
    assert_eq!(client.until_eof(), b"");
}

#[test]
fn a_part_of_a_dump_that_has_failed_is_not_taken_for_one_of_the_next() {
    let request = "*2\r\n$4\r\nDUMP\r\n$5\r\nPAIRS";
    let (_fake, _proxy, mut link, mut client) = start(request);
    link.say("*2\r\n$1\r\n0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    link.expect("GET a");
    link.expect("GET b");
    link.say("-NOPERM no access\r\n");
    assert_eq!(client.lines(1), ["-ERR NOPERM no access"]);
    client.send(format!("{request}\r\n"));
    link.expect("SCAN 0 COUNT 500");
    link.say_value("of b");
    link.say("*2\r\n$1\r\n0\r\n*1\r\n$1\r\nc\r\n");
    link.expect("GET c");
    link.say_value("of c");
    assert_eq!(client.lines(5), ["*2", "$1", "c", "$4", "of c"]);
}
