//! Bytes of a stranger, made fit for a terminal.

use std::borrow::Cow;

/// Text for a terminal: control characters as `\xHH`, tabs and everything else as they are.
pub fn printable(text: &[u8]) -> Cow<'_, [u8]> {
    const C1_LEAD: u8 = 0xc2;
    // C1 controls are two bytes in UTF-8, and some terminals obey them.
    let is_control = |index: usize| match text[index] {
        b'\t' => false,
        0x80..=0x9f => index > 0 && text[index - 1] == C1_LEAD,
        C1_LEAD => matches!(text.get(index + 1), Some(0x80..=0x9f)),
        byte => byte < b' ' || byte == 0x7f,
    };
    if !(0..text.len()).any(is_control) {
        return Cow::Borrowed(text);
    }
    let mut shown = Vec::with_capacity(text.len() + 16);
    for (index, &byte) in text.iter().enumerate() {
        match is_control(index) {
            true => shown.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
            false => shown.push(byte),
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests;
