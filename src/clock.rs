//! Moments on both clocks. Nothing here reads a clock: the loop does, and hands the time on.

use std::time::{Duration, Instant};

/// A moment on both clocks: the monotonic one, by which things wait, and the wall clock, by which
/// keys expire and people tell the time.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// The monotonic clock.
    pub instant: Instant,
    /// Milliseconds since 1970, UTC.
    pub unix_millis: u64,
}

impl Now {
    /// Seconds since 1970, UTC, until 2106.
    pub fn unix_seconds(self) -> u32 {
        (self.unix_millis / 1000) as u32
    }

    /// When `unix_millis` will be on the monotonic clock, as far as is known now. What lies before
    /// now is now; what lies too far away to be told is in thirty years.
    pub fn instant_of(self, unix_millis: u64) -> Instant {
        const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 3600);
        let wait = Duration::from_millis(unix_millis.saturating_sub(self.unix_millis));
        self.instant + wait.min(FAR)
    }
}

/// The wall clock as it was read last, carried on by the monotonic one.
#[derive(Clone, Copy, Debug)]
pub struct WallClock {
    read_at: Instant,
    unix: Duration,
}

impl WallClock {
    /// How long a reading is good for: the clock may be set, and the machine may have slept.
    const GOOD_FOR: Duration = Duration::from_secs(1);

    /// A clock that showed `unix`, since 1970, at `read_at`.
    pub fn new(read_at: Instant, unix: Duration) -> WallClock {
        WallClock { read_at, unix }
    }

    /// Whether it should be read again.
    #[inline]
    pub fn is_stale(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.read_at) > Self::GOOD_FOR
    }

    /// The time since 1970 at `now`.
    #[inline]
    pub fn unix(&self, now: Instant) -> Duration {
        self.unix + now.saturating_duration_since(self.read_at)
    }

    /// The moment `now` on both clocks.
    #[inline]
    pub fn at(&self, now: Instant) -> Now {
        Now { instant: now, unix_millis: self.unix(now).as_millis() as u64 }
    }
}
