//! Rounds of launches on the fake card: which of the driver's calls are made, what comes out whichever of them fails, and
//! that nothing of them is left.

use super::fake::Fake;
use super::look_in;
use libloading::os::unix::{Library, Symbol};
use offload_api::{Record, Tensor};
use offload_core::device::{
    At, Device, DeviceError, DeviceLane, Gpu, Groups, KernelSource, LanePriority, PLAIN_ROUNDS, Residents,
    Rounds,
};
use offload_core::{Context, Failure, TenantId};
use offload_devices::discover::{CudaCompiler, Options, open};
use offload_devices::kernels::pack::{Compiled, write};
use offload_devices::test_device::{Faults, TestDevice};
use std::ffi::{CStr, CString, c_char, c_int};
use std::sync::Arc;

offload_core::kernels! {
    /// What the fake driver knows how to run.
    static ADD = "test_add" {
        text: "KERNEL test_add(u32 n, u64 by, GLOBAL u64 *x) { FOR_EACH(i, n) x[i] += by; }",
        block: 64,
        elements: [],
        defines: [],
    }
    /// Adds a number to each.
    fn test_add(n: u32, by: u64, x: [u64]);
}

const N: usize = 100;
const ROUNDS: usize = 12;

/// The fake card, and its driver's own words.
struct Card {
    device: Arc<dyn Device>,
    driver: Library,
    _libraries: Fake,
}

impl Card {
    fn open(arguments: &[&str]) -> Option<Card> {
        let libraries = Fake::cuda(arguments)?;
        look_in(&libraries);
        let source = KernelSource { text: &ADD, element: None };
        let ptx = ".version 8.0\n.target sm_70\n.entry test_add()\n".into();
        let pack = libraries.path().join("pack");
        std::fs::write(&pack, write("NVRTC 12.0.76", &[Compiled { source, ptx }]).unwrap()).unwrap();
        let options = Options {
            compiler: CudaCompiler::Pack,
            kernel_packs: vec![pack],
            memory_bytes: Some(1 << 20),
            ..Options::default()
        };
        let device = open("cuda:0", &options).unwrap();
        // SAFETY: the fake driver's initialisers do nothing, and it is loaded already.
        let driver = unsafe { Library::open(Some(libraries.path().join("libcuda.so.1")), 2) }.unwrap();
        Some(Card { device, driver, _libraries: libraries })
    }

    /// Lets a call of the driver fail from here on.
    fn fail(&self, call: &str, code: c_int) {
        let call = CString::new(call).unwrap();
        // SAFETY: the fake driver's signature; it keeps a copy of the text.
        unsafe {
            let fail: Symbol<extern "C" fn(*const c_char, c_int)> = self.driver.get(b"fake_fail").unwrap();
            fail(call.as_ptr(), code);
        }
    }

    /// What was asked of the driver about graphs, in words.
    fn trace(&self) -> String {
        // SAFETY: the fake driver's signature; the text ends with a zero.
        unsafe {
            let trace: Symbol<extern "C" fn() -> *const c_char> = self.driver.get(b"fake_trace").unwrap();
            CStr::from_ptr(trace()).to_str().unwrap().trim().to_string()
        }
    }

    fn count(&self, call: &str) -> usize {
        self.trace().split(' ').filter(|word| *word == call).count()
    }

    /// Graphs, executable graphs and recordings that nobody has ended.
    fn alive(&self) -> c_int {
        // SAFETY: the fake driver's signature.
        unsafe {
            let alive: Symbol<extern "C" fn() -> c_int> = self.driver.get(b"fake_alive").unwrap();
            alive()
        }
    }

    /// A job of so many rounds, and the sums that it came to.
    fn job(&self, times: usize) -> Result<(Vec<u64>, Vec<u64>), Failure> {
        let mut lane = self.device.open_lane(LanePriority::Normal).unwrap();
        let (residents, tenant) = (Residents::new(0), TenantId::new("t"));
        let descriptor = self.device.descriptor();
        let mut gpu = Gpu::new(lane.as_mut(), descriptor, &residents, tenant, Context::default(), 1 << 16);
        let sums = sums(&mut gpu, times);
        let (sums, ended) = match sums {
            Ok(sums) => (Some(sums), Ok(Record::<Tensor>::new())),
            Err(e) => (None, Err(e)),
        };
        gpu.end(ended).result.map(|_| sums.unwrap())
    }
}

/// Each round adds 3 to `x`, and makes `y` one more than that.
fn sums(gpu: &mut Gpu<'_>, times: usize) -> Result<(Vec<u64>, Vec<u64>), Failure> {
    let (x, y) = (gpu.upload(&[5u64; N])?, gpu.zeros::<u64>(N)?);
    let groups = Groups::covering(N, ADD.block);
    let mut rounds = Rounds::new(|gpu: &mut Gpu<'_>| {
        gpu.clear(&y)?;
        test_add(gpu, groups, N as u32, 3, &x)?;
        gpu.copy((&x, 0), (&y, 0), N)?;
        test_add(gpu, groups, N as u32, 1, &y)
    });
    rounds.run(gpu, 1)?;
    rounds.run(gpu, times - 1)?;
    Ok((gpu.download(&x)?, gpu.download(&y)?))
}

/// What so many rounds come to.
fn right(times: usize) -> (Vec<u64>, Vec<u64>) {
    let x = 5 + 3 * times as u64;
    (vec![x; N], vec![x + 1; N])
}

#[test]
fn rounds_are_recorded_once_and_started_as_one() {
    let Some(card) = Card::open(&[]) else { return };
    assert_eq!(card.job(PLAIN_ROUNDS), Ok(right(PLAIN_ROUNDS)));
    assert_eq!(card.trace(), "", "too few to be worth it");
    assert_eq!(card.job(ROUNDS), Ok(right(ROUNDS)));
    let starts = ["start"; ROUNDS - PLAIN_ROUNDS].join(" ");
    let once = format!("begin noted noted noted noted end instantiate destroy {starts} destroy_executable");
    assert_eq!(card.trace(), once);
    assert_eq!(card.job(ROUNDS), Ok(right(ROUNDS)));
    assert_eq!(card.trace(), format!("{once} {once}"), "another job has other memory");
    assert_eq!(card.alive(), 0);
    assert_eq!(card.device.used_bytes(), 0);
}

#[test]
fn whichever_call_is_refused_the_rounds_are_right_and_nothing_is_left() {
    let Some(card) = Card::open(&[]) else { return };
    for (call, code) in [
        ("begin", 801),
        ("noted", 900),
        ("end", 901),
        ("instantiate", 2),
        ("start", 1),
        ("destroy", 1),
        ("destroy_executable", 1),
    ] {
        card.fail(call, code);
        assert_eq!(card.job(ROUNDS), Ok(right(ROUNDS)), "{call}");
        assert_eq!(card.alive(), 0, "{call}: {}", card.trace());
        assert_eq!(card.device.used_bytes(), 0, "{call}");
        let started = ROUNDS - PLAIN_ROUNDS;
        let before = card.count("start");
        card.fail("", 0);
        assert_eq!(card.job(ROUNDS), Ok(right(ROUNDS)), "after {call}");
        assert_eq!(card.count("start"), before + started, "the next job records again");
    }
}

#[test]
fn a_lost_device_is_reported_once_by_whichever_call_finds_it() {
    let Some(card) = Card::open(&[]) else { return };
    for call in ["begin", "noted", "end", "instantiate", "start"] {
        let before = (card.count(call), card.count("start"));
        card.fail(call, 719);
        let lost = card.job(ROUNDS);
        assert!(matches!(lost, Err(Failure::Fault(DeviceError::Lost(_)))), "{call}: {lost:?}");
        let started = usize::from(call == "start");
        assert_eq!((card.count(call), card.count("start")), (before.0 + 1, before.1 + started), "{call}");
        assert_eq!(card.alive(), 0, "{call}: {}", card.trace());
    }
}

#[test]
fn a_stream_that_does_not_leave_its_recording_is_lost_rather_than_used() {
    let Some(card) = Card::open(&[]) else { return };
    card.fail("end", 1);
    let lost = card.job(ROUNDS);
    assert!(matches!(lost, Err(Failure::Fault(DeviceError::Lost(_)))), "{lost:?}");
    assert_eq!(card.alive(), 0, "the stream has gone with its lane");
    assert_eq!(card.device.used_bytes(), 2 * 8 * N as u64, "what could not be zeroed is nobody's");
}

#[test]
fn a_driver_without_the_calls_makes_every_round() {
    let Some(card) = Card::open(&["-DNO_GRAPHS"]) else { return };
    assert_eq!(card.job(ROUNDS), Ok(right(ROUNDS)));
    assert_eq!(card.trace(), "");
}

#[test]
fn a_switch_that_is_off_makes_every_round() {
    // SAFETY: each test is a process of its own (nextest), and no other thread runs yet.
    unsafe { std::env::set_var("HELIOSDB_GPU_GRAPHS", "off") };
    let Some(card) = Card::open(&[]) else { return };
    assert_eq!(card.job(ROUNDS), Ok(right(ROUNDS)));
    assert_eq!(card.trace(), "");
}

#[test]
fn a_lane_that_records_refuses_the_rest_and_a_recording_without_its_memory_is_not_started() {
    let Some(card) = Card::open(&[]) else { return };
    let mut lane = card.device.open_lane(LanePriority::Normal).unwrap();
    let tenant = TenantId::new("t");
    let (x, y) = (lane.alloc(&tenant, 64).unwrap(), lane.alloc(&tenant, 64).unwrap());
    lane.upload(x, 0, &[7; 64]).unwrap();
    assert_eq!(lane.begin_recording(), Ok(true));
    let refused = [
        lane.begin_recording().map(drop),
        lane.alloc(&tenant, 64).map(drop),
        lane.upload(x, 0, &[1; 64]),
        lane.download(x, 0, &mut [0; 64]),
        lane.mark().map(drop),
        lane.synchronize(),
        lane.scrub(),
    ];
    for (i, refused) in refused.into_iter().enumerate() {
        assert!(matches!(refused, Err(DeviceError::Call(_))), "{i}: {refused:?}");
    }
    assert!(lane.blas().is_none() && lane.solver().is_none());
    lane.copy(At::from(x), At::from(y), 64).unwrap();
    let recording = lane.end_recording(true).unwrap().expect("a recording");
    assert_eq!(content(lane.as_mut(), y), [0; 64], "what was recorded has not run");
    lane.replay(recording).unwrap();
    assert_eq!(content(lane.as_mut(), y), [7; 64]);
    let mut other = card.device.open_lane(LanePriority::Normal).unwrap();
    assert!(matches!(other.replay(recording), Err(DeviceError::Call(_))), "it is of another lane");
    lane.free(x);
    assert!(matches!(lane.replay(recording), Err(DeviceError::Call(_))), "its memory is somebody else's");
    assert_eq!(card.count("start"), 1);
    drop((lane, other));
    assert_eq!(card.alive(), 0, "a lane takes its recordings along");
}

fn content(lane: &mut dyn DeviceLane, handle: offload_core::device::Handle) -> [u8; 64] {
    let mut bytes = [1; 64];
    lane.download(handle, 0, &mut bytes).unwrap();
    bytes
}

#[test]
fn a_device_that_records_nothing_refuses_the_same_rounds() {
    let device = TestDevice::new(0, 1 << 20, Faults::none());
    let mut lane = device.open_lane(LanePriority::Normal).unwrap();
    let (residents, tenant) = (Residents::new(0), TenantId::new("t"));
    let descriptor = device.descriptor();
    let mut gpu = Gpu::new(lane.as_mut(), descriptor, &residents, tenant, Context::default(), 1 << 16);
    let (x, y) = (gpu.upload(&[5u64; N]).unwrap(), gpu.zeros::<u64>(N).unwrap());
    let mut right = Rounds::new(|gpu: &mut Gpu<'_>| {
        gpu.clear(&y)?;
        gpu.copy((&x, 0), (&y, 1), 3)
    });
    right.run(&mut gpu, ROUNDS).unwrap();
    assert_eq!(gpu.download_range(&y, 0, 5), Ok(vec![0, 5, 5, 5, 0]));
    let wrong = Rounds::new(|gpu: &mut Gpu<'_>| gpu.upload(&[1u64]).map(drop)).run(&mut gpu, 1);
    assert!(matches!(wrong, Err(Failure::Fault(DeviceError::Call(_)))), "{wrong:?}");
    gpu.end(Ok(Record::new())).result.unwrap();
}
