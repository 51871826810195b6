//! Pages by examples, and against a map from handles to entries.

use super::*;
use proptest::prelude::*;
use std::collections::HashMap;

fn parts<'a>(key: &'a [u8], value: &'a [u8]) -> Parts<'a> {
    Parts { key, value, lease: None }
}

#[test]
fn a_class_is_the_narrowest_that_holds_the_length() {
    assert!(SIZES.windows(2).all(|pair| pair[0] < pair[1]), "{SIZES:?}");
    for length in 1..=MAX_PAGED {
        let class = class_of(length);
        assert!(usize::from(SIZES[class]) >= length);
        assert!(class == 0 || usize::from(SIZES[class - 1]) < length);
        let slack = usize::from(SIZES[class]) - length;
        let most = if length <= MEDIUM { length / 8 } else { length / 4 };
        assert!(length <= SMALLEST || slack <= most.max(FINE_STEP - 1), "{length}");
    }
    assert_eq!((class_of(MAX_PAGED + 1), class_of(usize::MAX)), (CLASSES, CLASSES));
}

#[test]
fn memory_of_one_class_is_used_by_another() {
    let mut pages = Pages::new();
    let mut keep = Vec::new();
    for _ in 0..100_000 {
        keep.push(pages.insert(&parts(b"0123456789", &[b'v'; 50])));
    }
    let full = pages.class_of_page.len();
    // Half of them, here and there: what is left moves together.
    let mut count = keep.len();
    while count > 50_000 {
        pages.remove(keep[count * 7919 % 50_000]);
        assert!(pages.move_last().is_none(), "they stand close enough");
        count -= 1;
    }
    for _ in 0..30_000 {
        pages.insert(&parts(b"0123456789", &[b'v'; 80]));
    }
    assert!(pages.class_of_page.len() < full + 2, "{} of {full}", pages.class_of_page.len());
    assert_eq!(pages.check_invariants(), 80_000);
}

#[derive(Clone, Debug)]
enum Step {
    Insert(usize),
    Replace(usize, usize),
    Append(usize, usize),
    Remove(usize),
}

fn any_length() -> impl Strategy<Value = usize> {
    prop_oneof![8 => 0..200_usize, 1 => 0..MEDIUM, 1 => 0..MAX_PAGED + 2000]
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any_length().prop_map(Step::Insert),
        2 => (any::<usize>(), any_length()).prop_map(|(which, len)| Step::Replace(which, len)),
        2 => (any::<usize>(), any_length()).prop_map(|(which, len)| Step::Append(which, len)),
        3 => any::<usize>().prop_map(Step::Remove),
    ]
}

/// The entries, by handle: a key that is a number, and a value of its last byte.
struct Model {
    pages: Pages,
    entries: HashMap<Handle, (u32, usize)>,
}

impl Model {
    fn insert(&mut self, key: u32, length: usize) {
        let value = vec![key as u8; length];
        let handle = self.pages.insert(&parts(&key.to_ne_bytes(), &value));
        assert!(self.entries.insert(handle, (key, length)).is_none(), "the place is taken");
    }

    fn remove(&mut self, handle: Handle) {
        self.entries.remove(&handle);
        if let Some(from) = self.pages.remove(handle) {
            let moved = self.entries.remove(&from).expect("an entry was there");
            self.entries.insert(handle, moved);
        }
        self.compact();
    }

    fn compact(&mut self) {
        if let Some(Moved { from, to }) = self.pages.move_last() {
            for (old, new) in from.zip(to..) {
                let moved = self.entries.remove(&old).expect("an entry was there");
                self.entries.insert(new, moved);
            }
        }
    }

    fn some(&self, which: usize) -> Option<(Handle, u32, usize)> {
        let handle = *self.entries.keys().min_by_key(|&&handle| handle as usize ^ which)?;
        let (key, length) = self.entries[&handle];
        Some((handle, key, length))
    }
}

proptest! {
    #[test]
    fn every_entry_is_where_its_handle_says(
        steps in prop::collection::vec(any_step(), 0..300)
    ) {
        let mut model = Model { pages: Pages::new(), entries: HashMap::new() };
        for (number, step) in (0_u32..).zip(steps) {
            match step {
                Step::Insert(length) => model.insert(number, length),
                Step::Replace(which, length) => {
                    let Some((handle, key, _)) = model.some(which) else { continue };
                    let value = vec![key as u8; length];
                    if model.pages.replace(handle, &parts(&key.to_ne_bytes(), &value)) {
                        model.entries.insert(handle, (key, length));
                    } else {
                        model.insert(key, length);
                        model.remove(handle);
                    }
                }
                Step::Append(which, more) => {
                    let Some((handle, key, length)) = model.some(which) else { continue };
                    if model.pages.set_range(handle, length, &vec![key as u8; more]) {
                        model.entries.insert(handle, (key, length + more));
                    }
                }
                Step::Remove(which) => {
                    if let Some((handle, ..)) = model.some(which) {
                        model.remove(handle);
                    }
                }
            }
        }
        prop_assert_eq!(model.pages.check_invariants(), model.entries.len());
        for (&handle, &(key, length)) in &model.entries {
            let (found, value) = model.pages.entry(handle).split();
            prop_assert_eq!((found, value), (&key.to_ne_bytes()[..], &vec![key as u8; length][..]));
        }
    }
}
