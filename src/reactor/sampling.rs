//! Which turns of clients are measured: while there are few, all; then some of them, at distances
//! that are drawn at random, so that no rhythm of the clients hides one of them.

/// The turns of which each is measured, in about a second: to measure one takes some 150 ns.
const MEASURED_WHOLE: u32 = 1000;

/// The turns for which one measured turn stands after those, in the mean.
const MEAN_GAP: u32 = 32;

/// Chooses the turns to measure.
#[derive(Debug)]
pub struct Sampling {
    /// The turns up to the next that is measured, with that one.
    left: u32,
    /// The turns for which that one stands.
    gap: u32,
    /// The turns that are each measured, before gaps begin.
    whole: u32,
    random: u32,
}

impl Sampling {
    /// Returns a sampling that begins with the next turn.
    pub fn new() -> Sampling {
        Sampling { left: 1, gap: 1, whole: MEASURED_WHOLE, random: 0x9E37_79B9 }
    }

    /// Has each of the next turns be measured again, up to a number. To be called once a second.
    pub fn refill(&mut self) {
        self.whole = MEASURED_WHOLE;
        // The next stands for those that came after the last.
        self.gap -= self.left - 1;
        self.left = 1;
    }

    /// Counts a turn. Returns for how many turns it stands, if it is to be measured; else 0.
    #[inline]
    pub fn next_turn(&mut self) -> u32 {
        self.left -= 1;
        if self.left > 0 { 0 } else { self.measured() }
    }

    #[cold]
    fn measured(&mut self) -> u32 {
        let stands_for = self.gap;
        self.gap = if self.whole > 0 {
            self.whole -= 1;
            1
        } else {
            // Xorshift, by Marsaglia.
            self.random ^= self.random << 13;
            self.random ^= self.random >> 17;
            self.random ^= self.random << 5;
            1 + self.random % (2 * MEAN_GAP - 1)
        };
        self.left = self.gap;
        stands_for
    }
}

#[cfg(test)]
mod tests;
