//! Words with and without quotes, and lines that are refused.

use super::*;

/// Returns the words of a line, joined by `|`; or its refusal.
fn words(line: &str) -> String {
    let (mut words, mut unquoted) = (Vec::new(), Vec::new());
    match parse(line.as_bytes(), &mut words, &mut unquoted, &Limits::default()) {
        Decoded::Request(request) => {
            assert_eq!(request.form, Form::Resp);
            let words: Vec<_> =
                request.words().map(|word| word.escape_ascii().to_string()).collect();
            words.join("|")
        }
        Decoded::Refused(Form::Resp, refusal) | Decoded::Broken(refusal) => refusal.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn words_may_be_quoted() {
    let table = [
        ("set  k\tv ", "set|k|v"),
        ("SET k v EX 10", "SET|k|v|EX|10"),
        (r#"set "a b" 'c d'"#, "set|a b|c d"),
        (r#"set "" ''"#, "set||"),
        (r#"set k "\n\r\t\b\a\x41\xff\\\"\q\x4""#, r#"set|k|\n\r\t\x08\x07A\xff\\\"qx4"#),
        (r"set k 'it\'s \n'", r"set|k|it\'s \\n"),
        (r#"set k a"b c""#, "set|k|ab c"),
        ("set k =", "set|k|="),
    ];
    for (line, expected) in table {
        assert_eq!(words(line), expected, "{line}");
    }
}

#[test]
fn quotes_have_to_be_closed_and_end_a_word() {
    for line in [r#"set k "v"#, r"set k 'v", r#"set k "a"b"#, r#"set k "\"#, r#"""x"#] {
        assert_eq!(words(line), "ERR Protocol error: unbalanced quotes in request", "{line}");
    }
}

#[test]
fn what_redis_does_not_know_is_refused_in_resp() {
    let unknown = "ERR unknown command 'nosuch', with args beginning with: 'x' ";
    assert_eq!(words("nosuch x"), unknown);
    assert_eq!(words("get"), "ERR wrong number of arguments for 'get' command");
    assert_eq!(words("GET / HTTP/1.1"), "ERR HTTP is not spoken on this port");
    assert_eq!(words("post /"), "ERR HTTP is not spoken on this port");
}
