//! Tests of `flags.rs`.

use super::*;
use crate::settings::PutMode;
use std::time::Duration;

fn arguments(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_string).collect()
}

fn run<T>(parsed: Result<Parsed<T>, String>) -> T {
    match parsed {
        Ok(Parsed::Run(config)) => config,
        Ok(Parsed::Print(text)) => panic!("printed {text}"),
        Err(error) => panic!("{error}"),
    }
}

#[track_caller]
fn refused(line: &str, part: &str) {
    let error = proxy(&arguments(line)).expect_err("it is refused");
    assert!(error.contains(part) && !error.contains('\n'), "{error}");
}

#[test]
fn without_flags_the_defaults_hold() {
    let config = run(proxy(&[]));
    assert_eq!(config.common.listen, [SocketAddr::from(([127, 0, 0, 1], 5001))]);
    assert_eq!(config.server_listen, SocketAddr::from(([127, 0, 0, 1], 5000)));
    let settings = config.common.settings;
    assert_eq!((settings.ttl.as_secs(), settings.cache_bytes), (60, 64 << 20));
    assert_eq!(config.common.settings.limits.max_connections, 10_000);
}

#[test]
fn flags_are_read() {
    let line = "-l 127.0.0.1:0 --listen [::1]:7 --put replace --max-line 4096 --ttl 0.5";
    let config = run(proxy(&arguments(line)));
    let listen: Vec<_> = config.common.listen.iter().map(SocketAddr::to_string).collect();
    assert_eq!(listen, ["127.0.0.1:0", "[::1]:7"]);
    assert_eq!(config.common.settings.put_mode, PutMode::Replace);
    assert_eq!(config.common.settings.limits.max_line, 4096);
    assert_eq!(config.common.settings.ttl, Duration::from_millis(500));
}

#[test]
fn what_is_wrong_is_said_in_one_line() {
    refused("--put maybe", "--put takes create or replace, not 'maybe'");
    refused("--ttl -1", "--ttl takes seconds");
    refused("--ttl NaN", "--ttl takes seconds");
    refused("--cache-bytes 12parsecs", "--cache-bytes takes a size");
    refused("--cache-bytes +1", "--cache-bytes takes a size");
    refused("--max-value 3GiB", "from 64 to 2147483648 bytes");
    refused("--listen 5000", "--listen takes HOST:PORT");
    let unknown = "'[fe80::1%nosuch]:5000': there is no interface 'nosuch'";
    for flag in ["listen", "upstream", "server-listen"] {
        refused(&format!("--{flag} [fe80::1%nosuch]:5000"), &format!("--{flag}: {unknown}"));
    }
    refused("--upstream-timeout 0", "more than 0");
    refused("-u 127.0.0.1:1 --server-listen 127.0.0.1:2", "without --upstream");
    refused("extra", "'extra'");
    refused("--nonsense", "nonsense");
}

#[test]
fn help_names_every_flag() {
    let Ok(Parsed::Print(help)) = proxy(&arguments("--help")) else { panic!("no help") };
    let flags = FLAGS.iter().filter(|flag| flag.program == Program::Proxy);
    let names = flags.map(|flag| flag.name);
    for name in names.chain(settings_of(Program::Proxy).map(|setting| setting.name)) {
        assert!(help.contains(&format!("--{name} ")), "{name}");
    }
}

#[test]
fn an_address_has_a_zone_by_the_name_or_the_number_of_an_interface() {
    for zone in ["lo", "1"] {
        let flags = format!("--listen [fe80::1%{zone}]:5000 --upstream [fe80::2%{zone}]:6379");
        let Ok(Parsed::Run(config)) = proxy(&arguments(&flags)) else { panic!("{zone}") };
        let SocketAddr::V6(listen) = config.common.listen[0] else { panic!("{zone}") };
        let expected: std::net::Ipv6Addr = "fe80::1".parse().expect("an address");
        assert_eq!((*listen.ip(), listen.port(), listen.scope_id()), (expected, 5000, 1));
    }
}
