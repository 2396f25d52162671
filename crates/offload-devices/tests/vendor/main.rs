//! The drivers' lanes over fake libraries of host memory: addresses, bounds, zeroing, memory pressure, recordings, rocSOLVER.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fake;
mod recording;
mod rocsolver;

use fake::Fake;
use offload_core::TenantId;
use offload_core::device::{At, Device, DeviceError, LanePriority};
use offload_devices::discover::{Options, discover, open};
use std::sync::Arc;

/// Where libraries are looked for first.
fn look_in(fake: &Fake) {
    // SAFETY: each test is a process of its own (nextest), and no other thread runs yet.
    unsafe { std::env::set_var("HELIOSDB_GPU_LIBRARY_PATH", fake.path()) };
}

/// The fake card; `None`, said aloud, without a C compiler.
fn fake(memory_bytes: u64) -> Option<Arc<dyn Device>> {
    let libraries = Fake::cuda(&[])?;
    look_in(&libraries);
    let options = Options { memory_bytes: Some(memory_bytes), ..Options::default() };
    let found = discover(&options);
    assert_eq!(found.devices.len(), 1, "{found:?}");
    let d = &found.devices[0].descriptor;
    assert_eq!((d.architecture.as_str(), d.units, d.pci.as_deref()), ("sm_90", 132, Some("0000:3b:00.0")));
    Some(open("cuda:0", &options).expect("the fake card opens"))
}

#[test]
fn memory_reads_back_within_its_bounds_and_zero_for_the_next_tenant() {
    let Some(device) = fake(64 << 20) else { return };
    let mut lane = device.open_lane(LanePriority::Normal).unwrap();
    let (a, b) = (TenantId::new("a"), TenantId::new("b"));
    let x = lane.alloc(&a, 1000).unwrap();
    lane.upload(x, 10, &[7; 100]).unwrap();
    let mut back = [1u8; 120];
    lane.download(x, 0, &mut back).unwrap();
    assert!(back[..10].iter().chain(&back[110..]).all(|v| *v == 0), "a fresh chunk reads zero");
    assert!(back[10..110].iter().all(|v| *v == 7));
    for (offset, len) in [(901, 100), (1001, 1), (usize::MAX, 2)] {
        let refused = lane.upload(x, offset, &vec![1; len]);
        assert!(matches!(refused, Err(DeviceError::Call(_))), "{offset} {len}: {refused:?}");
    }
    let y = lane.alloc(&b, 1000).unwrap();
    let from = At { handle: x, offset_bytes: 10 };
    lane.copy(from, At { handle: y, offset_bytes: 900 }, 100).unwrap();
    assert!(lane.copy(from, At { handle: y, offset_bytes: 901 }, 100).is_err());
    lane.download(y, 880, &mut back).unwrap();
    assert!(back[20..].iter().all(|v| *v == 7) && back[..20].iter().all(|v| *v == 0));
    assert_eq!(device.used_bytes(), 2 * 1000);
    for handle in [x, y] {
        lane.set(handle, 0).unwrap();
        lane.synchronize().unwrap();
        lane.free(handle);
    }
    assert_eq!(device.used_bytes(), 0);
    assert!(lane.download(x, 0, &mut back).is_err(), "a handle outlives its memory");
}

#[test]
fn what_does_not_fit_is_out_of_memory_and_harmless() {
    let Some(device) = fake(16 << 20) else { return };
    let mut lane = device.open_lane(LanePriority::High).unwrap();
    let tenant = TenantId::new("t");
    assert!(matches!(lane.alloc(&tenant, 17 << 20), Err(DeviceError::OutOfMemory { .. })));
    let handles: Vec<_> = std::iter::from_fn(|| lane.alloc(&tenant, 1 << 20).ok()).collect();
    assert_eq!(handles.len(), 16);
    for handle in handles {
        lane.free(handle);
    }
    let whole = lane.alloc(&tenant, 16 << 20).unwrap();
    lane.free(whole);
}

#[test]
fn marks_measure_and_are_reused() {
    let Some(device) = fake(1 << 20) else { return };
    let mut lane = device.open_lane(LanePriority::Normal).unwrap();
    for _ in 0..200 {
        let from = lane.mark().unwrap();
        std::thread::sleep(std::time::Duration::from_micros(300));
        let to = lane.mark().unwrap();
        lane.synchronize().unwrap();
        let took = lane.between(from, to).unwrap();
        assert!(took.as_micros() >= 200, "{took:?}");
    }
}

#[test]
fn memory_reads_zero_and_is_nobody_elses_through_a_long_trace() {
    let Some(device) = fake(1 << 30) else { return };
    let mut lane = device.open_lane(LanePriority::Normal).unwrap();
    let mut live: Vec<(offload_core::device::Handle, u8, usize)> = Vec::new();
    let mut seed = 1u64;
    let mut next = |n: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % n
    };
    for step in 0..4000u32 {
        if live.len() > 40 || (next(2) == 0 && !live.is_empty()) {
            let (handle, byte, bytes) = live.swap_remove(next(live.len() as u64) as usize);
            let mut back = vec![0; bytes];
            lane.download(handle, 0, &mut back).unwrap();
            assert!(back.iter().all(|b| *b == byte), "step {step}: somebody wrote there");
            lane.set(handle, 0).unwrap();
            lane.synchronize().unwrap();
            lane.free(handle);
            continue;
        }
        let bytes = (1u64 << next(23)) + next(1000);
        let tenant = TenantId::new(&format!("t{}", next(3)));
        let handle = lane.alloc(&tenant, bytes as usize).unwrap();
        let mut back = vec![1; bytes as usize];
        lane.download(handle, 0, &mut back).unwrap();
        assert!(back.iter().all(|b| *b == 0), "step {step}: {bytes} bytes do not read zero");
        let byte = 1 + (step % 250) as u8;
        lane.upload(handle, 0, &vec![byte; bytes as usize]).unwrap();
        live.push((handle, byte, bytes as usize));
    }
}
