//! The timer wheel, warm: 10,000 timers over a minute, as with 10,000 connections or cached keys.
//! Then, with many more, the longest that any one call takes.

mod support;

use larder::timer_wheel::{TimerId, TimerWheel};
use std::hint::black_box;
use std::time::{Duration, Instant};
use support::{Numbers, Table, grouped, processor_time};

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
    for timers in [1_000_000, 20_000_000] {
        longest_calls(&mut table, timers);
    }
}

/// Timers an hour ahead, within a minute: their keys were set in a minute and live for an hour.
/// Half of them are cancelled, in no order, and a quarter fires.
fn longest_calls(table: &mut Table, timers: usize) {
    let calls = ["insert", "cancel", "expire", "value given back"];
    let name = |call| format!("longest {call}, {} timers", grouped(timers as u64));
    if !calls.iter().any(|call| table.wants(&name(call))) {
        return;
    }
    let (timers, rounds) = if table.once() { (10_000, 1) } else { (timers, 3) };
    let mut longest = calls.map(|_| Vec::new());
    let mut means = calls.map(|_| 0.0);
    for _ in 0..rounds {
        let mut numbers = Numbers(1);
        let mut now = Instant::now();
        let mut wheel = TimerWheel::new(now);
        let mut clocks = calls.map(|_| Longest::new());
        let mut ids = Vec::with_capacity(timers);
        for at in 0..timers {
            let delay = Duration::from_micros((3_600_000_000 + numbers.below(60_000_000)) as u64);
            ids.push(clocks[0].measure(|| wheel.insert(now + delay, at)));
        }
        numbers.shuffle(&mut ids);
        for id in &ids[timers / 2..] {
            clocks[1].measure(|| wheel.cancel(*id));
        }
        while wheel.len() > timers / 4
            && let Some(next) = wheel.next_deadline()
        {
            now = next;
            while clocks[2].measure(|| wheel.expire(now)).is_some() {}
        }
        let mut values = wheel.into_values();
        while clocks[3].measure(|| values.next()).is_some() {}
        clocks[3].measure(|| drop(values));
        for (at, clock) in clocks.iter().enumerate() {
            longest[at].push(clock.longest.as_nanos() as f64);
            means[at] = clock.sum.as_nanos() as f64 / f64::from(clock.calls);
        }
    }
    for (at, call) in calls.iter().enumerate() {
        table.print(&name(call), &mut longest[at], &format!("   mean {:.0}", means[at]));
    }
}

/// The longest of many calls, by the processor's time; the mean has the clock's own cost in it.
struct Longest {
    longest: Duration,
    sum: Duration,
    calls: u32,
}

impl Longest {
    fn new() -> Longest {
        Longest { longest: Duration::ZERO, sum: Duration::ZERO, calls: 0 }
    }

    fn measure<T>(&mut self, call: impl FnOnce() -> T) -> T {
        let start = processor_time();
        let result = call();
        let took = processor_time() - start;
        self.longest = self.longest.max(took);
        self.sum += took;
        self.calls += 1;
        result
    }
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
