//! A long trace of requests: how much of the free memory stays of use, and what a request costs.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use offload_core::TenantId;
use offload_core::device::{DeviceError, Handle};
use offload_devices::memory::{Arena, Config, Taken};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const EVENTS: usize = 1_000_000;
const CAPACITY: u64 = 8 << 30;
/// Memory is asked for up to this share of the capacity.
const LOAD: f64 = 0.85;
/// Sizes are log-uniform from 256 bytes to 64 MiB; half of the requests are below this,
const MEDIAN: u64 = 128 << 10;
/// and half of the bytes are in requests above this.
const MEDIAN_BY_BYTES: u64 = 32 << 20;

struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn size(rng: &mut Rng) -> u64 {
    (256.0 * 2_f64.powf(18.0 * rng.unit())) as u64
}

/// How many events a region lives: most are a job's temporaries, some its inputs, a few stay for long.
fn lifetime(rng: &mut Rng) -> u64 {
    let mean = match rng.unit() {
        x if x < 0.7 => 20.0,
        x if x < 0.95 => 500.0,
        _ => 20_000.0,
    };
    1 + (-mean * (1.0 - rng.unit()).ln()) as u64
}

/// Asks until a driver would have to say no: chunks are made and idle ones returned as the arena says.
fn take(arena: &mut Arena, tenant: &TenantId, bytes: u64) -> Option<Handle> {
    let mut returned = false;
    loop {
        match arena.take(tenant, bytes) {
            Ok(Taken::Region(handle, _)) => return Some(handle),
            Ok(Taken::NeedsChunk { bytes }) => _ = arena.add_chunk(bytes),
            Err(DeviceError::OutOfMemory { .. }) if !returned && !arena.idle_chunks().is_empty() => {
                returned = true
            }
            Err(_) => return None,
        }
    }
}

struct Figures {
    worst_at_median: f64,
    mean_at_median: f64,
    worst_by_bytes: f64,
    mean_by_bytes: f64,
    mean_load: f64,
    refused: usize,
    asked: usize,
    takes: (usize, Duration),
    returns: (usize, Duration),
}

fn trace(seed: u64, chunk_bytes: u64) -> Figures {
    let mut rng = Rng(seed);
    let mut arena = Arena::new(Config { chunk_bytes, ..Config::new(CAPACITY) });
    let tenants: Vec<TenantId> = (0..100).map(|n| TenantId::new(&format!("t{n}"))).collect();
    let mut ends: BTreeMap<(u64, usize), Handle> = BTreeMap::new();
    let (mut at_median, mut by_bytes, mut loads) = (Vec::new(), Vec::new(), Vec::new());
    let (mut refused, mut asked) = (0, 0);
    let (mut takes, mut returns) = ((0, Duration::ZERO), (0, Duration::ZERO));
    let mut now = 0;
    let mut event = 0;
    while event < EVENTS {
        now += 1;
        while let Some(first) = ends.first_entry().filter(|e| e.key().0 <= now) {
            let start = Instant::now();
            assert!(arena.give_back(first.remove()).is_some());
            returns = (returns.0 + 1, returns.1 + start.elapsed());
            event += 1;
        }
        let bytes = size(&mut rng);
        let life = lifetime(&mut rng);
        if (arena.used_bytes() + bytes) as f64 > LOAD * CAPACITY as f64 {
            continue;
        }
        asked += 1;
        event += 1;
        let start = Instant::now();
        let got = take(&mut arena, &tenants[event % tenants.len()], bytes);
        takes = (takes.0 + 1, takes.1 + start.elapsed());
        match got {
            Some(handle) => _ = ends.insert((now + life, event), handle),
            None => refused += 1,
        }
        if event % 1_000 < 2 && event > EVENTS / 10 {
            let free = arena.free_bytes() as f64;
            at_median.push(arena.allocatable_bytes(MEDIAN) as f64 / free);
            by_bytes.push(arena.allocatable_bytes(MEDIAN_BY_BYTES) as f64 / free);
            loads.push(arena.used_bytes() as f64 / CAPACITY as f64);
        }
    }
    let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    let worst = |x: &[f64]| x.iter().copied().fold(1.0, f64::min);
    Figures {
        worst_at_median: worst(&at_median),
        mean_at_median: mean(&at_median),
        worst_by_bytes: worst(&by_bytes),
        mean_by_bytes: mean(&by_bytes),
        mean_load: mean(&loads),
        refused,
        asked,
        takes,
        returns,
    }
}

/// Free memory is of use for a size if requests of that size could have it: `allocatable_bytes(size) / free_bytes`.
#[test]
fn after_a_million_events_nine_tenths_of_what_is_free_can_be_had_by_the_median_request() {
    for (seed, chunk) in [(1, CAPACITY), (2, 256 << 20), (3, 1 << 30)] {
        let f = trace(seed, chunk);
        println!(
            "seed {seed}, chunks of {} MiB, load {:.0} %: of the free bytes {:.1} % at worst ({:.1} % in the mean) by \
             requests of 128 KiB, {:.1} % ({:.1} %) by requests of 32 MiB; {} of {} requests refused; \
             take {:.0} ns, give_back {:.0} ns",
            chunk >> 20,
            100.0 * f.mean_load,
            100.0 * f.worst_at_median,
            100.0 * f.mean_at_median,
            100.0 * f.worst_by_bytes,
            100.0 * f.mean_by_bytes,
            f.refused,
            f.asked,
            f.takes.1.as_nanos() as f64 / f.takes.0 as f64,
            f.returns.1.as_nanos() as f64 / f.returns.0 as f64,
        );
        assert!(f.mean_load > 0.7, "seed {seed}: a load of {:.2} is no test", f.mean_load);
        assert!(f.worst_at_median >= 0.9, "seed {seed}: {:.3}", f.worst_at_median);
        assert_eq!(f.refused, 0, "seed {seed}: refused while {:.0} % was free", 100.0 * (1.0 - LOAD));
    }
}
