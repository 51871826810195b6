//! Tests of entries in order of their age.

use super::*;

impl LinkedEntries for Vec<Links> {
    fn links(&self, number: u32) -> Links {
        self[number as usize]
    }

    fn links_mut(&mut self, number: u32) -> &mut Links {
        &mut self[number as usize]
    }
}

#[test]
fn entries_stand_in_the_order_in_which_they_came() {
    let mut entries = vec![Links::NONE; 4];
    let mut list = AgeList::EMPTY;
    let numbers = |list: &AgeList, entries: &Vec<Links>| {
        list.check_invariants(entries);
        list.iter(entries).collect::<Vec<u32>>()
    };
    for number in [2, 0, 3, 1] {
        list.push(number, &mut entries);
    }
    assert_eq!(numbers(&list, &entries), [2, 0, 3, 1]);
    for (number, left) in [(0, &[2, 3, 1][..]), (2, &[3, 1]), (1, &[3]), (3, &[])] {
        list.remove(entries[number], &mut entries);
        assert_eq!(numbers(&list, &entries), left);
    }
    assert_eq!(list.oldest(), None);
    list.push(0, &mut entries);
    assert_eq!(numbers(&list, &entries), [0]);
}
