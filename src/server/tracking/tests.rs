//! Who has read what.
