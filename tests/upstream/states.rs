//! All that the proxy can be waiting for when something happens to its upstream.

use crate::support::fake::{Fake, Link, TELLING, play_telling};
use crate::support::process::{Client, Process};
use crate::support::tools::{descriptors, resident_memory};

const LOST: &str = "ERR upstream lost";
const SILENT: &str = "ERR upstream timed out";
const MAYBE: &str = "ERR upstream lost, the write may or may not have happened";

/// One of them: what a client wants, what comes of it upstream, and what the client reads.
pub struct State {
    pub request: String,
    /// What is asked and answered first.
    before: Vec<(String, String)>,
    question: String,
    /// The whole answer to the question.
    pub answer: String,
    /// What the client reads then.
    pub replies: Vec<String>,
    /// The same if the answer is not whole, and the connection is lost or silent.
    pub lost: Vec<String>,
    pub silent: Vec<String>,
    /// Whether any reply at all may be the answer.
    pub takes_any: bool,
    /// Replies that are no answer to it, if there are some.
    pub wrong: Vec<String>,
}

impl State {
    fn new(request: &str, question: &str, answer: &str, replies: &[&str]) -> State {
        let is_write =
            ["SET", "PUT", "DEL", "*1"].contains(&request.split([' ', '\r']).next().unwrap_or(""));
        let wrong: &[&str] = match question.split_once(' ') {
            Some(("GET", _)) => &[":1", "+OK", "*0", "*1\r\n$1\r\nv"],
            Some(("SET", _)) => &[":1", "$1\r\nv", "+QUEUED", "*-1x"],
            Some(("DEL", _)) => &["+OK", "$-1", ":-1", ":x"],
            Some(("SCAN", _)) => &["$-1", "*1\r\n$1\r\n0", "*2\r\n$1\r\n0\r\n:1", ":1"],
            _ => &[],
        };
        // The life of a key comes before its value.
        let before = if answer.starts_with(":-1") { ":-1\r\n" } else { "" };
        State {
            request: format!("{request}\r\n"),
            before: Vec::new(),
            question: question.to_string(),
            answer: answer.to_string(),
            replies: replies.iter().map(|it| it.to_string()).collect(),
            lost: vec![if is_write { MAYBE } else { LOST }.to_string()],
            silent: vec![if is_write { MAYBE } else { SILENT }.to_string()],
            takes_any: false,
            wrong: wrong.iter().map(|reply| format!("{before}{reply}\r\n")).collect(),
        }
    }

    /// Those of a connection that stands; all keys and values have this name in them.
    pub fn all(name: &str) -> Vec<State> {
        let value = format!(":-1\r\n${}\r\nof {name}\r\n", name.len() + 3);
        let bulk = format!("${}\r\n{name}\r\n", name.len());
        let page = format!("*2\r\n$1\r\n0\r\n*1\r\n{bulk}");
        let get = format!("GET {name}");
        let of_name = format!("of {name}");
        let word = format!(">2\r\n$10\r\ninvalidate\r\n*2\r\n$4\r\nkept\r\n{bulk}{value}");
        let mut pairs =
            State::new("DUMP PAIRS", &get, &value[5..], &[&format!("{name} = of {name}"), "END"]);
        pairs.before = vec![("SCAN 0 COUNT 500".to_string(), page.clone())];
        let get_after_a_word =
            State { answer: word, ..State::new(&get, &get, &value, &[&of_name]) };
        vec![
            State::new(&get, &get, &value, &[&of_name]),
            get_after_a_word,
            State::new(&format!("SET {name} v"), &format!("SET {name} v"), "+OK\r\n", &["OK"]),
            State::new(
                &format!("PUT {name} v"),
                &format!("SET {name} v NX"),
                "$-1\r\n",
                &["Key already exists"],
            ),
            State::new(&format!("DEL {name}"), &format!("DEL {name}"), ":1\r\n", &["OK"]),
            State::new("DUMP", "SCAN 0 COUNT 500", &page, &[name]),
            pairs,
            State::length(name),
            State::block(name),
        ]
    }

    /// A command whose reply is passed on as it is.
    fn length(name: &str) -> State {
        let request = format!("*2\r\n$6\r\nSTRLEN\r\n${}\r\n{name}", name.len());
        let mut state =
            State::new(&request, &format!("STRLEN {name}"), ":1234567\r\n", &[":1234567"]);
        (state.lost, state.silent) = (vec![format!("-{LOST}")], vec![format!("-{SILENT}")]);
        state.takes_any = true;
        state
    }

    /// A transaction, which is sent whole.
    fn block(name: &str) -> State {
        let bulk = format!("${}\r\n{name}\r\n", name.len());
        let request = format!(
            "*1\r\n$5\r\nMULTI\r\n*3\r\n$3\r\nSET\r\n{bulk}{bulk}*2\r\n$3\r\nGET\r\n{bulk}\
             *1\r\n$4\r\nEXEC"
        );
        let answer = format!("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n{bulk}");
        let length = format!("${}", name.len());
        let begun = ["+OK", "+QUEUED", "+QUEUED"];
        let mut state = State::new(
            &request,
            "EXEC",
            &answer,
            &[&begun[..], &["*2", "+OK", &length, name]].concat(),
        );
        let asked = ["MULTI".to_string(), format!("SET {name} {name}"), format!("GET {name}")];
        state.before = asked.map(|question| (question, String::new())).to_vec();
        let failed = begun.iter().map(|it| it.to_string()).chain([format!("-{MAYBE}")]);
        state.lost = failed.collect();
        state.silent = state.lost.clone();
        state
    }
}

/// A proxy whose upstream tells of changes, with a client that has something in flight and one
/// that has something in the cache.
pub struct Stage {
    pub fake: Fake,
    pub proxy: Process,
    link: Option<Link>,
    pub client: Client,
    pub other: Client,
    round: usize,
}

impl Stage {
    pub fn new(flags: &[&str]) -> Stage {
        let (fake, proxy, link, client) = play_telling(&[&["--trust", "60"], flags].concat());
        let other = proxy.client();
        let mut stage = Stage { fake, proxy, link: Some(link), client, other, round: 0 };
        stage.check_begins_empty();
        stage
    }

    /// The connection.
    pub fn link(&mut self) -> &mut Link {
        self.link.as_mut().expect("it was not taken, or there is another")
    }

    /// The connection, for the test to end.
    pub fn take_link(&mut self) -> Link {
        self.link.take().expect("it was not taken, or there is another")
    }

    /// Gives it back.
    pub fn put_link(&mut self, link: Link) {
        self.link = Some(link);
    }

    /// Has the client ask, and the upstream hear it.
    #[track_caller]
    pub fn ask(&mut self, state: &State) {
        self.client.send(&state.request);
        for (question, answer) in &state.before {
            self.link().expect(question);
            self.link().push(answer);
        }
        self.link().expect(&state.question);
    }

    /// Has the client ask, and the upstream say what costs the connection: it ends at once, or when
    /// the upstream leaves, if only that makes nonsense of it.
    #[track_caller]
    pub fn spoil(&mut self, state: &State, nonsense: &[u8], ends: bool) {
        self.ask(state);
        let mut link = self.take_link();
        link.push(nonsense);
        if ends {
            link.finish_sending();
        }
        let shown = nonsense[..nonsense.len().min(60)].escape_ascii();
        let lines = self.client.lines(state.lost.len());
        assert_eq!(lines, state.lost, "{shown} for {}", state.question);
        link.expect_end();
        self.go_on();
    }

    /// Waits for the next connection, on which the proxy must know nothing.
    #[track_caller]
    pub fn go_on(&mut self) {
        self.link = Some(self.fake.accept_telling());
        self.check_begins_empty();
    }

    /// What was kept is asked for again; then it is kept.
    #[track_caller]
    fn check_begins_empty(&mut self) {
        self.round += 1;
        let value = format!("kept since {}", self.round);
        let link = self.link.as_mut().expect("there is another");
        link.serve(&mut self.other, "kept", &value);
        assert_eq!(self.other.ask("GET kept"), value);
    }

    /// The next connection, with its greeting answered but for the last of so many questions.
    /// Clients that come meanwhile wait for it.
    #[track_caller]
    pub fn accept_up_to(&self, questions: usize) -> Link {
        let mut link = self.fake.accept_in_silence();
        for (at, (question, answer)) in TELLING[..questions].iter().enumerate() {
            link.expect(question);
            if at + 1 < questions {
                link.push(answer);
            }
        }
        link
    }

    /// Descriptors and memory of the proxy.
    pub fn takes(&self) -> (usize, usize) {
        (descriptors(self.proxy.id()), resident_memory(self.proxy.id()))
    }

    /// Nothing was left behind since it took `before`.
    #[track_caller]
    pub fn check_no_growth(&self, what: &str, before: (usize, usize)) {
        let now = self.takes();
        let grown = now.1 as i64 - before.1 as i64;
        println!("{what}: {} connections, memory grew by {} KiB", self.round, grown >> 10);
        assert_eq!(now.0, before.0, "descriptors");
        assert!(grown < 2 << 20, "{grown} bytes more than {}", before.1);
    }
}
