//! The time that requests take of the loop, by command.
//!
//! No clock is read for a request. The driver measures some turns of clients, from the moment at
//! which their input is handed over until all that could be was executed. Such a turn stands for
//! itself and for those since the one that was measured before; its time is shared equally among
//! the requests that were counted in it.

use super::Stats;
use crate::protocol::command::{Command, TABLE};
use std::time::{Duration, Instant};

/// A turn that is measured.
#[derive(Debug)]
pub struct Measure {
    begun: Instant,
    turns: u32,
    /// The requests that were counted before it.
    requests: [u64; TABLE.len()],
}

impl Stats {
    /// Begins to measure a turn, which stands for so many.
    #[cold]
    pub fn begin_turn(&mut self, turns: u32, now: Instant) -> Measure {
        self.continued = None;
        Measure { begun: now, turns, requests: self.values.requests }
    }

    /// Notes that the turn goes on with a request that an earlier turn has counted. If it counts no
    /// other, its time is that request's.
    pub fn continue_request(&mut self, command: &Command) {
        self.continued = Some(command.index());
    }

    /// Ends the measure of a turn, and adds its time to the commands that were executed in it.
    #[cold]
    pub fn end_turn(&mut self, measure: &Measure, now: Instant) {
        let took = now.saturating_duration_since(measure.begun).as_nanos() as u64;
        let nanos = took * u64::from(measure.turns);
        let pairs = self.values.requests.iter().zip(&measure.requests);
        // A request that is held is counted again when it goes on.
        let counts = pairs.map(|(now, before)| now.saturating_sub(*before));
        let total: u64 = counts.clone().sum();
        if total > 0 {
            for (all, count) in self.values.nanos.iter_mut().zip(counts) {
                *all += (u128::from(nanos) * u128::from(count) / u128::from(total)) as u64;
            }
        } else if let Some(index) = self.continued {
            self.values.nanos[index] += nanos;
        }
    }

    /// Returns the time that all requests of a command took of the loop since the last reset; an
    /// estimate.
    pub fn service_time(&self, command: &Command) -> Duration {
        let at = command.index();
        Duration::from_nanos(self.values.nanos[at].saturating_sub(self.reset_at.nanos[at]))
    }
}

#[cfg(test)]
mod tests;
