//! Sessions, asked as clients ask them. Replies are shown with a blank for each line end.

mod clients;
mod command_docs;
mod connection;
mod program;

use super::*;
use crate::base::buffer::Buffer;
use crate::base::clock::WallClock;
use crate::handler::{ConnId, Outbox};
use crate::session::clients as all;
use crate::session::transaction::TransactionStep;
use crate::settings::Program;
use crate::settings::Settings;
use crate::stats::Stats;

/// When the sessions begin: 2001-09-09, and some microseconds.
const BEGINNING: Duration = Duration::from_micros(1_000_000_000_123_456);

/// A program without keys, and its clients; a number names each, from 1 on.
struct Desk {
    program: Program,
    stats: Stats,
    settings: Settings,
    outbox: Outbox,
    start: Instant,
    unix: Duration,
    sessions: Vec<(ConnId, Session)>,
    /// Who was to be closed.
    closed: Vec<u32>,
}

impl Desk {
    /// With one client, number 1.
    fn new() -> Desk {
        let start = Instant::now();
        let mut desk = Desk {
            program: Program::Server,
            stats: Stats::default(),
            settings: Settings::default(),
            outbox: Outbox::new(WallClock::new(start, BEGINNING)),
            start,
            unix: BEGINNING,
            sessions: Vec::new(),
            closed: Vec::new(),
        };
        desk.enter("127.0.0.1:4001");
        desk
    }

    fn enter(&mut self, peer: &str) {
        let session = Session::new(peer.parse().expect("an address"), self.now());
        self.sessions.push((self.outbox.admit(), session));
    }

    fn now(&self) -> Now {
        WallClock::new(self.start, self.unix).at(self.start)
    }

    fn session(&mut self, number: usize) -> &mut Session {
        &mut self.sessions[number - 1].1
    }

    /// The reply to one request in RESP, whether it is wanted or not: words apart by blanks, `\_`
    /// a blank in a word, `\n` and `\r` line ends, `''` an empty word.
    fn reply(&mut self, number: usize, line: &str) -> String {
        let words: Vec<String> = line.split(' ').map(unescaped).collect();
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        let mut input = Buffer::new();
        resp::push_request(&mut input, &words);
        let (mut scratch, mut out, now) = (Scratch::default(), Output::new(), self.now());
        let limits = self.settings.limits;
        let (conn, session) = &mut self.sessions[number - 1];
        let conn = *conn;
        match session.decode(input.bytes(), &mut scratch, &limits).1 {
            Decoded::Request(request) => {
                session.note_activity(now);
                session.note_command(request.command.verb);
                self.stats.count_request(request.command);
                let style = session.style(request.form, Some(request.command.verb));
                match session.connection_command(
                    &request,
                    conn,
                    self.unix,
                    &Identity::default(),
                    &mut out,
                    &mut self.stats,
                ) {
                    Outcome::Answered | Outcome::Reset => {}
                    Outcome::Last => self.closed.push(conn.number()),
                    Outcome::Program => {
                        let (stats, settings) = (&mut self.stats, &mut self.settings);
                        let program = self.program;
                        let identity = &Identity::default();
                        super::program::answer(
                            &request, style, program, identity, stats, settings, &mut out,
                        );
                    }
                    Outcome::Clients(ask) => {
                        let sessions = self.sessions.iter().map(|(conn, session)| (*conn, session));
                        let mut writer = style.writer(&mut out);
                        let closed = all::answer(&ask, conn, sessions, now, &mut writer);
                        self.closed.extend(closed.others.iter().map(|conn| conn.number()));
                        self.closed.extend(closed.own.then(|| conn.number()));
                    }
                }
            }
            Decoded::Refused(form, refusal) => {
                let style = session.refuse(form);
                style.write(
                    &mut out,
                    Origin::Server,
                    Reply::Failure(refusal.to_string().as_bytes()),
                );
            }
            other => panic!("{line}: {other:?}"),
        }
        self.closed.sort_unstable();
        let text = String::from_utf8(out.to_vec()).expect("UTF-8");
        assert!(text.is_empty() || text.ends_with("\r\n"), "{line}: {text}");
        text.replace("\r\n", " ").trim_end().to_string()
    }

    #[track_caller]
    fn check(&mut self, table: &[(&str, &str)]) {
        for (line, expected) in table {
            assert_eq!(self.reply(1, line), *expected, "{line}");
        }
    }
}

fn unescaped(word: &str) -> String {
    match word {
        "''" => String::new(),
        _ => word.replace("\\_", " ").replace("\\n", "\n").replace("\\r", "\r"),
    }
}
