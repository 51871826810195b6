//! Tests of `map.rs`.

use super::*;

#[test]
fn the_map_knows_each_generation_apart() {
    let mut map = ConnMap::default();
    let old = ConnId { slot: 3, generation: 1 };
    let new = ConnId { slot: 3, generation: 2 };
    map.insert(old, "old");
    assert_eq!(map.remove(new), None);
    assert_eq!(map.remove(old), Some("old"));
    map.insert(new, "new");
    assert_eq!(map.get_mut(old), None);
    assert_eq!(map.len(), 1);
    assert_eq!(map.iter().collect::<Vec<_>>(), [(new, &"new")]);
}
