//! Tests of `settings.rs`.

use super::*;

fn find(name: &str) -> &'static Setting {
    SETTINGS.iter().find(|row| row.name == name).expect("it is a setting")
}

#[test]
fn every_setting_takes_what_it_shows_and_help_tells_its_default() {
    for row in SETTINGS {
        let mut settings = Settings::default();
        let shown = row.show(&settings);
        row.set(&mut settings, &shown).expect("it takes its own value");
        assert_eq!(row.show(&settings), shown);
        let told = row.help.rsplit_once('(').expect("the default").1.trim_end_matches(')');
        let told = told.split(':').next().expect("a word");
        row.set(&mut settings, told).expect("it takes its default");
        assert_eq!(row.show(&settings), shown, "{}", row.name);
    }
}

#[test]
fn values_are_shown_in_bytes_and_seconds() {
    let table = [
        ("put", "replace", "replace"),
        ("max-connections", "1000000", "1000000"),
        ("idle-timeout", "0", "0"),
        ("line-timeout", "0.25", "0.25"),
        ("ttl", "1e2", "100"),
        ("max-value", "2GiB", "2147483648"),
        ("output-limit", "2MiB", "2097152"),
    ];
    for (name, text, shown) in table {
        let mut settings = Settings::default();
        assert_eq!(find(name).set(&mut settings, text), Ok(()));
        assert_eq!(find(name).show(&settings), shown);
    }
}

#[test]
fn what_is_wrong_changes_nothing_and_is_answered_with_what_is_right() {
    let table = [
        ("put", "maybe", "create or replace"),
        ("max-connections", "0", "a whole number from 1 to 1000000"),
        ("max-connections", "1000001", "a whole number from 1 to 1000000"),
        ("tracking-keys", "0", "a whole number from 1 to 1000000000"),
        ("idle-timeout", "-1", "seconds"),
        ("line-timeout", "0", "more than 0 seconds"),
        ("max-value", "12parsecs", "a size like 4096 or 64MiB"),
        ("max-value", "63", "a size from 64 to 2147483648 bytes"),
        ("max-line", "15", "a size from 16 to 2147483648 bytes"),
        ("output-limit", "1MiB", "a size from 2097152 to 1099511627776 bytes"),
    ];
    for (name, text, wanted) in table {
        let mut settings = Settings::default();
        let before = find(name).show(&settings);
        assert_eq!(find(name).set(&mut settings, text), Err(wanted.to_string()));
        assert_eq!(find(name).show(&settings), before);
    }
}

#[test]
fn every_field_has_a_row() {
    let (mut changed, default) = (Settings::default(), Settings::default());
    for row in SETTINGS {
        let hint = row.hint();
        let text = match &hint[..] {
            "SIZE" => "3MiB",
            // The last choice is not the default.
            choices if choices.contains('|') => choices.rsplit('|').next().expect("it has two"),
            _ => "7",
        };
        row.set(&mut changed, text).expect("no row refuses it");
    }
    let [changed, default] = [changed, default].map(|it| format!("{it:#?}"));
    for (changed, default) in changed.lines().zip(default.lines()) {
        let is_field = changed.contains(": ") && changed.ends_with(',');
        assert!(!is_field || changed != default, "no row sets {changed}");
    }
}
