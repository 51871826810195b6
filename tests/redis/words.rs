//! The words that stand for arguments in `commands.rs`. Each list begins with what is simplest: a
//! script that fails is made simpler towards it. They are written as requests are shown: `""` is
//! the empty word.

use super::grammar::one_of;
use super::script::{Request, Word};
use proptest::prelude::*;

/// How many words of a list are the usual ones.
const FIRST: usize = 3;

/// Few keys, so that commands meet.
const KEYS: &str = r#" a b ab h\xff\x00\r\nk [a]* "" "#;

/// What shifts or spoils a list of arguments. No small number above 0: as milliseconds it would be
/// over at a moment that nobody knows.
const ODD: &str = r#" x "" -1 0 nx GET 9223372036854775808 1.5 \x00 a\r\nb * "#;

const NUMBERS: &str = r#"
    1 0 -1 10 -10 9223372036854775807 9223372036854775806 -9223372036854775808
    -9223372036854775807 9223372036854775808 -9223372036854775809 4611686018427387904
    18446744073709551615 99999999999999999999999 +1 01 00 \x201 1\x20 -0 -01 1.0 1.5 1e3 0x10 ""
    - + --1 a 1\x00 inf nan 1_0
"#;

/// Among them lengths around 44, where Redis begins to store values otherwise.
const VALUES: &str = r#"
    v "" value with\x20spaces \r\n a\r\nb \x00 a\x00b \xff\xfe +OK $-1 *1\r\n$4\r\nPING\r\n ' \x22
    \\ \{300*x} \{20000*y} \{45*z} \{44*z}
"#;

/// From now on, in seconds. Nothing between 0 and a minute, which could be over in the middle; some
/// just below and just above what fits into 63 bits as milliseconds since 1970.
const SECONDS: &str = r#"
    100 1000000 10000 0 -1 -100000 9223372036854775807 -9223372036854775808 9223372036854775
    9223372036854776 9223370000000000 9223371000000000 -9223372036854775 -9223372036854776
    9223372036854775808 4294967296 1.5 abc "" +100 0100 100\x20
"#;

const MILLISECONDS: &str = r#"
    100000 1000000000 9999999 0 -1 -100000 9223372036854775807 -9223372036854775808
    9223370000000000000 9223371000000000000 9223372036854775808 1.5 abc "" +100000 0100000
"#;

/// Since 1970: far ahead, past, and none.
const UNIX_SECONDS: &str = r#"
    4102444800 4102444801 33177117420 1 1000000000 0 -1 9223372036854775 9223372036854776
    9223372036854775807 -9223372036854775808 -9223372036854775 1.5 abc ""
"#;

const UNIX_MILLISECONDS: &str = r#"
    4102444800000 4102444800500 4102444800499 33177117420000 1 1000000000000 0 -1
    9223372036854775807 -9223372036854775808 9223372036854775808 1.5 abc ""
"#;

/// Of bytes in a value, from its front or its end. None that makes a value long beyond our limit
/// and not beyond that of Redis.
const POSITIONS: &str = r#"
    0 1 -1 2 3 -2 -3 5 43 44 100 299 300 -300 -301 19999 20000 20001 -20000 70000 -70000 1000000
    -9223372036854775808 1.5 abc "" +1 01 1\x20
"#;

/// Beyond the limits of both.
const FAR_POSITIONS: &str = r#"
    9223372036854775807 536870912 9223372036854775808 4294967296 9223372036854775806
"#;

const PATTERNS: &str = r#"
    * a a* ? ?? *b [a-c]* [^a]* [^a-c]* [c-a] [ab] [a [ ] [] [^] []a] [^ [a- [a-] \\* \\ a\\ [\\a]
    [\\]a] \\[a]* ** *?* a**b "" h\xff* h?\x00* \\[a\\]\\* A* [[]* *]* [!a] *\r\n* *a*b*
    ***************b
"#;

/// But for 0, from which a scan is followed to its end.
const CURSORS: &str = r#"
    17 1 00 +0 -1 "" abc \x200 0\x20 18446744073709551615 18446744073709551616 1.5
"#;

const COUNTS: &str = r#" 10 1 2 1000 100000 0 -1 abc "" 1.5 +5 "#;

const TYPES: &str = r#" string STRING list hash zset stream nosuch "" "#;

const VERSIONS: &str = r#"
    3 2 1 0 4 -1 abc "" 3.0 03 +3 9223372036854775807 99999999999999999999
"#;

const DATABASES: &str = r#"
    0 1 15 -1 00 +0 abc "" 0.0 2147483648 -9223372036854775808 99999999999999999999
"#;

const NAMES: &str = r#" me "" with\x20space a\nb \xff !~ tab\t \x7f "#;

const USERS: &str = r#" default me DEFAULT "" "#;

/// Lengths around 128, of which so much is told in the error.
const UNKNOWN: &str = r#"
    NOSUCH "" GETS GET\x20 \x20GET a\r\nb * \x00 \xff SET' \{127*n} \{128*n} \{129*n} \{300*n}
    get|set
"#;

/// What a name in lower case stands for.
pub fn named(name: &str) -> BoxedStrategy<Vec<Word>> {
    match name {
        "key" => prop_oneof![Just(words("a")), any_of(KEYS)].boxed(),
        // All that a random request may have created, if not those of a random pattern.
        "every-key" => Just([words(KEYS), words(ODD)].concat()).boxed(),
        "value" => {
            let bytes = prop::collection::vec(any::<u8>(), 0..24).prop_map(|word| vec![word]);
            prop_oneof![4 => any_of(VALUES), 2 => any_of(NUMBERS), 1 => bytes].boxed()
        }
        "number" => any_of(NUMBERS),
        "seconds" => any_of(SECONDS),
        "milliseconds" => any_of(MILLISECONDS),
        "unix-seconds" => any_of(UNIX_SECONDS),
        "unix-milliseconds" => any_of(UNIX_MILLISECONDS),
        "position" => any_of(POSITIONS),
        "far-position" => any_of(FAR_POSITIONS),
        "pattern" => {
            let letters = prop::sample::select(&b"ab*?[]^-\\\xff"[..]);
            let bytes = prop::collection::vec(letters, 0..8).prop_map(|word| vec![word]);
            prop_oneof![3 => any_of(PATTERNS), 1 => bytes].boxed()
        }
        "cursor" => any_of(CURSORS),
        "count" => any_of(COUNTS),
        "type" => any_of(TYPES),
        "version" => any_of(VERSIONS),
        "database" => any_of(DATABASES),
        "name" => any_of(NAMES),
        "user" => any_of(USERS),
        "unknown" => any_of(UNKNOWN),
        "odd" => any_of(ODD),
        "pair" => one_of("key value"),
        "life" => {
            one_of("EX seconds | PX milliseconds | EXAT unix-seconds | PXAT unix-milliseconds")
        }
        "set-option" => one_of("NX | XX | GET | KEEPTTL | life | PERSIST | odd"),
        "getex-option" => one_of("PERSIST | life | life | KEEPTTL | odd"),
        "condition" => one_of("NX | XX | GT | LT | odd"),
        // Whether a time is later than the same one a moment ago is up to the moment.
        "relative-condition" => one_of("NX | XX | LT | odd"),
        "scan-option" => one_of("MATCH pattern | COUNT count | TYPE type | odd"),
        "tracking-option" => one_of("OPTIN | OPTOUT | NOLOOP | odd"),
        "flush-mode" => one_of("SYNC | ASYNC | odd"),
        "hello-option" => one_of("SETNAME name | AUTH user value | odd"),
        _ => panic!("no words for {name}"),
    }
}

/// A word to spoil a request with.
pub fn odd() -> impl Strategy<Value = Word> {
    prop::sample::select(words(ODD))
}

/// One of the words; half the time one of the first, or little would succeed and few keys meet.
fn any_of(list: &str) -> BoxedStrategy<Vec<Word>> {
    let all = words(list);
    let first = prop::sample::select(all[..FIRST].to_vec());
    prop_oneof![first, prop::sample::select(all)].prop_map(|word| vec![word]).boxed()
}

fn words(list: &str) -> Vec<Word> {
    Request::of(list).words
}
