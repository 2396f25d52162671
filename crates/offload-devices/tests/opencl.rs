//! Every OpenCL device of this machine (PoCL where there is no card): memory, kernels, matrix products, failures.
//!
//! Without a device each test says `skipped` and why.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use offload_core::api::{DType, Record};
use offload_core::device::{
    Argument, At, Device, DeviceError, DeviceLane, Gemm, Gpu, Groups, Handle, KernelSource, KernelText,
    LanePriority, Launch, Residents, Rounds,
};
use offload_core::{Context, Failure, TenantId};
use offload_devices::discover::{self, Options};
use offload_devices::opencl;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

fn options() -> Options {
    Options { allow_cpu_opencl: true, memory_bytes: Some(64 << 20), ..Options::default() }
}

/// Opens the first device; `None`, and said why, where there is none.
fn device(options: &Options) -> Option<Arc<dyn Device>> {
    match opencl::list(options) {
        Ok(list) => {
            println!("on {} ({})", list[0].name, list[0].software.join("; "));
            Some(opencl::open(0, options).unwrap())
        }
        Err(why) => {
            println!("skipped: {why}");
            None
        }
    }
}

fn lane() -> Option<(Arc<dyn Device>, Box<dyn DeviceLane>)> {
    let device = device(&options())?;
    let lane = device.open_lane(LanePriority::Normal).unwrap();
    Some((device, lane))
}

fn tenant() -> TenantId {
    TenantId::new("t")
}

fn filled(lane: &mut dyn DeviceLane, bytes: &[u8]) -> Handle {
    let handle = lane.alloc(&tenant(), bytes.len()).unwrap();
    lane.upload(handle, 0, bytes).unwrap();
    handle
}

fn content(lane: &mut dyn DeviceLane, handle: Handle, bytes: usize) -> Vec<u8> {
    let mut out = vec![0u8; bytes];
    lane.download(handle, 0, &mut out).unwrap();
    out
}

#[test]
fn a_device_says_what_it_is() {
    let Ok(list) = opencl::list(&options()) else { return println!("skipped: no OpenCL device") };
    for (i, d) in list.iter().enumerate() {
        println!("{d:?}");
        assert!(!d.name.is_empty() && d.units > 0 && d.id as usize == i);
        assert_eq!(d.memory_bytes, 64 << 20);
        assert!(d.software.iter().any(|s| s.starts_with("OpenCL ")), "{:?}", d.software);
        if let Some(pci) = &d.pci {
            assert_eq!(pci.len(), "0000:3b:00.0".len(), "{pci}");
        }
        let found = discover::discover(&options());
        assert!(found.devices.iter().any(|f| f.selector == format!("opencl:{i}")) || d.pci.is_some());
        if d.is_cpu {
            let found = discover::discover(&Options::default());
            assert!(
                found.absent.iter().any(|a| a.what == format!("opencl:{i}")),
                "a CPU counts only when asked"
            );
        }
    }
    let beyond = opencl::open(list.len() as u32, &options());
    assert!(matches!(beyond, Err(DeviceError::Unsupported(_))));
}

/// Run again in a process of its own, with another library in OpenCL's place.
#[test]
fn a_library_that_is_absent_or_too_old_is_a_reason() {
    const ROLE: &str = "OFFLOAD_TEST_WITHOUT_OPENCL";
    if std::env::var(ROLE).is_ok() {
        let why = opencl::list(&options()).unwrap_err();
        println!("reason: {why}");
        let refused = opencl::open(0, &options()).map(|_| ());
        assert_eq!(refused, Err(DeviceError::Unsupported(why)));
        let found = discover::discover(&options());
        assert!(found.devices.is_empty() && found.absent.iter().any(|a| a.what == "opencl"));
        return;
    }
    let folder = std::env::temp_dir().join(format!("offload-no-opencl-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("libOpenCL.so.1"), "no library").unwrap();
    let own = std::env::current_exe().unwrap();
    let rerun = |variable: &str, value: &std::ffi::OsStr| {
        let mut command = std::process::Command::new(&own);
        command.args(["--exact", "--nocapture", "a_library_that_is_absent_or_too_old_is_a_reason"]);
        let ended = command.env(ROLE, "1").env(variable, value).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stdout).into_owned();
        assert!(ended.status.success(), "{said}{}", String::from_utf8_lossy(&ended.stderr));
        said
    };
    let said = rerun("LD_LIBRARY_PATH", folder.as_os_str());
    assert!(said.contains("reason: libOpenCL.so.1 cannot be loaded"), "{said}");
    // A library without a single function of OpenCL.
    let said = rerun("OPENCL_DYLIB_PATH", "libm.so.6".as_ref());
    assert!(said.contains("reason: the OpenCL library is too old"), "{said}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn bytes_go_where_they_are_sent() {
    let Some((_device, mut lane)) = lane() else { return };
    let lane = lane.as_mut();
    let a = filled(lane, &(0..=99).collect::<Vec<u8>>());
    lane.upload(a, 90, &[200; 10]).unwrap();
    lane.upload(a, 100, &[]).unwrap();
    let b = lane.alloc(&tenant(), 37).unwrap();
    lane.set(b, 7).unwrap();
    lane.copy(At { handle: a, offset_bytes: 85 }, At { handle: b, offset_bytes: 3 }, 10).unwrap();
    lane.copy(At { handle: a, offset_bytes: 100 }, At { handle: b, offset_bytes: 37 }, 0).unwrap();
    let mut want = vec![7u8; 37];
    want[3..13].copy_from_slice(&[85, 86, 87, 88, 89, 200, 200, 200, 200, 200]);
    assert_eq!(content(lane, b, 37), want);
    let mut part = [0u8; 4];
    lane.download(a, 3, &mut part).unwrap();
    assert_eq!(part, [3, 4, 5, 6]);
    for bytes in [1usize, 4, 15, 16, 33, 64] {
        let c = lane.alloc(&tenant(), bytes).unwrap();
        lane.set(c, 0xee).unwrap();
        assert_eq!(content(lane, c, bytes), vec![0xee; bytes]);
    }

    let none = lane.alloc(&tenant(), 0).unwrap();
    lane.set(none, 1).unwrap();
    lane.upload(none, 0, &[]).unwrap();
    lane.download(none, 0, &mut []).unwrap();

    let outside = |r: Result<(), DeviceError>| assert!(matches!(r, Err(DeviceError::Call(_))), "{r:?}");
    outside(lane.upload(a, 91, &[0; 10]));
    outside(lane.upload(a, usize::MAX, &[0; 10]));
    outside(lane.download(b, 30, &mut [0; 8]));
    outside(lane.copy(a.into(), At { handle: b, offset_bytes: 30 }, 8));
    lane.free(b);
    lane.free(b);
    outside(lane.set(b, 0));
    assert_eq!(content(lane, a, 2), [0, 1], "a refused call spoils nothing");
}

#[test]
fn memory_is_counted_before_the_driver_is_asked() {
    let Some((device, mut lane)) = lane() else { return };
    let used = |d: &Arc<dyn Device>| d.health().unwrap().memory_used_bytes;
    let a = lane.alloc(&tenant(), 48 << 20).unwrap();
    assert_eq!(used(&device), 48 << 20);
    let full = DeviceError::OutOfMemory { needed_bytes: (16 << 20) + 1, free_bytes: 16 << 20 };
    assert_eq!(lane.alloc(&tenant(), (16 << 20) + 1), Err(full));
    assert!(matches!(lane.alloc(&tenant(), usize::MAX), Err(DeviceError::OutOfMemory { .. })));
    // Memory belongs to the device: another lane sees the same books, and the same bytes.
    let mut other = device.open_lane(LanePriority::High).unwrap();
    let b = other.alloc(&tenant(), 16 << 20).unwrap();
    assert!(matches!(other.alloc(&tenant(), 1), Err(DeviceError::OutOfMemory { free_bytes: 0, .. })));
    other.set(b, 3).unwrap();
    other.synchronize().unwrap();
    let mut got = [0u8; 2];
    lane.download(b, 5, &mut got).unwrap();
    assert_eq!(got, [3, 3]);
    lane.free(a);
    lane.free(b);
    assert_eq!(used(&device), 0);
}

offload_core::kernels! {
    /// Adds a number to each element.
    static SHIFT = "test_shift" {
        text: "KERNEL test_shift(u64 n, T by, i32 less, GLOBAL T *x) { FOR_EACH(i, n) x[i] += by - (T)less; }
               KERNEL test_sum(u64 n, GLOBAL const T *x, GLOBAL T *out) {
                 SHARED T scratch[BLOCK];
                 T sum = (T)0;
                 for (u64 i = local_id(); i < n; i += BLOCK) sum += x[i];
                 sum = group_sum_t(sum, scratch);
                 if (local_id() == 0u) out[0] = sum;
               }",
        block: 64,
        elements: [F32, F64],
        defines: [],
    }
    fn test_shift<T>(n: u64, by: T, less: i32, x: [T]);
    fn test_sum<T>(n: u64, x: [T], out: [T]);
}

offload_core::kernels! {
    static BROKEN = "test_broken" {
        text: "KERNEL test_broken(u64 n) { nothing_of_this_name = n; }",
        block: 64,
        elements: [],
        defines: [],
    }
    fn test_broken(n: u64);
}

offload_core::kernels! {
    static WIDE = "test_wide" {
        text: "KERNEL test_wide(u64 n) { }",
        block: 0x4000_0000,
        elements: [],
        defines: [],
    }
    fn test_wide(n: u64);
}

fn source(text: &'static KernelText, element: Option<DType>) -> KernelSource {
    KernelSource { text, element }
}

#[test]
fn a_kernel_runs_with_typed_arguments_and_its_time_is_measured() {
    let Some((_device, mut lane)) = lane() else { return };
    let lane = lane.as_mut();
    let n = 1000usize;
    let bytes: Vec<u8> = (0..n).flat_map(|i| (i as f32).to_ne_bytes()).collect();
    let x = filled(lane, &bytes);
    let module = lane.compile(&source(&SHIFT, Some(DType::F32))).unwrap();
    assert_eq!(lane.compile(&source(&SHIFT, Some(DType::F32))).unwrap(), module);
    assert_ne!(lane.compile(&source(&SHIFT, Some(DType::F64))).unwrap(), module);
    let arguments = [Argument::U64(n as u64), Argument::F32(2.5), Argument::I32(-1), Argument::Buffer(x)];
    let start = |arguments: &[Argument], entry, groups, lane: &mut dyn DeviceLane| {
        lane.launch(&Launch { module, entry, groups, block: 64, arguments })
    };
    let from = lane.mark().unwrap();
    start(&arguments, "test_shift", [3, 1, 1], lane).unwrap();
    let to = lane.mark().unwrap();
    let out = lane.alloc(&tenant(), 4).unwrap();
    let sum = [Argument::U64(n as u64), Argument::Buffer(x), Argument::Buffer(out)];
    start(&sum, "test_sum", [1, 1, 1], lane).unwrap();
    let got = content(lane, x, 4 * n);
    for (i, got) in got.as_chunks::<4>().0.iter().enumerate() {
        assert_eq!(f32::from_ne_bytes(*got), i as f32 + 3.5);
    }
    let sum = f32::from_ne_bytes(content(lane, out, 4).try_into().unwrap());
    assert_eq!(sum, 499_500.0 + 3_500.0);
    let took = lane.between(from, to).unwrap();
    assert!(took > Duration::ZERO && took < Duration::from_secs(60), "{took:?}");

    // A kernel is refused whole, and says what is wrong.
    for (entry, arguments, word) in [
        ("test_shift", &arguments[..3], "3 arguments for 4 parameters"),
        ("test_absent", &arguments[..], "test_absent"),
        (
            "test_shift",
            &[Argument::U32(1), arguments[1], arguments[2], arguments[3]],
            "the argument n is U32(1), not u64",
        ),
        (
            "test_shift",
            &[arguments[0], arguments[1], arguments[2], Argument::Buffer(Handle(999))],
            "handle 999",
        ),
    ] {
        match start(arguments, entry, [1, 1, 1], lane) {
            Err(DeviceError::Call(m)) => assert!(m.contains(word), "{m}"),
            other => panic!("{other:?}"),
        }
    }
    start(&arguments, "test_shift", [3, 1, 1], lane).unwrap();
    assert_eq!(content(lane, x, 4), 7.0f32.to_ne_bytes());
}

#[test]
fn a_text_that_does_not_compile_gives_the_compilers_log() {
    let Some((_device, mut lane)) = lane() else { return };
    let Err(DeviceError::Compile(log)) = lane.compile(&source(&BROKEN, None)) else { panic!("it compiles") };
    assert!(log.contains("test_broken") && log.contains("nothing_of_this_name"), "{log}");
    let wide = lane.compile(&source(&WIDE, None));
    assert!(matches!(wide, Err(DeviceError::Unsupported(_))), "{wide:?}");
    let fine = lane.compile(&source(&SHIFT, Some(DType::F32)));
    assert!(fine.is_ok(), "the device goes on: {fine:?}");
}

#[test]
fn rounds_of_launches_are_made_one_by_one_and_a_wrong_one_is_refused() {
    let Some((device, mut lane)) = lane() else { return };
    let residents = Residents::new(0);
    let mut gpu =
        Gpu::new(lane.as_mut(), device.descriptor(), &residents, tenant(), Context::default(), 1 << 16);
    let (x, y) = (gpu.upload(&[1.0f32; 100]).unwrap(), gpu.zeros::<f32>(100).unwrap());
    let mut rounds = Rounds::new(|gpu: &mut Gpu<'_>| {
        test_shift::<f32>(gpu, Groups::covering(100, 64), 100, 3.0, 1, &x)?;
        gpu.copy((&x, 0), (&y, 0), 100)?;
        test_shift::<f32>(gpu, Groups::covering(100, 64), 100, 0.5, 0, &y)
    });
    rounds.run(&mut gpu, 7).unwrap();
    assert_eq!((gpu.download(&x), gpu.download(&y)), (Ok(vec![15.0; 100]), Ok(vec![15.5; 100])));
    let turn = std::cell::Cell::new(0.0);
    let differs = Rounds::new(|gpu: &mut Gpu<'_>| {
        turn.set(turn.get() + 1.0);
        test_shift::<f32>(gpu, Groups([1, 1, 1]), 1, turn.get(), 0, &x)
    });
    let looks = Rounds::new(|gpu: &mut Gpu<'_>| gpu.download(&x).map(drop));
    for wrong in [{ differs }.run(&mut gpu, 7), { looks }.run(&mut gpu, 1)] {
        assert!(matches!(wrong, Err(Failure::Fault(DeviceError::Call(_)))), "{wrong:?}");
    }
    gpu.end(Ok(Record::new())).result.unwrap();
}

#[test]
fn compiled_kernels_are_kept_and_spoiled_ones_are_compiled_again() {
    let folder: PathBuf = std::env::temp_dir().join(format!("offload-opencl-{}", std::process::id()));
    let options = Options { kernel_cache: Some(folder.clone()), ..options() };
    let run = |device: Arc<dyn Device>| {
        let mut lane = device.open_lane(LanePriority::Normal).unwrap();
        let x = filled(lane.as_mut(), &1.0f64.to_ne_bytes());
        let module = lane.compile(&source(&SHIFT, Some(DType::F64))).unwrap();
        let arguments = [Argument::U64(1), Argument::F64(1.0), Argument::I32(0), Argument::Buffer(x)];
        lane.launch(&Launch {
            module,
            entry: "test_shift",
            groups: [1, 1, 1],
            block: 64,
            arguments: &arguments,
        })
        .unwrap();
        assert_eq!(content(lane.as_mut(), x, 8), 2.0f64.to_ne_bytes());
    };
    let Some(first) = device(&options) else { return };
    run(first);
    let files = || std::fs::read_dir(&folder).unwrap().map(|f| f.unwrap().path()).collect::<Vec<_>>();
    let [kept] = &files()[..] else { panic!("one kernel, {:?}", files()) };
    let whole = std::fs::read(kept).unwrap();
    run(opencl::open(0, &options).unwrap());
    assert_eq!(std::fs::read(kept).unwrap(), whole);
    std::fs::write(kept, &whole[..whole.len() / 2]).unwrap();
    run(opencl::open(0, &options).unwrap());
    assert!(std::fs::read(kept).unwrap().len() > whole.len() / 2, "it is written anew");
    std::fs::remove_dir_all(folder).unwrap();
}

/// Small whole numbers, so that every order of summation gives the same and equality is exact.
fn numbers(count: usize, seed: usize) -> Vec<f64> {
    (0..count).map(|i| ((i * 37 + seed * 101 + i / 7) % 17) as f64 - 8.0).collect()
}

fn bytes_of(numbers: &[f64], double: bool) -> Vec<u8> {
    if double {
        numbers.iter().flat_map(|x| x.to_ne_bytes()).collect()
    } else {
        numbers.iter().flat_map(|x| (*x as f32).to_ne_bytes()).collect()
    }
}

fn product(g: &Gemm, a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut c = vec![0.0; g.batch * g.m * g.n];
    for i in 0..g.batch {
        let a = &a[if g.batched.0 { i * g.m * g.k } else { 0 }..];
        let b = &b[if g.batched.1 { i * g.k * g.n } else { 0 }..];
        for r in 0..g.m {
            for s in 0..g.n {
                c[(i * g.m + r) * g.n + s] = (0..g.k)
                    .map(|q| {
                        let x = if g.transpose_a { a[q * g.m + r] } else { a[r * g.k + q] };
                        let y = if g.transpose_b { b[s * g.k + q] } else { b[q * g.n + s] };
                        x * y
                    })
                    .fold(0.0, |sum, x| sum + x);
            }
        }
    }
    c
}

#[test]
fn products_agree_with_plain_loops_for_every_shape_and_layout() {
    let Some((device, mut lane)) = lane() else { return };
    let lane = lane.as_mut();
    let shapes = [
        (1, 1, 1),
        (1, 130, 3),
        (130, 1, 65),
        (3, 5, 0),
        (64, 64, 16),
        (65, 63, 17),
        (7, 200, 33),
        (129, 70, 40),
    ];
    let mut ran = 0;
    for double in [false, true] {
        if double && !device.descriptor().f64 {
            continue;
        }
        let size = if double { 8 } else { 4 };
        for (m, n, k) in shapes {
            for flips in 0..4u8 {
                for (batch, batched) in
                    [(1, (true, true)), (3, (true, true)), (3, (false, true)), (2, (true, false))]
                {
                    let g = Gemm {
                        batch,
                        batched,
                        transpose_a: flips & 1 != 0,
                        transpose_b: flips & 2 != 0,
                        ..Gemm::new(m, n, k)
                    };
                    let count = |own: bool, one: usize| if own { one * batch } else { one };
                    let (a, b) = (numbers(count(batched.0, m * k), 1), numbers(count(batched.1, k * n), 2));
                    // Each operand begins two elements into its memory, among others that must stay as they are.
                    let padded = |x: &[f64]| bytes_of(&[&[9.0, 9.0], x, &[9.0]].concat(), double);
                    let (pa, pb) = (filled(lane, &padded(&a)), filled(lane, &padded(&b)));
                    let pc = filled(lane, &padded(&vec![f64::NAN; batch * m * n]));
                    let at = |handle| At { handle, offset_bytes: 2 * size };
                    lane.blas().unwrap().gemm(&g, double, at(pa), at(pb), at(pc)).unwrap();
                    let want = padded(&product(&g, &a, &b));
                    assert_eq!(content(lane, pc, want.len()), want, "{g:?}, double: {double}");
                    for handle in [pa, pb, pc] {
                        lane.free(handle);
                    }
                    ran += 1;
                }
            }
        }
    }
    println!("{ran} products");

    let at = |offset_bytes| At { handle: Handle(1), offset_bytes };
    let refused = lane.blas().unwrap().gemm(&Gemm::new(1, 1, 1), false, at(2), at(0), at(0));
    assert!(matches!(refused, Err(DeviceError::Call(_))), "half an element: {refused:?}");
    let refused = lane.blas().unwrap().gemm(&Gemm::new(1 << 33, 1, 1), false, at(0), at(0), at(0));
    assert!(matches!(refused, Err(DeviceError::Unsupported(_))), "{refused:?}");
    lane.blas().unwrap().gemm(&Gemm::new(0, 4, 4), false, at(0), at(0), at(0)).unwrap();
}
