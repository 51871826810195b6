//! The timer wheel, warm: 10,000 timers over a minute, as with 10,000 connections or cached keys.
//! Then, with many more, the longest that any one call takes.

mod support;

use larder::base::timer_wheel::{TimerId, TimerWheel};
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
    cancel(&mut wheel, ids);
    table.timed_row("expire, by steps of 1 ms, 6 a timer", TIMERS, || {
        insert(&mut wheel, now, &delays);
        let took = timed(|| {
            for _ in 0..MINUTE {
                now += Duration::from_millis(1);
                while let Some(value) = wheel.take_due(now) {
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
            while let Some(value) = wheel.take_due(now) {
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

/// Keys were set within a minute, to live for an hour or a second longer. Half of the timers are
/// cancelled, in no order, a quarter fires, and a quarter is given back.
fn longest_calls(table: &mut Table, timers: usize) {
    let kinds = ["insert", "cancel", "expire", "value given back"];
    let name = |kind| format!("longest {kind}, {} timers", grouped(timers as u64));
    if !kinds.iter().any(|kind| table.wants(&name(kind))) {
        return;
    }
    let (timers, rounds) = if table.once() { (10_000, 1) } else { (timers, 2) };
    let mut clocks = kinds.map(|_| Clock { least: Vec::new(), calls: 0 });
    for _ in 0..rounds {
        let mut numbers = Numbers(1);
        let origin = Instant::now();
        let mut wheel = TimerWheel::new(origin);
        let mut ids = Vec::with_capacity(timers);
        for at in 0..timers {
            let age = Duration::from_secs(60) * at as u32 / timers as u32;
            let life = Duration::from_micros((3_600_000_000 + numbers.below(1_000_000)) as u64);
            ids.push(clocks[0].measure(|| wheel.insert(origin + age + life, at as u32)));
        }
        // As in a program, the heap does not end with this. Once its end is free, glibc gives it
        // back to the system, all at once: a millisecond for 8 MB.
        let end_of_heap = Box::new([0u8; 64 << 10]);
        numbers.shuffle(&mut ids);
        for id in &ids[timers / 2..] {
            clocks[1].measure(|| wheel.cancel(*id));
        }
        drop(ids);
        while wheel.len() > timers / 4
            && let Some(now) = wheel.next_deadline()
        {
            while clocks[2].measure(|| wheel.take_due(now)).is_some() {}
        }
        let mut values = wheel.into_values();
        while clocks[3].measure(|| values.next()).is_some() {}
        clocks[3].measure(|| drop(values));
        drop(black_box(end_of_heap));
        clocks.iter_mut().for_each(|clock| clock.calls = 0);
    }
    for (kind, clock) in kinds.iter().zip(clocks) {
        let mean = clock.least.iter().map(|&took| f64::from(took)).sum::<f64>();
        let remark = format!("   mean {:.0}", mean / clock.least.len() as f64);
        let longest = clock.least.into_iter().max().expect("there were calls");
        table.print(&name(kind), &mut [f64::from(longest)], &remark);
    }
}

/// Measures calls one by one, with the clock's own cost.
struct Clock {
    /// Of each call the least nanoseconds of all rounds. A call is interrupted in one round, but
    /// what is long by itself is long in each.
    least: Vec<u32>,
    calls: usize,
}

impl Clock {
    fn measure<T>(&mut self, call: impl FnOnce() -> T) -> T {
        let start = processor_time();
        let result = call();
        let took = (processor_time() - start).as_nanos() as u32;
        match self.least.get_mut(self.calls) {
            Some(least) => *least = took.min(*least),
            None => self.least.push(took),
        }
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
