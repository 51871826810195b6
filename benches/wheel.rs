//! The timer wheel, warm: 10,000 timers over a minute, as with 10,000 connections or cached keys.

mod support;

use larder::timer_wheel::{TimerId, TimerWheel};
use std::hint::black_box;
use std::time::{Duration, Instant};
use support::{Numbers, Table};

const TIMERS: usize = 10_000;
const MINUTE: usize = 60_000;

fn main() {
    let mut table = Table::new("timer wheel, 10,000 timers");
    let mut numbers = Numbers(1);
    let delay = |_| Duration::from_millis(1 + numbers.below(MINUTE) as u64);
    let delays: Vec<Duration> = (0..TIMERS).map(delay).collect();

    let mut wheel = TimerWheel::new(Instant::now());
    let mut now = Instant::now();
    table.timed_row("insert", TIMERS, || {
        let (took, ids) = insert(&mut wheel, now, &delays);
        cancel(&mut wheel, ids);
        took
    });
    table.timed_row("cancel", TIMERS, || {
        let (_, ids) = insert(&mut wheel, now, &delays);
        timed(|| cancel(&mut wheel, ids))
    });
    // What a connection with an idle timeout does on every request, at worst.
    let (_, mut ids) = insert(&mut wheel, now, &delays);
    table.row("cancel and insert again", TIMERS, || {
        for (id, &delay) in ids.iter_mut().zip(&delays) {
            wheel.cancel(*id);
            *id = wheel.insert(now + delay, 0);
        }
    });
    wheel.clear();
    table.timed_row("expire, by steps of 1 ms, 6 a timer", TIMERS, || {
        insert(&mut wheel, now, &delays);
        let took = timed(|| {
            for _ in 0..MINUTE {
                now += Duration::from_millis(1);
                while let Some(value) = wheel.expire(now) {
                    black_box(value);
                }
            }
        });
        assert!(wheel.is_empty());
        took
    });
    table.timed_row("expire, by one jump of an hour", TIMERS, || {
        insert(&mut wheel, now, &delays);
        now += Duration::from_secs(3600);
        let took = timed(|| {
            while let Some(value) = wheel.expire(now) {
                black_box(value);
            }
        });
        assert!(wheel.is_empty());
        took
    });
    insert(&mut wheel, now, &delays);
    table.row("next deadline", TIMERS, || {
        for _ in 0..TIMERS {
            black_box(black_box(&wheel).next_deadline());
        }
    });
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn insert(
    wheel: &mut TimerWheel<usize>,
    now: Instant,
    delays: &[Duration],
) -> (Duration, Vec<TimerId>) {
    let mut ids = Vec::with_capacity(delays.len());
    let took = timed(|| {
        for (at, &delay) in delays.iter().enumerate() {
            ids.push(wheel.insert(black_box(now + delay), at));
        }
    });
    (took, ids)
}

fn cancel(wheel: &mut TimerWheel<usize>, ids: Vec<TimerId>) {
    for id in ids {
        assert!(wheel.cancel(black_box(id)).is_some());
    }
}
