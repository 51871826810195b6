//! Tests of `credentials.rs`.

use super::*;

#[test]
fn a_file_has_one_line_or_two() {
    let given = || Some(b"given".to_vec());
    let read = |text: &str| {
        let read = Credentials::read(text.as_bytes(), given())?;
        let words = [read.user_name(), &read.password].map(String::from_utf8_lossy);
        Ok::<_, &str>(words.join("|"))
    };
    for (text, expected) in [
        ("secret", "given|secret"),
        ("secret\n", "given|secret"),
        ("secret\r\n", "given|secret"),
        (" two words: no trouble \n", "given| two words: no trouble "),
        ("user\nsecret", "user|secret"),
        ("user\r\nsecret\r\n", "user|secret"),
    ] {
        assert_eq!(read(text).as_deref(), Ok(expected), "{text:?}");
    }
    for text in ["", "\n", "\r\n", "user\n\n", "\nsecret", "a\nb\nc\n", "a\nb\n\n"] {
        assert!(read(text).is_err(), "{text:?}");
    }
    let without = Credentials::read(b"secret", None).expect("it is right");
    assert_eq!(without.user_name(), b"default");
}

#[test]
fn nothing_of_them_is_printed() {
    let secret = Credentials { user: Some(b"me".to_vec()), password: b"hidden".to_vec() };
    let again = secret.clone();
    let source = Source::new(move || Ok(again.clone()));
    assert_eq!(source.load(), Ok(Some(secret.clone())));
    assert_eq!(format!("{secret:?} {source:#?}"), "Credentials Source");
}
