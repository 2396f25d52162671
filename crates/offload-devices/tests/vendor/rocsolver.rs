//! rocSOLVER on the fake card of AMD's: whose memory its workspace is, and which library it is. What it computes is in the
//! tests of the `matrix` operations.

use super::fake::Fake;
use super::look_in;
use libloading::os::unix::{Library, Symbol};
use offload_core::TenantId;
use offload_core::device::{At, Device, DeviceError, DeviceLane, Gemm, Handle, LanePriority};
use offload_devices::discover::{Options, open};
use std::sync::Arc;

const MEMORY: u64 = 64 << 20;

fn card(libraries: &Fake) -> Arc<dyn Device> {
    look_in(libraries);
    open("rocm:0", &Options { memory_bytes: Some(MEMORY), ..Options::default() }).unwrap()
}

fn floats(lane: &mut dyn DeviceLane, numbers: &[f64]) -> Handle {
    let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
    let handle = lane.alloc(&TenantId::new("t"), bytes.len()).unwrap();
    lane.upload(handle, 0, &bytes).unwrap();
    handle
}

fn content<const N: usize>(lane: &mut dyn DeviceLane, handle: Handle) -> [f64; N] {
    let mut bytes = vec![0; 8 * N];
    lane.download(handle, 0, &mut bytes).unwrap();
    std::array::from_fn(|i| f64::from_le_bytes(bytes[8 * i..8 * i + 8].try_into().unwrap()))
}

/// Solves `[4 3; 6 3] x = [10; 12]`, which is `x = [1; 2]`; the device bytes taken meanwhile.
fn solve(device: &dyn Device, lane: &mut dyn DeviceLane) -> ([f64; 2], u64) {
    let (a, b) = (floats(lane, &[4.0, 6.0, 3.0, 3.0]), floats(lane, &[10.0, 12.0]));
    let small = lane.alloc(&TenantId::new("t"), 12).unwrap();
    let info = At { handle: small, offset_bytes: 8 };
    lane.solver().expect("a solver");
    let before = device.used_bytes();
    lane.solver().unwrap().getrf(true, 2, a.into(), small.into(), info).unwrap();
    let meanwhile = device.used_bytes() - before;
    lane.solver().unwrap().getrs(true, false, 2, 1, a.into(), small.into(), b.into()).unwrap();
    let x = content(lane, b);
    lane.synchronize().unwrap();
    assert_eq!(device.used_bytes(), before, "a workspace is given back with the next wait");
    for handle in [a, b, small] {
        lane.set(handle, 0).unwrap();
        lane.synchronize().unwrap();
        lane.free(handle);
    }
    (x, meanwhile)
}

/// All that is free, as another tenant gets it.
fn all_that_is_free(lane: &mut dyn DeviceLane) -> Vec<u8> {
    let (mut all, mut handles) = (Vec::new(), Vec::new());
    for size in [1 << 20, 1 << 16, 1 << 12, 512] {
        while let Ok(handle) = lane.alloc(&TenantId::new("b"), size) {
            let mut bytes = vec![1; size];
            lane.download(handle, 0, &mut bytes).unwrap();
            all.extend(bytes);
            handles.push(handle);
        }
    }
    handles.into_iter().for_each(|handle| lane.free(handle));
    all
}

#[test]
fn a_workspace_is_counted_while_it_is_used_and_zeroed_before_it_is_anothers() {
    let Some(libraries) = Fake::rocsolver(&[]) else { return };
    let device = card(&libraries);
    assert!(
        device.descriptor().software.iter().any(|s| s == "librocsolver.so.0"),
        "{:?}",
        device.descriptor()
    );
    let mut lane = device.open_lane(LanePriority::Normal).unwrap();
    let (x, meanwhile) = solve(device.as_ref(), lane.as_mut());
    assert_eq!(x, [1.0, 2.0]);
    // SAFETY: the fake library's signature; it is loaded already.
    let given = unsafe {
        let rocblas = Library::open(Some(libraries.path().join("librocblas.so.4")), 2).unwrap();
        let given: Symbol<extern "C" fn() -> usize> = rocblas.get(b"fake_given").unwrap();
        given()
    };
    // The fake wants a copy of the matrix for one, and for the other a column and a little.
    assert_eq!((meanwhile, given), (4 * 8, 2 * 8 + 64));
    // A handle that had kept a job's workspace would leave in it what it does next.
    let (a, c) = (floats(lane.as_mut(), &[3.0]), floats(lane.as_mut(), &[0.0]));
    lane.blas().unwrap().gemm(&Gemm::new(1, 1, 1), true, a.into(), a.into(), c.into()).unwrap();
    assert_eq!(content(lane.as_mut(), c), [9.0]);
    let all = all_that_is_free(lane.as_mut());
    assert!(all.len() as u64 > MEMORY / 3 && all.iter().all(|byte| *byte == 0), "{} bytes", all.len());
    drop(lane);
    assert_eq!(device.used_bytes(), 8 + 8, "the handle's own workspace goes with its lane");
}

#[test]
fn a_workspace_that_does_not_fit_is_out_of_memory_and_harmless() {
    let Some(libraries) = Fake::rocsolver(&[]) else { return };
    let device = card(&libraries);
    let mut lane = device.open_lane(LanePriority::Normal).unwrap();
    // A third of the memory; the handle's own workspace is half of it.
    let n = 1_600;
    let a = lane.alloc(&TenantId::new("t"), 8 * n * n).unwrap();
    let small = lane.alloc(&TenantId::new("t"), 4 * n + 4).unwrap();
    let info = At { handle: small, offset_bytes: 4 * n as u64 };
    let refused = lane.solver().expect("a solver").getrf(true, n, a.into(), small.into(), info);
    assert!(matches!(refused, Err(DeviceError::OutOfMemory { .. })), "{refused:?}");
    lane.synchronize().unwrap();
    lane.free(a);
    assert_eq!(solve(device.as_ref(), lane.as_mut()).0, [1.0, 2.0]);
}

#[test]
fn what_is_missing_is_named_and_the_rest_is_used() {
    let Some(libraries) = Fake::rocblas() else { return };
    let device = card(&libraries);
    let software = &device.descriptor().software;
    assert!(software.iter().any(|s| s == "librocblas.so.4"), "{software:?}");
    assert!(software.iter().any(|s| s.starts_with("no rocSOLVER: ")), "{software:?}");
    let mut lane = device.open_lane(LanePriority::Normal).unwrap();
    assert!(lane.solver().is_none() && lane.blas().is_some());
}

#[test]
fn a_rocsolver_over_another_rocblas_is_not_handed_its_handles() {
    let Some(libraries) = Fake::rocblas()
        .and_then(|f| f.with("librocblas.so.3", "librocblas.c", &[], &["libamdhip64.so.6"]))
        .and_then(|f| {
            f.with(
                "librocsolver.so.0",
                "librocsolver.c",
                &["-lm", "-Wl,-rpath,$ORIGIN"],
                &["librocblas.so.3"],
            )
        })
    else {
        return;
    };
    let device = card(&libraries);
    let software = &device.descriptor().software;
    let why = "no rocSOLVER: librocsolver.so.0 works on another rocBLAS than librocblas.so.4";
    assert!(software.iter().any(|s| s == why), "{software:?}");
}
