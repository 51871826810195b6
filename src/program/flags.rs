//! The command line, checked: every flag of `server` and `proxy` is a row of
//! `FLAGS` or of [`SETTINGS`](crate::settings::SETTINGS), from which both the parser and `--help`
//! are made. The client's few options are in its own folder.

use crate::proxy::upstream::credentials::{Credentials, Source};
use crate::reactor::addresses;
use crate::settings::{Program, Settings, settings_of};
use getopts::{Fail, Matches, Options};
use log::warn;
use std::ffi::OsString;
use std::io::Read;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::{env, fs};

/// The longest file with a password: a longer one is another file, named by mistake.
const MAX_AUTH_BYTES: u64 = 64 * 1024;

/// The result of a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed<T> {
    /// Run with these values.
    Run(T),
    /// Print this on stdout and exit: `--help` or `--version`.
    Print(String),
}

/// The flags of both programs.
#[derive(Clone, Debug)]
pub struct Common {
    /// The addresses to listen on: at least one.
    pub listen: Vec<SocketAddr>,
    /// The settings.
    pub settings: Settings,
}

/// The flags of the proxy.
#[derive(Clone, Debug)]
pub struct ProxyConfig {
    /// The flags of both programs.
    pub common: Common,
    /// The upstream, `HOST:PORT`; none: find a server, or run one.
    pub upstream: Option<String>,
    /// The user and the password for the upstream.
    pub credentials: Source,
    /// The number of the upstream's database.
    pub database: u32,
    /// The address at which to find or run a server.
    pub server_listen: SocketAddr,
}

/// A flag for an address, a file or the database; the others are settings.
struct Flag {
    program: Program,
    short: &'static str,
    name: &'static str,
    hint: &'static str,
    help: &'static str,
}

const fn flag(
    program: Program,
    short: &'static str,
    name: &'static str,
    hint: &'static str,
    help: &'static str,
) -> Flag {
    Flag { program, short, name, hint, help }
}

#[rustfmt::skip]
static FLAGS: &[Flag] = &[
    flag(Program::Server, "l", "listen", "HOST:PORT", "where to listen, repeatable (127.0.0.1:5000)"),
    flag(Program::Proxy, "l", "listen", "HOST:PORT", "where to listen, repeatable (127.0.0.1:5001)"),
    flag(Program::Proxy, "u", "upstream", "HOST:PORT", "the server behind the proxy; without it the one on --server-listen is used, or run if there is none"),
    flag(Program::Proxy, "", "upstream-auth-file", "FILE", "a file with the upstream's password, or in two lines the user and the password; read again for each connection; otherwise LARDER_UPSTREAM_USER and LARDER_UPSTREAM_PASSWORD of the environment are used"),
    flag(Program::Proxy, "", "upstream-db", "N", "the number of the upstream's database (0)"),
    flag(Program::Proxy, "", "server-listen", "HOST:PORT", "the server's place when there is no --upstream (127.0.0.1:5000)"),
];

/// Reads the server's arguments, without the program's name.
///
/// # Errors
/// One line on what is wrong.
pub fn server(arguments: &[String]) -> Result<Parsed<Common>, String> {
    let about = "Keeps keys and values in memory, for all clients that connect.";
    parse(Program::Server, "server", about, arguments, |matches| {
        common(matches, Program::Server, "127.0.0.1:5000")
    })
}

/// Reads the proxy's arguments, without the program's name.
///
/// # Errors
/// One line on what is wrong.
pub fn proxy(arguments: &[String]) -> Result<Parsed<ProxyConfig>, String> {
    let about =
        "Answers repeated GETs from a cache, and forwards all else to the server behind it.";
    parse(Program::Proxy, "proxy", about, arguments, proxy_config)
}

fn proxy_config(matches: &Matches) -> Result<ProxyConfig, String> {
    let upstream = matches.opt_str("upstream");
    let server_listen = matches.opt_str("server-listen");
    if upstream.is_some() && server_listen.is_some() {
        return Err("--server-listen goes without --upstream".to_string());
    }
    let server_listen = server_listen.unwrap_or_else(|| "127.0.0.1:5000".to_string());
    let auth_file = matches.opt_str("upstream-auth-file");
    let database = matches.opt_str("upstream-db");
    if upstream.is_none() && (auth_file.is_some() || database.is_some()) {
        return Err("--upstream-auth-file and --upstream-db go with --upstream".to_string());
    }
    let credentials = match &upstream {
        Some(_) => credentials(auth_file.map(PathBuf::from))?,
        None => Source::default(),
    };
    Ok(ProxyConfig {
        common: common(matches, Program::Proxy, "127.0.0.1:5001")?,
        upstream: upstream.map(|place| place_of("upstream", &place)).transpose()?,
        credentials,
        database: database.map_or(Ok(0), |text| {
            text.parse().map_err(|_| bad("upstream-db", &text, "the number of a database"))
        })?,
        server_listen: resolve("server-listen", &server_listen)?,
    })
}

fn options(program: Program) -> Options {
    let mut options = Options::new();
    for flag in FLAGS.iter().filter(|flag| flag.program == program) {
        if flag.name == "listen" {
            options.optmulti(flag.short, flag.name, flag.help, flag.hint);
        } else {
            options.optopt(flag.short, flag.name, flag.help, flag.hint);
        }
    }
    for setting in settings_of(program) {
        options.optopt("", setting.name, setting.help, &setting.hint());
    }
    options.optflag("h", "help", "print this and exit");
    options.optflag("V", "version", "print the version and exit");
    options
}

fn parse<T>(
    program: Program,
    name: &str,
    about: &str,
    arguments: &[String],
    config: impl FnOnce(&Matches) -> Result<T, String>,
) -> Result<Parsed<T>, String> {
    let options = options(program);
    let matches = options.parse(arguments).map_err(describe)?;
    if matches.opt_present("help") {
        let brief = format!("{about}\n\nUsage: {name} [options]");
        let sizes = "Sizes are bytes, or 64KiB, 64MiB, 1GiB. Seconds may have decimals.\n";
        let logs = "Logs go to stderr; RUST_LOG=warn logs less, RUST_LOG=off nothing.\n";
        return Ok(Parsed::Print(format!("{}\n{sizes}{logs}", options.usage(&brief))));
    }
    if matches.opt_present("version") {
        return Ok(Parsed::Print(version(name)));
    }
    match matches.free.first() {
        Some(word) => Err(format!("there is no argument '{}'", word.escape_debug())),
        None => config(&matches).map(Parsed::Run),
    }
}

/// Returns the output of `--version`.
pub fn version(program: &str) -> String {
    format!("{program} (larder) {}\n", env!("CARGO_PKG_VERSION"))
}

/// Returns the error of a command line, in one line.
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

fn common(matches: &Matches, program: Program, default_listen: &str) -> Result<Common, String> {
    let mut settings = Settings::default();
    for setting in settings_of(program) {
        if let Some(text) = matches.opt_str(setting.name) {
            let set = setting.set(&mut settings, &text);
            set.map_err(|wanted| bad(setting.name, &text, &wanted))?;
        }
    }
    let mut names = matches.opt_strs("listen");
    if names.is_empty() {
        names.push(default_listen.to_string());
    }
    let listen = names.iter().map(|name| resolve("listen", name)).collect::<Result<_, _>>()?;
    Ok(Common { listen, settings })
}

fn bad(flag: &str, value: &str, wanted: &str) -> String {
    format!("--{flag} takes {wanted}, not '{}'", value.escape_debug())
}

/// Checks a name with a port, and returns it: it is looked up when it is needed.
fn place_of(flag: &str, name: &str) -> Result<String, String> {
    let is_host = |host: &str| !host.is_empty() && host.chars().all(|it| it.is_ascii_graphic());
    match name.rsplit_once(':') {
        Some((host, port)) if is_host(host) && port.parse::<u16>().is_ok() => {
            // An address with a zone is none without its interface.
            if host.starts_with('[') && host.contains('%') {
                resolve_place(flag, name)?;
            }
            Ok(name.to_string())
        }
        _ => Err(bad(flag, name, "HOST:PORT")),
    }
}

/// Returns the first address of a name with a port.
fn resolve(flag: &str, name: &str) -> Result<SocketAddr, String> {
    resolve_place(flag, &place_of(flag, name)?)
}

fn resolve_place(flag: &str, name: &str) -> Result<SocketAddr, String> {
    match addresses(name).map(|addresses| addresses.first().copied()) {
        Ok(Some(address)) => Ok(address),
        Ok(None) => Err(format!("--{flag}: '{}' has no address", name.escape_debug())),
        Err(error) => Err(format!("--{flag}: '{}': {error}", name.escape_debug())),
    }
}

/// Returns the credentials for the upstream. Those of a file precede those of the environment.
fn credentials(file: Option<PathBuf>) -> Result<Source, String> {
    // Some tools set a variable to nothing to leave it out.
    let given = |name| env::var_os(name).map(OsString::into_vec).filter(|it| !it.is_empty());
    let user = given("LARDER_UPSTREAM_USER");
    if let Some(path) = file {
        let first = read_credentials(&path, user.clone())?;
        let is_file = fs::metadata(&path).is_ok_and(|metadata| metadata.is_file());
        let warned = Once::new();
        // A pipe can be read only once.
        return Ok(Source::new(move || {
            warned.call_once(|| warn_of_readers(&path));
            if is_file { read_credentials(&path, user.clone()) } else { Ok(first.clone()) }
        }));
    }
    match (given("LARDER_UPSTREAM_PASSWORD"), user) {
        (Some(password), user) => Ok(Source::new(move || {
            Ok(Credentials { user: user.clone(), password: password.clone() })
        })),
        (None, Some(_)) => Err("LARDER_UPSTREAM_USER is set, and there is no password: set \
                                LARDER_UPSTREAM_PASSWORD, or give --upstream-auth-file"
            .to_string()),
        (None, None) => Ok(Source::default()),
    }
}

/// Warns only: secrets in a volume of a container are often readable to all.
fn warn_of_readers(path: &Path) {
    if fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0) {
        warn!("{} can be read by all users of this machine", path.display());
    }
}

fn read_credentials(path: &Path, user: Option<Vec<u8>>) -> Result<Credentials, String> {
    let mut text = Vec::new();
    let opened = fs::File::open(path).map(|file| file.take(MAX_AUTH_BYTES + 1));
    let read = opened.and_then(|mut file| file.read_to_end(&mut text));
    let credentials = match read {
        Ok(bytes) if bytes as u64 > MAX_AUTH_BYTES => Err("it is too large".to_string()),
        Ok(_) => Credentials::read(&text, user).map_err(str::to_string),
        Err(error) => Err(error.to_string()),
    };
    let name = path.to_string_lossy();
    credentials.map_err(|why| format!("--upstream-auth-file '{}': {why}", name.escape_debug()))
}

#[cfg(test)]
mod tests;
