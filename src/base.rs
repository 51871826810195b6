//! Data structures that know nothing of Larder: bytes, memory, time, numbers and patterns.
//!
//! - Bytes: [`buffer`] a queue of bytes and its pool · [`output`] what waits to be sent to one peer
//! - Memory: [`arena`] a vector in huge pages · [`segmented_slab`] values by number · [`dropped`]
//!   what is freed a piece at a time
//! - Lookups: [`index`] hash to handle · [`age_list`] entries by age · [`glob`] the patterns of
//!   `KEYS`
//! - Time: [`clock`] moments on both clocks · [`timer_wheel`] deadlines in order
//! - Text: [`escape`] untrusted bytes made printable · [`units`] how sizes and times are written

pub mod age_list;
pub mod arena;
pub mod buffer;
pub mod clock;
pub mod dropped;
pub mod escape;
pub mod glob;
pub mod index;
pub mod output;
pub mod segmented_slab;
pub mod timer_wheel;
pub mod units;
