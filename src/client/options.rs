//! The command line, checked.

use crate::program::flags::{self, Parsed};
use getopts::ParsingStyle;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

const DEFAULT_HOST: &str = "127.0.0.1";
const DEFAULT_PORT: u16 = 5000;

/// The options and arguments.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    /// A name or an address, IPv6 without brackets.
    pub host: String,
    /// Never 0.
    pub port: u16,
    /// Print replies alone.
    pub raw: bool,
    /// Name the origin of each reply.
    pub origin: bool,
    /// The work to do.
    pub task: Task,
}

/// The work to do with the connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Task {
    /// Requests from standard input, one reply at a time.
    Interactive,
    /// One request: its words, or one line of them. There is one that is not blank.
    Command(Vec<Vec<u8>>),
    /// A file of requests, pipelined; `None`: standard input.
    Load(Option<PathBuf>),
}

/// Reads the arguments, those after the program's own name.
///
/// # Errors
/// What is wrong with them, in one line.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Parsed<Options>, String> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let options = options();
    // Flags are text; the words of a command may be any bytes, and are taken from the originals.
    let texts = arguments.iter().map(|argument| argument.to_string_lossy().into_owned());
    let matches = options.parse(texts).map_err(flags::describe)?;
    if matches.opt_present("help") {
        return Ok(Parsed::Print(help(&options)));
    }
    if matches.opt_present("version") {
        return Ok(Parsed::Print(flags::version("client")));
    }
    let words = &arguments[arguments.len() - matches.free.len()..];
    let host = words.first().map_or(Ok(DEFAULT_HOST.to_string()), host)?;
    let port = words.get(1).map_or(Ok(DEFAULT_PORT), port)?;
    let command = words.get(2..).unwrap_or_default();
    let raw = matches.opt_present("raw");
    let task = match matches.opt_str("load") {
        Some(_) if !command.is_empty() => return Err("--load takes no command".to_string()),
        Some(_) if raw => return Err("--load shows no replies that could be raw".to_string()),
        Some(name) if name == "-" => Task::Load(None),
        Some(name) => Task::Load(Some(PathBuf::from(name))),
        None if command.is_empty() => Task::Interactive,
        None => Task::Command(checked(command)?),
    };
    Ok(Parsed::Run(Options { host, port, raw, origin: matches.opt_present("origin"), task }))
}

fn options() -> getopts::Options {
    let mut flags = getopts::Options::new();
    // `put 1 -3` is a command, not a flag.
    flags.parsing_style(ParsingStyle::StopAtFirstFree);
    flags.optflag("r", "raw", "print replies alone, without prompts");
    flags.optflag("o", "origin", "name the origin of each reply: server or proxy's cache");
    flags.optopt(
        "l",
        "load",
        "send the requests in FILE (- for stdin), one a line, or in RESP",
        "FILE",
    );
    flags.optflag("h", "help", "print this and exit");
    flags.optflag("V", "version", "print the version and exit");
    flags
}

fn help(flags: &getopts::Options) -> String {
    let brief = format!(
        "Usage: client [options] [HOST [PORT]] [COMMAND...]\n\n\
         Talks to a server or proxy on HOST (default {DEFAULT_HOST}) and PORT (default \
         {DEFAULT_PORT}).\n\
         Without a COMMAND it reads requests until BYE or the end of input.\n\n\
         COMMAND may be any command of the server, such as INCR or EXPIRE; HELP lists them.\n\n\
         Exit status: 0 done; 1 'Key not found' or 'Key already exists', or a session from a\n\
         pipe in which a reply was an error; 2 an error, no connection, or no such server."
    );
    let examples = "\nExamples:\n    \
         client\n    \
         client 127.0.0.1 5001 get name\n    \
         client --load requests.txt 127.0.0.1 5000\n";
    flags.usage(&brief) + examples
}

fn host(word: &OsString) -> Result<String, String> {
    let text = word.to_string_lossy();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(&text);
    if bare.is_empty() || bare.chars().any(char::is_whitespace) {
        return Err(format!("'{text}' is not a host"));
    }
    match text.rsplit_once(':') {
        // An IPv6 address has at least two colons, one in brackets ends in one.
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            Err(format!("'{text}' is not a host, write {host} {port}"))
        }
        _ => Ok(bare.to_string()),
    }
}

fn port(word: &OsString) -> Result<u16, String> {
    let text = word.to_string_lossy();
    match text.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(format!("'{text}' is not a port (1 to 65535)")),
    }
}

/// Returns the words of a command, of which none ends a line.
fn checked(words: &[OsString]) -> Result<Vec<Vec<u8>>, String> {
    let words: Vec<Vec<u8>> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
    if words.iter().flatten().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return Err("a command is one line, and cannot hold CR or LF".to_string());
    }
    if words[0].trim_ascii().is_empty() {
        return Err("the command is empty".to_string());
    }
    Ok(words)
}

#[cfg(test)]
mod tests;
