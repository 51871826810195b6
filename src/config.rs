//! From the command line to checked values: every flag of `server` and `proxy` is a row of
//! [`FLAGS`], from which both the parser and `--help` are made. The client's few options are in its
//! own folder.

use crate::command::PutMode;
use crate::limits::Limits;
use getopts::{Fail, Matches, Options};
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

/// What a command line comes to.
#[derive(Clone, Debug)]
pub enum Parsed<T> {
    /// Run with these values.
    Run(T),
    /// Print this on stdout and exit: `--help` or `--version`.
    Print(String),
}

/// What both programs take.
#[derive(Clone, Debug)]
pub struct Common {
    /// Where to listen: at least one address.
    pub listen: Vec<SocketAddr>,
    /// What PUT does to a key that exists.
    pub put_mode: PutMode,
    /// Limits and timeouts.
    pub limits: Limits,
}

/// What the proxy takes besides.
#[derive(Clone, Debug)]
pub struct ProxyConfig {
    /// What both programs take.
    pub common: Common,
    /// The upstream's addresses, all of one name; none: find a server, or run one.
    pub upstream: Vec<SocketAddr>,
    /// Where that server is, or will be.
    pub server_listen: SocketAddr,
    /// How long the upstream may take to accept a connection and to answer a request.
    pub upstream_timeout: Duration,
    /// How long a cached value is served, from the moment its request was sent.
    pub ttl: Duration,
    /// What the cache may cost, in bytes; 0: no cache.
    pub cache_bytes: usize,
}

/// Which program takes a flag.
#[derive(Clone, Copy, PartialEq)]
enum For {
    Both,
    Server,
    Proxy,
}

struct Flag {
    who: For,
    short: &'static str,
    name: &'static str,
    hint: &'static str,
    help: &'static str,
}

const fn flag(
    who: For,
    short: &'static str,
    name: &'static str,
    hint: &'static str,
    help: &'static str,
) -> Flag {
    Flag { who, short, name, hint, help }
}

#[rustfmt::skip]
static FLAGS: &[Flag] = &[
    flag(For::Server, "l", "listen", "HOST:PORT", "where to listen, repeatable (127.0.0.1:5000)"),
    flag(For::Proxy, "l", "listen", "HOST:PORT", "where to listen, repeatable (127.0.0.1:5001)"),
    flag(For::Proxy, "u", "upstream", "HOST:PORT", "the server behind the proxy; without it the one on --server-listen is used, and run if nobody is there"),
    flag(For::Proxy, "", "server-listen", "HOST:PORT", "the server's place when there is no --upstream (127.0.0.1:5000)"),
    flag(For::Proxy, "", "upstream-timeout", "SECONDS", "for the upstream to accept a connection and to answer (5)"),
    flag(For::Proxy, "", "ttl", "SECONDS", "how long a cached value is served (60)"),
    flag(For::Proxy, "", "cache-bytes", "SIZE", "what the cache may cost; 0: no cache (64MiB)"),
    flag(For::Both, "", "put", "create|replace", "what PUT does to a key that exists (create: refuse)"),
    flag(For::Both, "", "max-connections", "N", "clients at one time (10000)"),
    flag(For::Both, "", "idle-timeout", "SECONDS", "close a client that sends nothing for so long; 0: never (0)"),
    flag(For::Both, "", "request-timeout", "SECONDS", "for a RESP request to come whole (30)"),
    flag(For::Both, "", "line-timeout", "SECONDS", "for a line to come whole (300)"),
    flag(For::Both, "", "max-line", "SIZE", "the longest line (1MiB)"),
    flag(For::Both, "", "max-value", "SIZE", "the longest value (64MiB)"),
    flag(For::Both, "", "max-request", "SIZE", "the longest RESP request (128MiB)"),
    flag(For::Both, "", "output-limit", "SIZE", "output that a client may leave unread (256MiB)"),
    flag(For::Both, "", "drain-timeout", "SECONDS", "for clients to take their last replies at the end (5)"),
];

/// What `max-line`, `max-value` and `max-request` may be at most: positions within a request are
/// kept in 32 bits.
const MOST_REQUEST_BYTES: usize = 2 << 30;
/// The loop gathers up to 1 MiB of replies before it writes; a lower limit would close clients that
/// leave nothing unread.
const LEAST_OUTPUT_LIMIT: usize = 2 << 20;

/// Reads the server's arguments, without the program's name.
///
/// # Errors
/// One line that says what is wrong.
pub fn server(arguments: &[String]) -> Result<Parsed<Common>, String> {
    let about = "Keeps keys and values in memory for everybody who connects.";
    let options = options(For::Server);
    let matches = match parse(&options, "server", about, arguments)? {
        Parsed::Run(matches) => matches,
        Parsed::Print(text) => return Ok(Parsed::Print(text)),
    };
    Ok(Parsed::Run(common(&matches, "127.0.0.1:5000")?))
}

/// Reads the proxy's arguments, without the program's name.
///
/// # Errors
/// One line that says what is wrong.
pub fn proxy(arguments: &[String]) -> Result<Parsed<ProxyConfig>, String> {
    let about = "Answers repeated GETs from a cache, and asks the server behind it for all else.";
    let options = options(For::Proxy);
    let matches = match parse(&options, "proxy", about, arguments)? {
        Parsed::Run(matches) => matches,
        Parsed::Print(text) => return Ok(Parsed::Print(text)),
    };
    let upstream = matches.opt_str("upstream");
    let server_listen = matches.opt_str("server-listen");
    if upstream.is_some() && server_listen.is_some() {
        return Err("--server-listen goes without --upstream".to_string());
    }
    let server_listen = server_listen.unwrap_or_else(|| "127.0.0.1:5000".to_string());
    Ok(Parsed::Run(ProxyConfig {
        common: common(&matches, "127.0.0.1:5001")?,
        upstream: upstream.map_or(Ok(Vec::new()), |name| resolve("upstream", &name))?,
        server_listen: resolve("server-listen", &server_listen)?[0],
        upstream_timeout: positive_seconds(&matches, "upstream-timeout", Duration::from_secs(5))?,
        ttl: seconds(&matches, "ttl", Duration::from_secs(60))?,
        cache_bytes: size(&matches, "cache-bytes", 64 << 20, 0, 1 << 40)?,
    }))
}

fn options(who: For) -> Options {
    let mut options = Options::new();
    for flag in FLAGS.iter().filter(|flag| flag.who == For::Both || flag.who == who) {
        if flag.name == "listen" {
            options.optmulti(flag.short, flag.name, flag.help, flag.hint);
        } else {
            options.optopt(flag.short, flag.name, flag.help, flag.hint);
        }
    }
    options.optflag("h", "help", "print this and exit");
    options.optflag("V", "version", "print the version and exit");
    options
}

fn parse(
    options: &Options,
    program: &str,
    about: &str,
    arguments: &[String],
) -> Result<Parsed<Matches>, String> {
    let matches = options.parse(arguments).map_err(describe)?;
    if matches.opt_present("help") {
        let brief = format!("{about}\n\nUsage: {program} [options]");
        let sizes = "Sizes are bytes, or 64KiB, 64MiB, 1GiB. Seconds may have decimals.\n";
        let logs = "Logs go to stderr; RUST_LOG=warn says less, RUST_LOG=off nothing.\n";
        return Ok(Parsed::Print(format!("{}\n{sizes}{logs}", options.usage(&brief))));
    }
    if matches.opt_present("version") {
        return Ok(Parsed::Print(format!("{program} (larder) {}\n", env!("CARGO_PKG_VERSION"))));
    }
    match matches.free.first() {
        Some(word) => Err(format!("there is no argument '{}'", word.escape_debug())),
        None => Ok(Parsed::Run(matches)),
    }
}

/// What is wrong with a command line, in one line.
pub fn describe(fail: Fail) -> String {
    // One letter or a word: with the dashes that it was written with.
    let dashed = |name: &str| {
        let dashes = if name.chars().count() == 1 { "-" } else { "--" };
        format!("{dashes}{}", name.escape_debug())
    };
    match fail {
        Fail::ArgumentMissing(name) => format!("{} needs a value", dashed(&name)),
        Fail::UnrecognizedOption(name) => format!("there is no flag {}", dashed(&name)),
        Fail::OptionMissing(name) => format!("{} is missing", dashed(&name)),
        Fail::OptionDuplicated(name) => format!("{} is given twice", dashed(&name)),
        Fail::UnexpectedArgument(name) => format!("{} takes no value", dashed(&name)),
    }
}

fn common(matches: &Matches, default_listen: &str) -> Result<Common, String> {
    let mut names = matches.opt_strs("listen");
    if names.is_empty() {
        names.push(default_listen.to_string());
    }
    let listen = names.iter().map(|name| Ok(resolve("listen", name)?[0]));
    let put_mode = match matches.opt_str("put").as_deref() {
        None | Some("create") => PutMode::Create,
        Some("replace") => PutMode::Replace,
        Some(other) => return Err(bad("put", other, "create or replace")),
    };
    let usual = Limits::default();
    let limits = Limits {
        max_connections: count(matches, "max-connections", usual.max_connections)?,
        idle_timeout: seconds(matches, "idle-timeout", usual.idle_timeout)?,
        request_timeout: positive_seconds(matches, "request-timeout", usual.request_timeout)?,
        line_timeout: positive_seconds(matches, "line-timeout", usual.line_timeout)?,
        max_line: size(matches, "max-line", usual.max_line, 16, MOST_REQUEST_BYTES)?,
        max_value: size(matches, "max-value", usual.max_value, 1, MOST_REQUEST_BYTES)?,
        max_request: size(matches, "max-request", usual.max_request, 64, MOST_REQUEST_BYTES)?,
        output_limit: size(
            matches,
            "output-limit",
            usual.output_limit,
            LEAST_OUTPUT_LIMIT,
            1 << 40,
        )?,
        drain_timeout: seconds(matches, "drain-timeout", usual.drain_timeout)?,
    };
    Ok(Common { listen: listen.collect::<Result<_, String>>()?, put_mode, limits })
}

fn bad(flag: &str, value: &str, wanted: &str) -> String {
    format!("--{flag} takes {wanted}, not '{}'", value.escape_debug())
}

/// All addresses of a name with a port: at least one.
fn resolve(flag: &str, name: &str) -> Result<Vec<SocketAddr>, String> {
    let port = name.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    if port.is_none() {
        return Err(bad(flag, name, "HOST:PORT"));
    }
    match name.to_socket_addrs().map(Iterator::collect::<Vec<_>>) {
        Ok(addresses) if !addresses.is_empty() => Ok(addresses),
        Ok(_) => Err(format!("--{flag}: '{}' has no address", name.escape_debug())),
        Err(error) => Err(format!("--{flag}: '{}': {error}", name.escape_debug())),
    }
}

fn count(matches: &Matches, flag: &str, default: usize) -> Result<usize, String> {
    let Some(text) = matches.opt_str(flag) else { return Ok(default) };
    let number = text.parse().ok().filter(|number| (1..=1_000_000).contains(number));
    number.ok_or_else(|| bad(flag, &text, "a whole number from 1 to 1000000"))
}

fn seconds(matches: &Matches, flag: &str, default: Duration) -> Result<Duration, String> {
    let Some(text) = matches.opt_str(flag) else { return Ok(default) };
    // A hundred years, so that no deadline overflows the clock.
    let number = text.parse().ok().filter(|seconds| (0.0..=3.2e9).contains(seconds));
    let seconds = number.ok_or_else(|| bad(flag, &text, "seconds"))?;
    Ok(Duration::from_secs_f64(seconds))
}

fn positive_seconds(matches: &Matches, flag: &str, default: Duration) -> Result<Duration, String> {
    match seconds(matches, flag, default)? {
        Duration::ZERO => Err(bad(flag, "0", "more than 0 seconds")),
        duration => Ok(duration),
    }
}

fn size(
    matches: &Matches,
    flag: &str,
    default: usize,
    least: usize,
    most: usize,
) -> Result<usize, String> {
    let Some(text) = matches.opt_str(flag) else { return Ok(default) };
    let bytes = parse_size(&text).ok_or_else(|| bad(flag, &text, "a size like 4096 or 64MiB"))?;
    if !(least..=most).contains(&bytes) {
        return Err(bad(flag, &text, &format!("a size from {least} to {most} bytes")));
    }
    Ok(bytes)
}

fn parse_size(text: &str) -> Option<usize> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: usize = match &text[digits.len()..] {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    let digits = Some(digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    digits?.parse::<usize>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!((config.ttl.as_secs(), config.cache_bytes), (60, 64 << 20));
        assert_eq!(config.common.limits.max_connections, 10_000);
    }

    #[test]
    fn flags_are_read() {
        let line = "-l 127.0.0.1:0 --listen [::1]:7 --put replace --max-line 4096 --ttl 0.5";
        let config = run(proxy(&arguments(line)));
        let listen: Vec<_> = config.common.listen.iter().map(SocketAddr::to_string).collect();
        assert_eq!(listen, ["127.0.0.1:0", "[::1]:7"]);
        assert_eq!(config.common.put_mode, PutMode::Replace);
        assert_eq!(config.common.limits.max_line, 4096);
        assert_eq!(config.ttl, Duration::from_millis(500));
    }

    #[test]
    fn what_is_wrong_is_said_in_one_line() {
        refused("--put maybe", "--put takes create or replace, not 'maybe'");
        refused("--ttl -1", "--ttl takes seconds");
        refused("--ttl NaN", "--ttl takes seconds");
        refused("--cache-bytes 12parsecs", "--cache-bytes takes a size");
        refused("--cache-bytes +1", "--cache-bytes takes a size");
        refused("--max-value 3GiB", "from 1 to 2147483648 bytes");
        refused("--listen 5000", "--listen takes HOST:PORT");
        refused("--upstream-timeout 0", "more than 0");
        refused("-u 127.0.0.1:1 --server-listen 127.0.0.1:2", "without --upstream");
        refused("extra", "'extra'");
        refused("--nonsense", "nonsense");
    }

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [("0", 0), ("64KiB", 65536), ("1GiB", 1 << 30), ("7B", 7)] {
            assert_eq!(parse_size(text), Some(bytes));
        }
        for text in ["", "MiB", "1.5MiB", "1mb", "99999999999999999999", "9999999999999GiB"] {
            assert!(parse_size(text).is_none_or(|_| text.is_empty()), "{text}");
        }
    }

    #[test]
    fn help_names_every_flag() {
        let Ok(Parsed::Print(help)) = proxy(&arguments("--help")) else { panic!("no help") };
        for flag in FLAGS.iter().filter(|flag| flag.who != For::Server) {
            assert!(help.contains(&format!("--{}", flag.name)), "{}", flag.name);
        }
    }
}
