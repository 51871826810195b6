//! Rare bytes, sought eight at a time.

/// One in each byte.
const EACH: u64 = 0x0101_0101_0101_0101;

/// Returns the position of the first byte that `is_it` accepts. It may accept bytes up to `most`,
/// which is below 127, and 127 and 255; all others are passed over eight at a time.
#[inline]
pub fn find(bytes: &[u8], most: u8, is_it: impl Fn(u8) -> bool) -> Option<usize> {
    let mut rest = bytes;
    while let Some((eight, after)) = rest.split_first_chunk() {
        let eight = u64::from_le_bytes(*eight);
        // The highest bit of a byte is set if the byte may be sought. A borrow may set it by
        // mistake, but only above a byte that is rightly set.
        let low = eight.wrapping_sub(EACH * u64::from(most + 1)) & !eight;
        let ones = (eight & (EACH * 0x7f)) + EACH;
        let suspects = (low | ones) & (EACH * 0x80);
        if suspects == 0 {
            rest = after;
            continue;
        }
        let at = suspects.trailing_zeros() as usize / 8;
        if is_it(rest[at]) {
            return Some(bytes.len() - rest.len() + at);
        }
        rest = &rest[at + 1..];
    }
    let passed = bytes.len() - rest.len();
    rest.iter().position(|&byte| is_it(byte)).map(|at| passed + at)
}

#[cfg(test)]
mod tests;
