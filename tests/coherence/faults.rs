//! What goes wrong while clients work.

use crate::history::{Span, Upheavals};
use crate::support::process::Process;
use crate::support::random::Random;
use crate::support::tools::{signal, stat, stats, wait_until};
use crate::support::wire::Wire;
use crate::upstream::{Kind, Upstream};
use crate::work::Shared;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    Calm,
    /// The upstream closes the connections of the proxies.
    ClientKill,
    /// A proxy does not run for a while.
    StopProxy,
    /// The upstream does not.
    StopUpstream,
    /// All keys are removed.
    FlushAll,
    /// The upstream remembers few of the keys that the proxies have read.
    SmallTable,
    /// It is killed, and comes back with nothing.
    Restart,
    /// Now one of the others of the run, now another.
    Mixed,
    /// A proxy does not hear the upstream for a while, which hears it. There must be wires.
    Silence,
}

/// What can be done to the processes.
pub const PROCESSES: &[Fault] = &[
    Fault::Calm,
    Fault::ClientKill,
    Fault::StopProxy,
    Fault::StopUpstream,
    Fault::FlushAll,
    Fault::SmallTable,
    Fault::Restart,
    Fault::Mixed,
];

/// What can be done to the links.
pub const LINKS: &[Fault] = &[Fault::Silence, Fault::Restart];

/// What faults are done to.
pub struct Scene<'a> {
    pub kind: Kind,
    pub upstream: Option<Upstream>,
    pub proxies: &'a [Process; 2],
    /// The links of the proxies to the upstream, or none.
    pub wires: &'a [Wire],
    pub faults: &'a [Fault],
    pub shared: &'a Shared,
    pub random: Random,
    /// The longest time for which anything stands still.
    pub longest_stop: Duration,
    pub upheavals: Upheavals,
}

impl Scene<'_> {
    /// Does one thing after the other, each again and again for `time`.
    pub fn run(&mut self, time: Duration) {
        for &fault in self.faults {
            let began = Instant::now();
            self.set_table(if fault == Fault::SmallTable { 2 } else { 1_000_000 });
            let mut count = 0;
            while count == 0 || began.elapsed() < time {
                let one = match fault {
                    Fault::Mixed => self.faults[self.random.below(self.faults.len())],
                    fault => fault,
                };
                self.happen(one);
                self.pass(Duration::from_millis(150));
                count += 1;
            }
            for proxy in self.proxies {
                let mut client = proxy.client();
                wait_until("all is well again", || stat(&mut client, "coherence_level") == 1);
            }
        }
    }

    fn upstream(&self) -> &Upstream {
        self.upstream.as_ref().expect("it runs")
    }

    fn set_table(&self, keys: usize) {
        let keys = keys.to_string();
        self.upstream().tell(&["CONFIG", "SET", "tracking-table-max-keys", &keys]);
    }

    /// Lets some time pass, up to the longest.
    fn pass(&mut self, longest: Duration) {
        let time = self.random.below(longest.as_micros() as usize);
        self.shared.end.comes_within(Duration::from_micros(time as u64));
    }

    fn happen(&mut self, fault: Fault) {
        match fault {
            Fault::Calm | Fault::SmallTable | Fault::Mixed => {}
            Fault::Silence => {
                let at = self.random.below(self.wires.len());
                self.wires[at].set_silent(true);
                self.stand_still();
                self.wires[at].set_silent(false);
            }
            Fault::ClientKill => {
                self.upstream().kill_connections();
            }
            Fault::StopProxy => {
                let id = self.proxies[self.random.below(2)].id();
                self.stop(id);
            }
            Fault::StopUpstream => {
                let id = self.upstream().id();
                let span = self.stop(id);
                self.upheavals.stops.push(span);
            }
            Fault::FlushAll => {
                let begin = self.begin_removal();
                self.upstream().tell(&["FLUSHALL"]);
                self.end_removal(begin);
            }
            Fault::Restart => {
                let address = self.upstream().address();
                let begin = self.begin_removal();
                self.upstream = None;
                self.end_removal(begin);
                self.pass(Duration::from_millis(50));
                self.upstream = Some(Upstream::start_again(self.kind, address));
            }
        }
    }

    /// Lets much of the longest stop pass.
    fn stand_still(&mut self) {
        self.shared.end.comes_within(self.longest_stop / 4);
        self.pass(self.longest_stop * 3 / 4);
    }

    fn stop(&mut self, id: u32) -> Span {
        let begin = Instant::now();
        signal(id, "STOP");
        self.stand_still();
        signal(id, "CONT");
        Span { begin, end: Instant::now() }
    }

    fn begin_removal(&self) -> Instant {
        self.shared.removals.fetch_add(1, Ordering::SeqCst);
        Instant::now()
    }

    fn end_removal(&mut self, begin: Instant) {
        self.upheavals.removals.push(Span { begin, end: Instant::now() });
        self.shared.removals.fetch_add(1, Ordering::SeqCst);
    }

    /// What the proxies count, together.
    pub fn counted(&self, name: &str) -> u64 {
        self.proxies.iter().map(|proxy| stats(&mut proxy.client())[name]).sum()
    }
}
