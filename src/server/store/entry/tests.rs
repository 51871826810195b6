//! Tests of `entry.rs`.

use super::*;

fn lease(deadline: u64) -> Option<Lease> {
    Some(Lease { deadline, timer: TimerId::unpack(1 << 32) })
}

fn placed(parts: Parts<'_>, slack: usize) -> Vec<u8> {
    let mut place = vec![b'#'; parts.len() + slack];
    parts.fill(&mut place);
    place
}

#[test]
fn only_what_expires_pays_for_it() {
    let never = Parts { key: b"color", value: b"blue", lease: None };
    let expires = Parts { lease: lease(u64::MAX), ..never };
    assert_eq!((never.len(), expires.len()), (4 + 5 + 4, 4 + 16 + 5 + 4));
    for (parts, slack) in [(never, 0), (never, 3), (expires, 0), (expires, MAX_SLACK)] {
        let place = placed(parts, slack);
        let entry = StoredEntry(&place);
        assert_eq!(entry.split(), (&b"color"[..], &b"blue"[..]));
        assert_eq!((entry.key(), entry.value()), entry.split());
        assert_eq!(entry.lease(), parts.lease);
    }
}

#[test]
fn what_is_large_has_room_for_a_lease_that_comes_and_goes() {
    let mut bytes = Parts { key: b"k", value: b"v", lease: None }.to_padded_vec(0);
    assert_eq!((bytes.len(), StoredEntry(&bytes).lease()), (4 + 16 + 1 + 1, None));
    for lease in [lease(7), None, lease(0)] {
        assert!(StoredEntryMut(&mut bytes).has_room());
        StoredEntryMut(&mut bytes).set_lease(lease);
        assert_eq!(
            (StoredEntry(&bytes).lease(), StoredEntry(&bytes).split()),
            (lease, (&b"k"[..], &b"v"[..]))
        );
    }
    assert!(!StoredEntry(&bytes).is_live(u64::MAX));
}

#[test]
fn a_value_changes_within_its_place() {
    for lease in [None, lease(7)] {
        let mut place = placed(Parts { key: b"k", value: b"", lease }, 5);
        for value in [&b"ab"[..], b"", b"abcde"] {
            StoredEntryMut(&mut place).set_value(value);
            assert_eq!(
                (StoredEntry(&place).split(), StoredEntry(&place).lease()),
                ((&b"k"[..], value), lease)
            );
        }
        StoredEntryMut(&mut place).set_value(b"ab");
        let writes: [(usize, &[u8], bool, &[u8]); 6] = [
            (2, b"cd", true, b"abcd"),
            (4, b"ef", false, b"abcd"),
            (4, b"e", true, b"abcde"),
            (1, b"XY", true, b"aXYde"),
            (5, b"", true, b"aXYde"),
            (6, b"f", false, b"aXYde"),
        ];
        for (offset, piece, fits, value) in writes {
            assert_eq!(StoredEntryMut(&mut place).set_range(offset, piece), fits);
            assert_eq!(
                (StoredEntry(&place).split(), StoredEntry(&place).lease()),
                ((&b"k"[..], value), lease)
            );
        }
        StoredEntryMut(&mut place).set_value(b"a");
        assert!(StoredEntryMut(&mut place).set_range(3, b"x"));
        assert_eq!(StoredEntry(&place).value(), b"a\0\0x", "what lay in the slack does not show");
    }
}
