//! Tests of `foreign.rs`.

use super::*;
use crate::base::buffer::Buffer;
use crate::protocol::command::{TABLE, Verb};
use crate::protocol::{Decoded, Decoder, Refusal, Scratch, resp};
use crate::settings::limits::Limits;

/// An entry with so many fields: name, arity, flags, keys, subcommands.
fn entry(resp3: bool, fields: usize, start: &str, subcommands: &[String]) -> String {
    let [name, arity, flags, first, last, step] =
        start.split_whitespace().collect::<Vec<_>>().try_into().expect("six words");
    let flags: Vec<_> = flags.split(',').filter(|flag| *flag != "-").collect();
    let set = if resp3 { '~' } else { '*' };
    let category = if name == "xread" { "@blocking" } else { "@all" };
    let mut entry = format!("*{fields}\r\n${}\r\n{name}\r\n:{arity}\r\n", name.len());
    entry += &format!("{set}{}\r\n", flags.len());
    entry.extend(flags.iter().map(|flag| format!("+{flag}\r\n")));
    entry += &format!(":{first}\r\n:{last}\r\n:{step}\r\n");
    for field in CATEGORIES..fields {
        match field {
            CATEGORIES => entry += &format!("{set}1\r\n+{category}\r\n"),
            SUBCOMMANDS => {
                entry += &format!("*{}\r\n{}", subcommands.len(), subcommands.concat());
            }
            _ => entry += &format!("{set}1\r\n+@all\r\n"),
        }
    }
    entry
}

fn commands(resp3: bool, fields: usize) -> ForeignCommands {
    let entry = |start: &str, subcommands: &[String]| entry(resp3, fields, start, subcommands);
    let no_subcommands = |start: &str| entry(start, &[]);
    let subcommands = [
        no_subcommands("object|encoding 3 readonly 2 2 1"),
        no_subcommands("object|help 2 loading 0 0 0"),
    ];
    let entries = [
        no_subcommands("hget 3 readonly,fast 1 1 1"),
        no_subcommands("hset -4 write,denyoom,fast 1 1 1"),
        no_subcommands("bitop -4 write,denyoom 2 -1 1"),
        no_subcommands("zunionstore -4 write,movablekeys 1 1 1"),
        no_subcommands("sintercard -3 readonly,movablekeys 0 0 0"),
        no_subcommands("swapdb 3 write 0 0 0"),
        no_subcommands("huge -1 write 300 300 1"),
        no_subcommands("blpop -3 write,noscript 1 -2 1"),
        no_subcommands("bzpopmin -3 write,blocking 1 -2 1"),
        no_subcommands("eval_ro -3 readonly,noscript 0 0 0"),
        no_subcommands("xread -4 readonly 1 1 1"),
        no_subcommands("pfdebug -3 write,admin 2 2 1"),
        no_subcommands("publish 3 pubsub,fast 0 0 0"),
        no_subcommands("ASKING 1 - 0 0 0"),
        entry("object -2 - 0 0 0", &subcommands),
    ];
    ForeignCommands::read(
        format!("*{}\r\n$-1\r\n{}", entries.len() + 1, entries.concat()).as_bytes(),
    )
}

/// What becomes of a request: what it may change, or why it is refused.
fn admit(commands: &ForeignCommands, request: &str) -> String {
    let words: Vec<_> = request.split(' ').map(str::as_bytes).collect();
    let (mut bytes, mut scratch) = (Buffer::new(), Scratch::default());
    resp::push_request(&mut bytes, &words);
    let limits = Limits::default();
    let (_, decoded) = Decoder::default().decode(bytes.bytes(), &mut scratch, &limits);
    let Decoded::Refused(_, Refusal::Unknown(words, _)) = decoded else {
        panic!("{request} is in our table");
    };
    let container = |verb| Refusal::UnknownSubcommand(&TABLE[verb as usize], words);
    assert!(container(Verb::Client).foreign().is_none(), "its subcommands are not for keys");
    let words = container(Verb::Get).foreign().expect("it is the same if we have the container");
    match commands.admit(words) {
        Err(error) => error.to_string(),
        Ok(sent) => {
            assert_eq!(sent.words, words.iter().collect::<Vec<_>>());
            match sent.writes {
                Writes::Nothing => "nothing".to_string(),
                Writes::Everything => "everything".to_string(),
                Writes::Keys(keys) => String::from_utf8(keys.join(&b' ')).expect("keys of text"),
            }
        }
    }
}

#[test]
fn what_reads_or_writes_keys_is_sent_on_with_the_keys_that_it_may_change() {
    for (resp3, fields) in [(false, 6), (false, 7), (false, 10), (true, 7), (true, 10), (true, 11)]
    {
        let commands = commands(resp3, fields);
        let check = |request: &str, expected: &str| {
            assert_eq!(admit(&commands, request), expected, "{request}, {fields} fields");
        };
        check("HGET h f", "nothing");
        check("hSeT h f v", "h");
        check("BITOP AND to a b", "to a b");
        check("ZUNIONSTORE to 1 a", "everything");
        check("SINTERCARD 1 a", "nothing");
        check("SWAPDB 0 1", "everything");
        check("HUGE", "everything");
        check("HGET h", "ERR wrong number of arguments for 'hget' command");
        check("HGET h f g", "ERR wrong number of arguments for 'hget' command");
        check("HSET h f", "ERR wrong number of arguments for 'hset' command");
        check("NOSUCH a", "ERR unknown command 'NOSUCH', with args beginning with: 'a' ");
        check(
            "hget\r\n h f",
            r"ERR unknown command 'hget\r\n', with args beginning with: 'h' 'f' ",
        );
    }
}

#[test]
fn what_could_harm_others_is_refused() {
    for fields in [6, 7, 10] {
        let commands = commands(true, fields);
        let check = |request: &str, name: &str| {
            let expected = format!("ERR command '{name}' is not available through the proxy");
            assert_eq!(admit(&commands, request), expected);
        };
        check("BZPOPMIN k 0", "bzpopmin");
        check("pfdebug a b", "pfdebug");
        check("Publish c m", "publish");
        check("ASKING", "asking");
        if fields > CATEGORIES {
            check("XREAD BLOCK 0 s", "xread");
        }
        match fields {
            // Nobody said which commands block.
            6 | 7 => {
                check("BLPOP k 0", "blpop");
                check("EVAL_RO x 0", "eval_ro");
            }
            _ => {
                assert_eq!(admit(&commands, "BLPOP k 0"), "k");
                assert_eq!(admit(&commands, "EVAL_RO x 0"), "nothing");
            }
        }
    }
}

#[test]
fn of_a_container_the_subcommand_counts() {
    let commands = commands(true, 10);
    assert_eq!(admit(&commands, "Object enCoding k"), "nothing");
    let wrong = "ERR wrong number of arguments for 'object|encoding' command";
    assert_eq!(admit(&commands, "OBJECT ENCODING"), wrong);
    assert_eq!(admit(&commands, "OBJECT"), "ERR wrong number of arguments for 'object' command");
    assert_eq!(admit(&commands, "OBJECT a b"), "ERR unknown subcommand 'a'. Try OBJECT HELP.");
    let refused = "ERR command 'object|help' is not available through the proxy";
    assert_eq!(admit(&commands, "OBJECT HELP"), refused);
    let unknown = "ERR unknown command 'object|encoding', with args beginning with: 'k' 'k' ";
    assert_eq!(admit(&commands, "object|encoding k k"), unknown);
}

#[test]
fn a_reply_that_is_no_table_is_one_without_commands() {
    for reply in [
        "*0\r\n",
        "*1\r\n+a\r\n",
        "*2\r\n*1\r\n$1\r\na\r\n*6\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n",
        "+OK\r\n",
    ] {
        assert!(ForeignCommands::read(reply.as_bytes()).by_name.is_empty(), "{reply:?}");
    }
}
