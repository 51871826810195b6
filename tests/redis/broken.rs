//! What is no request at all.

use super::compare::{Kind, Pair, REDIS};
use super::tables::none_differs;
use crate::support::transcript::unescape;

/// Sent as they are; where nothing comes back, that is compared too.
const BROKEN: &[&str] = &[
    r"*1\r\n",
    r"*1\r\n$4\r\n",
    r"*1\r\n$4\r\nPIN",
    r"*1\r\n$4\r\nPING",
    r"*1\r\n$4\r\nPING\r",
    r"*1\r\n$4\r\nPING\r\n",
    r"*0\r\n",
    r"*0\r\n*1\r\n$4\r\nPING\r\n",
    r"*-1\r\n",
    r"*-1\r\n*1\r\n$4\r\nPING\r\n",
    r"*-9223372036854775808\r\n*1\r\n$4\r\nPING\r\n",
    r"*-9223372036854775809\r\n*1\r\n$4\r\nPING\r\n",
    r"*3000000000\r\n",
    r"*2147483648\r\n",
    r"*99999999999999999999\r\n",
    r"*\r\n",
    r"*\r\n*1\r\n$4\r\nPING\r\n",
    r"*a\r\n",
    r"*1a\r\n",
    r"*+1\r\n$4\r\nPING\r\n",
    r"*01\r\n$4\r\nPING\r\n",
    r"* 1\r\n$4\r\nPING\r\n",
    r"*1 \r\n$4\r\nPING\r\n",
    r"*-0\r\n",
    r"*1.0\r\n",
    r"*1\n$4\r\nPING\r\n",
    r"*1\r\nGET",
    r"*1\r\nGET\r\n",
    r"*1\r\n+PING\r\n",
    r"*1\r\n:4\r\nPING\r\n",
    r"*1\r\n\r\n",
    r"*1\r\n\n$4\r\nPING\r\n",
    r"*1\r\n*1\r\n$4\r\nPING\r\n",
    r"*1\r\n'",
    r"*1\r\n$-10\r\n",
    r"*1\r\n$-1\r\n",
    r"*1\r\n$\r\n",
    r"*1\r\n$a\r\n",
    r"*1\r\n$4a\r\n",
    r"*1\r\n$+4\r\nPING\r\n",
    r"*1\r\n$04\r\nPING\r\n",
    r"*1\r\n$ 4\r\nPING\r\n",
    r"*1\r\n$4 \r\nPING\r\n",
    r"*1\r\n$-0\r\n\r\n",
    r"*1\r\n$0\r\n\r\n",
    r"*2\r\n$0\r\n\r\n$1\r\na\r\n",
    r"*1\r\n$99999999999999999999\r\n",
    r"*1\r\n$9223372036854775807\r\n",
    r"*1\r\n$536870913\r\n",
    r"*1\r\n$4\nPING\r\n",
    r"*1\r\n$4\r\nPING\r\n*1\r\nGET",
    r"*1\r\n$4\r\nPING\r\n*x\r\n*1\r\n$4\r\nPING\r\n",
    r"*1\r\n$4\r\nPING\r\n*0\r\n*-1\r\n*1\r\n$4\r\nPING\r\n",
    r"*1\r\n$5\r\nMULTI\r\n*0\r\n*1\r\n$4\r\nEXEC\r\n",
    r"*1\r\n$5\r\nMULTI\r\n*1\r\n$-1\r\n",
    r"*1\r\n$4\r\nQUIT\r\n*1\r\n$4\r\nPING\r\n",
    // Numbers that would be right if they wrapped around.
    r"*4294967297\r\n$4\r\nPING\r\n",
    r"*18446744073709551617\r\n$4\r\nPING\r\n",
    r"*1\r\n$4294967300\r\nPING\r\n",
    r"*1\r\n$18446744073709551620\r\nPING\r\n",
    r"*1\r\n$-4294967292\r\nPING\r\n",
    // Line ends alone.
    r"\n*1\r\n$4\r\nPING\r\n",
    r"\r\n\r\n*1\r\n$4\r\nPING\r\n",
    r"\r\n*0\r\n\n*-1\r\n\n*1\r\n$4\r\nPING\r\n",
    // Headers without an end: one byte below what is refused, and there. (With an end behind that,
    // Redis's answer depends on the pieces that it reads.)
    r"*\{65535*1}",
    r"*\{65536*1}",
    r"*1\r\n$\{65535*1}",
    r"*1\r\n$\{65536*1}",
];

fn broken(other: Kind) -> Vec<Result<(), String>> {
    let mut pair = Pair::start(REDIS, other);
    let bytes =
        BROKEN.iter().map(|text| unescape(text).unwrap_or_else(|| panic!("no text: {text}")));
    bytes.map(|bytes| pair.run_raw(&bytes)).collect()
}

#[test]
fn what_is_no_request_is_refused_as_in_redis() {
    none_differs(broken(Kind::Larder).into_iter());
}

#[test]
fn what_is_no_request_is_refused_alike_by_two_redis_servers() {
    none_differs(broken(REDIS).into_iter());
}
