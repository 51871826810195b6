//! Moments on both clocks. Nothing here reads a clock: the loop does, and hands the time on.

use std::time::{Duration, Instant};

/// How far ahead of now an `Instant` is ever made: a century. On every system that many can be
/// added, and a timer that fires then may be set anew.
const FARTHEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// A moment on both clocks: the monotonic one, by which deadlines are kept, and the wall clock, by
/// which keys expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The monotonic clock.
    pub instant: Instant,
    /// Milliseconds since 1970, UTC.
    pub unix_millis: u64,
}

impl Now {
    /// Returns the moment `passed` later, unless the wall clock is set in between.
    pub fn plus(self, passed: Duration) -> Now {
        let millis = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
        Now { instant: self.instant + passed, unix_millis: self.unix_millis.saturating_add(millis) }
    }

    /// Returns the seconds since 1970, UTC, until 2106.
    pub fn unix_seconds(self) -> u32 {
        (self.unix_millis / 1000) as u32
    }

    /// Returns when the wall clock will show `unix_millis`, unless it is set in between: now, if it
    /// does or is past it; in a century, if it takes longer.
    pub fn instant_of(self, unix_millis: u64) -> Instant {
        let ahead = Duration::from_millis(unix_millis.saturating_sub(self.unix_millis));
        self.instant + ahead.min(FARTHEST)
    }
}

/// The wall clock as it was read last, carried on by the monotonic one.
#[derive(Clone, Copy, Debug)]
pub struct WallClock {
    read_at: Instant,
    unix: Duration,
}

impl WallClock {
    /// The age at which a reading is stale: the clock may be set, and the machine may have slept.
    const GOOD_FOR: Duration = Duration::from_secs(1);

    /// Returns a clock that showed `unix`, since 1970, at `read_at`.
    pub fn new(read_at: Instant, unix: Duration) -> WallClock {
        WallClock { read_at, unix }
    }

    /// Returns whether it should be read again.
    #[inline]
    pub fn is_stale(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.read_at) > Self::GOOD_FOR
    }

    /// Returns the time since 1970 at `now`.
    #[inline]
    pub fn unix(&self, now: Instant) -> Duration {
        self.unix + now.saturating_duration_since(self.read_at)
    }

    /// Returns the moment `now` on both clocks.
    #[inline]
    pub fn at(&self, now: Instant) -> Now {
        Now { instant: now, unix_millis: self.unix(now).as_millis() as u64 }
    }
}

#[cfg(test)]
mod tests;
