//! What must be so whenever all rest.

use crate::ground::{Ground, WORKERS, count};
use crate::support::process::{Client, Process};
use crate::support::tools::{descriptors, resident_memory, stat, stats, wait_until};
use crate::support::wire::Wire;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// What the programs take while all rest and nothing is stored: descriptors, and bytes of memory.
pub type Taken = [(usize, usize); 2];

pub struct Checks<'a> {
    pub ground: &'a Ground,
    pub server: &'a Process,
    pub proxy: &'a Process,
    pub wire: &'a Wire,
    /// A client of each that only asks for figures. That of the proxy is one that it counts.
    pub at_server: Client,
    pub at_proxy: Client,
}

impl Checks<'_> {
    /// Checks all of it, and has everything begin with nothing.
    pub fn run(&mut self) -> Taken {
        let at_proxy = &mut self.at_proxy;
        wait_until("all is answered", || {
            let now = stats(at_proxy);
            now["upstream_up"] == 1
                && now["upstream_unanswered"] == 0
                && now["connections_now"] == WORKERS as u64 + 1
        });
        self.check_requests();
        self.check_keys();
        self.begin_anew();
        self.check_a_lost_link_empties_the_cache();
        self.check_logs();
        self.taken()
    }

    fn check_requests(&mut self) {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let asked = &self.ground.asked;
        let now = stats(&mut self.at_proxy);
        // The watcher is one.
        assert_eq!(now["connections_total"], get(&asked.connections) + 1);
        let stat = |name: &str| now.get(name).copied().unwrap_or(0);
        let (gets, in_blocks) = (get(&asked.gets), get(&asked.gets_in_blocks));
        let most = gets + in_blocks + get(&asked.gets_of_leavers);
        let got = stat("requests_get");
        assert!(
            (gets + in_blocks..=most).contains(&got),
            "{got}, not {gets} + {in_blocks}: {most}"
        );
        let looked_up = stat("hits") + stat("misses");
        assert_eq!(looked_up, got - in_blocks + get(&asked.gathered), "hits and misses: {now:?}");
        let server = stats(&mut self.at_server);
        let (hits, misses) = (server["hits"], server["misses"]);
        // Each looks one key up; but not in a transaction whose end never came.
        let most: u64 =
            ["get", "pttl", "strlen", "mget"].map(|it| requests(&server, it)).iter().sum();
        let looked_up = hits + misses;
        assert!(
            (most - in_blocks..=most).contains(&looked_up),
            "{looked_up} of {most}: {server:?}"
        );
    }

    /// What the server says of its keys is what it has.
    fn check_keys(&mut self) {
        let at_server = &mut self.at_server;
        wait_until("short lives are over", || stat(at_server, "keys_expiring") == 0);
        let now = stats(at_server);
        at_server.send("DUMP PAIRS\r\n");
        let pairs = at_server.until_end();
        let pairs: Vec<_> = pairs.iter().filter_map(|line| line.split_once(" = ")).collect();
        let keys: u64 = pairs.iter().map(|(key, _)| key.len() as u64).sum();
        let values: u64 = pairs.iter().map(|(_, value)| value.len() as u64).sum();
        let counted = (now["keys"], now["key_bytes"], now["value_bytes"]);
        assert_eq!(counted, (pairs.len() as u64, keys, values));
        for unwanted in ["smuggled", "half"] {
            assert!(pairs.iter().all(|(key, _)| *key != unwanted), "{unwanted} was written");
        }
    }

    /// Once nothing is kept, nothing is counted.
    fn check_a_lost_link_empties_the_cache(&mut self) {
        let at_proxy = &mut self.at_proxy;
        assert_eq!(at_proxy.ask("GET nothing"), "Key not found");
        count(&self.ground.asked.gets, 1);
        assert_eq!(stat(at_proxy, "cache_entries"), 1);
        let connects = stat(at_proxy, "upstream_connects");
        self.wire.cut();
        wait_until("it is connected again", || {
            let now = stats(at_proxy);
            now["upstream_connects"] > connects && now["upstream_up"] == 1
        });
        wait_until("what was kept is freed", || stat(at_proxy, "cache_bytes") == 0);
        assert_eq!(stat(at_proxy, "cache_entries"), 0);
    }

    /// Everything is deleted, and the proxy is told.
    fn begin_anew(&mut self) {
        self.at_server.send("*1\r\n$8\r\nFLUSHALL\r\n");
        assert_eq!(self.at_server.line(), "+OK");
        self.ground.slots.iter().for_each(|slot| slot.begin_anew());
        let at_proxy = &mut self.at_proxy;
        // What it is told comes before the reply to what it asks afterwards; and a connection that
        // is made afterwards has nothing to tell.
        wait_until("the proxy is told", || at_proxy.ask("DEL nothing") == "Key not found");
        assert_eq!(stat(at_proxy, "cache_entries"), 0);
        wait_until("what was kept is freed", || stat(at_proxy, "cache_bytes") == 0);
        let now = stats(&mut self.at_server);
        assert_eq!((now["keys"], now["key_bytes"], now["value_bytes"]), (0, 0, 0));
    }

    fn check_logs(&self) {
        for process in [self.server, self.proxy] {
            let log = process.log();
            assert!(!log.contains(" ERROR ") && !log.contains("panicked"), "{log}");
        }
    }

    fn taken(&mut self) -> Taken {
        // What was closed may be waited for, for a while.
        for (client, process, most) in [
            (&mut self.at_server, self.server, WORKERS as u64 + 2),
            (&mut self.at_proxy, self.proxy, WORKERS as u64 + 1),
        ] {
            wait_until("the others are gone", || stat(client, "connections_now") == most);
            let mut before = 0;
            wait_until("their descriptors are back", || {
                let same = before == descriptors(process.id());
                before = descriptors(process.id());
                same
            });
        }
        [self.server, self.proxy].map(|it| (descriptors(it.id()), resident_memory(it.id())))
    }
}

pub fn requests(stats: &HashMap<String, u64>, command: &str) -> u64 {
    stats.get(&format!("requests_{command}")).copied().unwrap_or(0)
}
