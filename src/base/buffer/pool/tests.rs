//! Tests of `pool.rs`.

use super::*;

#[test]
fn storage_goes_round_through_the_pool() {
    let mut pool = BufferPool::default();
    let mut buffer = Buffer::new();
    pool.lend(&mut buffer);
    buffer.push(b"x");
    buffer.consume(1);
    pool.take_back(&mut buffer);
    assert_eq!((buffer.capacity(), pool.free.len()), (0, 1));
    pool.lend(&mut buffer);
    assert_eq!((buffer.capacity(), pool.free.len()), (BufferPool::STORAGE_BYTES, 0));
}

#[test]
fn storage_of_long_inputs_is_lent_again_to_what_fits_in() {
    let mut pool = BufferPool::default();
    let long = |kibibytes: usize| Buffer::with_capacity(kibibytes << 10);
    for kibibytes in [100, 1000, 200] {
        pool.take_back_long(long(kibibytes));
    }
    let mut lent =
        |kibibytes: usize| pool.lend_long(kibibytes << 10, kibibytes << 10).capacity() >> 10;
    assert_eq!([lent(150), lent(150), lent(150), lent(1)], [200, 1000, 0, 100]);
    assert_eq!(pool.long_bytes, 0);
    for kibibytes in [1000, 8000, 8000, 20_000] {
        pool.take_back_long(long(kibibytes));
        let kept: usize = pool.long.iter().map(Vec::capacity).sum();
        assert_eq!(kept, pool.long_bytes);
        assert!(kept <= BufferPool::MAX_LONG && (kept > 0 || kibibytes == 20_000));
    }
}

#[test]
fn storage_of_long_inputs_goes_when_it_is_not_needed_for_a_while() {
    let mut pool = BufferPool::default();
    for _ in 0..5 {
        pool.take_back_long(Buffer::with_capacity(1 << 20));
    }
    pool.age();
    let lent = [pool.lend_long(1 << 20, 1 << 15), pool.lend_long(1 << 20, 1 << 15)];
    lent.into_iter().for_each(|buffer| pool.take_back_long(buffer));
    pool.age();
    assert_eq!((pool.long.len(), pool.long_bytes), (2, 2 << 20), "no more were needed at once");
    pool.age();
    assert_eq!((pool.long.len(), pool.long_bytes), (0, 0));
}

#[test]
fn the_pool_keeps_no_more_than_its_bound_and_nothing_large() {
    let mut pool = BufferPool::default();
    for capacity in [BufferPool::STORAGE_BYTES, BufferPool::STORAGE_BYTES * 8] {
        for _ in 0..2 * BufferPool::MAX {
            pool.take_back(&mut Buffer::with_capacity(capacity));
        }
    }
    assert_eq!(pool.free.len(), BufferPool::MAX);
    assert!(pool.free.iter().all(|storage| storage.len() == BufferPool::STORAGE_BYTES));
}
