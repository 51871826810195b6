//! How long many things took: counted by size, so that millions of them need 30 KiB.

use std::time::Duration;

/// Steps in each doubling: what is told is too large by at most a 64th.
const STEPS: u64 = 64;
const DOUBLINGS: u64 = 64 - STEPS.trailing_zeros() as u64;

/// A count for each step of time. Below 64 ns a step is a nanosecond, and so on in each doubling:
/// below 128 ns one, below 256 ns two.
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    longest: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        let counts = vec![0; ((DOUBLINGS + 1) * STEPS) as usize];
        Histogram { counts, total: 0, longest: Duration::ZERO }
    }
}

impl Histogram {
    /// Counts one, or several that took as long.
    pub fn record(&mut self, took: Duration, count: usize) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.counts[step(nanoseconds)] += count as u64;
        self.total += count as u64;
        self.longest = self.longest.max(took);
    }

    /// What this share of them did not take longer than; zero if there are none.
    pub fn quantile(&self, share: f64) -> Duration {
        let wanted = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut counted = 0;
        let found = self.counts.iter().position(|count| {
            counted += count;
            counted >= wanted
        });
        let most = found.map_or(0, |step| longest_in(step as u64));
        Duration::from_nanos(most).min(self.longest)
    }

    /// How many there are.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The longest of all, exactly.
    pub fn longest(&self) -> Duration {
        self.longest
    }
}

fn step(nanoseconds: u64) -> usize {
    let doubling = (nanoseconds | (STEPS - 1)).ilog2() - (STEPS - 1).ilog2();
    match doubling {
        0 => nanoseconds as usize,
        _ => ((u64::from(doubling) - 1) * STEPS + (nanoseconds >> (doubling - 1))) as usize,
    }
}

fn longest_in(step: u64) -> u64 {
    let doubling = step / STEPS;
    match doubling {
        0 => step,
        _ => {
            ((((step % STEPS) + STEPS + 1) as u128) << (doubling - 1)).min(u64::MAX.into()) as u64
                - 1
        }
    }
}
