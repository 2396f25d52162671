//! The arena against a model that keeps every byte, and the rules that callers rely on.

use super::*;

const MIB: u64 = 1 << 20;

fn tenant(n: u64) -> TenantId {
    TenantId::new(&format!("t{n}"))
}

fn arena(capacity_bytes: u64, chunk_bytes: u64) -> Arena {
    Arena::new(Config { capacity_bytes, chunk_bytes, align_bytes: 512 })
}

/// Takes, making chunks as the arena asks.
fn take(arena: &mut Arena, tenant: &TenantId, bytes: u64) -> Result<(Handle, Region), DeviceError> {
    loop {
        match arena.take(tenant, bytes)? {
            Taken::Region(handle, region) => return Ok((handle, region)),
            Taken::NeedsChunk { bytes } => _ = arena.add_chunk(bytes),
        }
    }
}

struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// Device memory as a driver has it: every byte, by chunk.
#[derive(Default)]
struct Bytes(HashMap<ChunkId, Vec<u8>>);

impl Bytes {
    fn of(&mut self, region: &Region) -> &mut [u8] {
        let chunk = self.0.get_mut(&region.chunk).expect("a region of a chunk that was made");
        let occupied = region.bytes.max(1).next_multiple_of(512);
        &mut chunk[region.offset as usize..(region.offset + occupied) as usize]
    }

    /// The longest run of zeroed units of 512 bytes.
    fn longest_free(&self) -> u64 {
        let runs = self.0.values().map(|chunk| {
            let (mut longest, mut run) = (0_u64, 0_u64);
            for unit in chunk.chunks_exact(512) {
                run = if unit[0] == 0 { run + 512 } else { 0 };
                longest = longest.max(run);
            }
            longest
        });
        runs.max().unwrap_or(0)
    }
}

/// Random requests and returns, every byte written by its owner and looked at.
fn agrees_with_bytes(seed: u64, capacity: u64, chunk: u64, exact: bool, steps: usize) {
    let (mut rng, mut arena, mut bytes) = (Rng(seed), arena(capacity, chunk), Bytes::default());
    let mut live: Vec<(Handle, Region, u64)> = Vec::new();
    let (mut refused, mut taken) = (0, 0);
    for step in 0..steps {
        let at = format!("seed {seed}, step {step}");
        match rng.below(100) {
            0..55 => {
                let who = rng.below(5);
                let size = match rng.below(4) {
                    0 => rng.below(2_000),
                    1 => rng.below(capacity / 64),
                    2 => rng.below(capacity / 16),
                    _ => rng.below(capacity / 4),
                };
                let got = loop {
                    match arena.take(&tenant(who), size) {
                        Ok(Taken::NeedsChunk { bytes: n }) => {
                            assert!(
                                n >= size
                                    && bytes.0.values().map(|c| c.len() as u64).sum::<u64>() + n <= capacity
                            );
                            let id = arena.add_chunk(n);
                            assert!(
                                bytes.0.insert(id, vec![0; n as usize]).is_none(),
                                "{at}: a number used twice"
                            );
                        }
                        Ok(Taken::Region(handle, region)) => break Some((handle, region)),
                        Err(DeviceError::OutOfMemory { needed_bytes, free_bytes }) => {
                            assert_eq!((needed_bytes, free_bytes), (size, arena.largest_free()), "{at}");
                            break None;
                        }
                        Err(e) => panic!("{at}: {e}"),
                    }
                };
                let Some((handle, region)) = got else {
                    refused += 1;
                    assert!(!exact || bytes.longest_free() < size, "{at}: refused {size} with room for it");
                    continue;
                };
                taken += 1;
                assert_eq!((region.bytes, region.offset % 512), (size, 0), "{at}");
                let memory = bytes.of(&region);
                assert!(memory.iter().all(|b| *b == 0), "{at}: {region:?} has somebody's bytes");
                memory.fill(1 + who as u8);
                live.push((handle, region, who));
            }
            55..99 if !live.is_empty() => {
                let (handle, region, who) = live.swap_remove(rng.below(live.len() as u64) as usize);
                assert!(
                    bytes.of(&region).iter().all(|b| *b == 1 + who as u8),
                    "{at}: {region:?} was overwritten"
                );
                bytes.of(&region).fill(0);
                assert_eq!(arena.give_back(handle), Some(region), "{at}");
                assert_eq!((arena.give_back(handle), arena.region(handle)), (None, None), "{at}: twice");
            }
            99 => {
                for id in arena.idle_chunks() {
                    let chunk = bytes.0.remove(&id).expect("a chunk that was made");
                    assert!(chunk.iter().all(|b| *b == 0), "{at}: {id:?} is not idle");
                }
            }
            _ => {}
        }
        let sum: u64 = live.iter().map(|(_, r, _)| r.bytes).sum();
        assert_eq!(arena.used_bytes(), sum, "{at}");
        for who in 0..5 {
            let his: u64 = live.iter().filter(|l| l.2 == who).map(|l| l.1.bytes).sum();
            assert_eq!(arena.used_by(&tenant(who)), his, "{at}");
        }
        if exact && step % 16 == 0 {
            let outside = capacity - arena.chunk_bytes();
            assert_eq!(arena.largest_free(), bytes.longest_free().max(outside), "{at}");
        }
    }
    assert!(taken > steps / 5 && refused > 0, "seed {seed}: {taken} taken, {refused} refused: no test");
    for (handle, region, _) in live {
        bytes.of(&region).fill(0);
        arena.give_back(handle);
    }
    assert_eq!((arena.used_bytes(), arena.free_bytes()), (0, capacity), "seed {seed}");
    assert_eq!(arena.idle_chunks().len(), bytes.0.len(), "seed {seed}: what is free has not grown together");
    assert_eq!((arena.chunk_bytes(), arena.largest_free()), (0, capacity), "seed {seed}");
}

#[test]
fn random_requests_agree_with_a_model_of_every_byte() {
    for seed in 0..24 {
        agrees_with_bytes(seed, 512 << 10, if seed % 2 == 0 { 64 << 10 } else { 512 << 10 }, true, 3_000);
    }
}

#[test]
fn random_requests_with_pages_agree_with_a_model_of_every_byte() {
    for seed in 100..103 {
        agrees_with_bytes(seed, 64 * MIB, 16 * MIB, false, 700);
    }
}

#[test]
fn the_capacity_is_had_to_the_last_unit_and_no_further() {
    let (mut a, t) = (arena(MIB + 511, 256 << 10), tenant(0));
    let all: Vec<_> = (0..4).map(|_| take(&mut a, &t, 256 << 10).expect("a quarter")).collect();
    assert_eq!((a.free_bytes(), a.used_by(&t), a.peak_bytes()), (0, MIB, MIB));
    let refused = take(&mut a, &t, 0);
    assert_eq!(refused, Err(DeviceError::OutOfMemory { needed_bytes: 0, free_bytes: 0 }));
    for (handle, _) in all {
        a.give_back(handle);
    }
    let whole = DeviceError::OutOfMemory { needed_bytes: MIB, free_bytes: 256 << 10 };
    assert_eq!(take(&mut a, &t, MIB), Err(whole), "four chunks are no large one");
    assert_eq!(a.idle_chunks().len(), 4);
    assert!(take(&mut a, &t, MIB).is_ok(), "once they are returned, it is");
    for bytes in [u64::MAX, u64::MAX - 600, MIB + 1] {
        assert!(matches!(take(&mut a, &t, bytes), Err(DeviceError::OutOfMemory { .. })), "{bytes}");
    }
}

#[test]
fn nothing_is_legal_and_has_a_place_of_its_own() {
    let (mut a, t) = (arena(MIB, MIB), tenant(0));
    let (one, first) = take(&mut a, &t, 0).expect("nothing");
    let (other, second) = take(&mut a, &t, 0).expect("nothing");
    assert!(one != other && first.offset != second.offset);
    assert_eq!((a.used_bytes(), a.free_bytes()), (0, MIB - 1024));
    assert!(a.give_back(one).is_some() && a.give_back(other).is_some());
    assert_eq!(a.free_bytes(), MIB);
}

#[test]
fn small_requests_share_pages_and_leave_large_extents_whole() {
    let (mut a, t) = (arena(256 * MIB, 256 * MIB), tenant(0));
    let mut small = Vec::new();
    let mut large = Vec::new();
    for _ in 0..120 {
        large.push(take(&mut a, &t, 2 * MIB).expect("large").0);
        small.push(take(&mut a, &t, 300).expect("small"));
    }
    let pages: std::collections::HashSet<_> = small.iter().map(|(_, r)| r.offset / MIB).collect();
    assert!(pages.len() <= 2, "120 small ones lie in {} places", pages.len());
    for handle in large {
        a.give_back(handle);
    }
    assert!(a.largest_free() >= 250 * MIB, "{} of 256 MiB in one piece", a.largest_free());
    for (handle, _) in small {
        a.give_back(handle);
    }
    assert_eq!(a.largest_free(), 256 * MIB);
}

#[test]
fn what_could_not_be_zeroed_is_never_handed_out_again() {
    let (mut a, t) = (arena(MIB, MIB), tenant(0));
    let (bad, place) = take(&mut a, &t, 100_000).expect("room");
    a.retire(bad);
    assert_eq!((a.region(bad), a.give_back(bad)), (None, None));
    assert_eq!((a.used_bytes(), a.retired_bytes(), a.used_by(&t)), (100_000, 100_000, 0));
    let mut others = Vec::new();
    while let Ok((handle, region)) = take(&mut a, &t, 10_000) {
        let apart = region.offset >= place.offset + 100_000 || region.offset + 10_000 <= place.offset;
        assert!(apart, "{region:?} lies in {place:?}");
        others.push(handle);
    }
    assert!(others.len() > 80);
    for handle in others {
        a.give_back(handle);
    }
    assert!(a.idle_chunks().is_empty(), "its chunk cannot be returned");
}

#[test]
fn after_a_restart_old_names_are_nobodys() {
    let (mut a, t) = (arena(MIB, MIB), tenant(0));
    let (old, region) = take(&mut a, &t, 1_000).expect("room");
    a.clear();
    assert_eq!((a.used_bytes(), a.used_by(&t), a.chunk_bytes(), a.peak_bytes()), (0, 0, 0, 1_000));
    let (new, fresh) = take(&mut a, &t, 1_000).expect("room");
    assert!(new != old && fresh.chunk != region.chunk);
    assert_eq!((a.give_back(old), a.region(old)), (None, None));
    a.retire(old);
    assert_eq!(a.used_bytes(), 1_000);
}

#[test]
#[should_panic(expected = "in chunks")]
fn a_chunk_beyond_the_capacity_is_caught() {
    let mut a = arena(MIB, MIB);
    a.add_chunk(MIB);
    a.add_chunk(512);
}
