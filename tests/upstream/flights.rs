//! Very many clients that want the same.

use crate::support::fake::{play, play_telling};
use crate::support::process::{Client, PATIENCE};
use crate::support::tools::{reset, stat, wait_until};
use std::time::Instant;

/// An upstream that tells of changes or one that does not is not asked whether it lives while this
/// runs. It answers, is killed, or stays silent.
#[test]
fn a_thousand_clients_that_ask_for_one_cold_key_are_one_request_and_all_are_told_what_came_of_it() {
    const LOST: &str = "ERR upstream lost";
    rlimit::increase_nofile_limit(3_000).expect("the limit can be read");
    let ends = [("60", "answer"), ("60", LOST), ("2", "ERR upstream timed out")];
    for (is_telling, (timeout, told)) in
        [false, true].into_iter().flat_map(|it| ends.map(|end| (it, end)))
    {
        let play = if is_telling { play_telling } else { play };
        let (_fake, proxy, mut link, mut watcher) =
            play(&["--trust", "60", "--upstream-timeout", timeout]);
        let mut clients: Vec<Client> = (0..1_000).map(|_| proxy.client()).collect();
        clients.iter_mut().for_each(|client| client.send("GET cold\r\n"));
        link.expect("GET cold");
        wait_until("all are waiting", || stat(&mut watcher, "misses") == 1_000);
        assert_eq!(stat(&mut watcher, "misses_coalesced"), 999);
        assert_eq!(stat(&mut watcher, "coherence_level"), u64::from(is_telling));
        // Some do not wait for the end.
        clients.drain(500..).for_each(reset);
        wait_until("they are gone", || stat(&mut watcher, "connections_now") == 501);
        if told == "answer" {
            link.say_value(told);
        }
        let _link = (told != LOST).then_some(link);
        let started = Instant::now();
        clients.iter_mut().for_each(|client| assert_eq!(client.line(), told));
        assert!(started.elapsed() < PATIENCE / 3, "{:?}", started.elapsed());
    }
}
