//! NVIDIA's driver without its compiler: kernels come from a pack, or the CPU answers and it is said why.

use super::Driver;
use crate::devices::{WORTH_MORE, devices, multiply, statuses, until};
use crate::service::{Folder, Service, command};
use offload_core::device::{KernelSource, KernelText};
use offload_devices::kernels::pack::{Compiled, FILE_NAME, write};
use serde_json::{Value as Json, json};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// The fake driver, and in the place of NVRTC a library that has none of its calls; with `nvrtc`, one that has them.
fn driver(nvrtc: bool) -> Option<Driver> {
    let root = env!("CARGO_MANIFEST_DIR");
    let driver =
        Driver::of(&[&format!("{root}/crates/offload-devices/tests/fake/libcuda.c")], "libcuda.so.1")?;
    let compiler = format!("{root}/tests/http/devices/drivers/compiler.c");
    let compiler: &[&str] = if nvrtc { &[&compiler] } else { &["-x", "c", "/dev/null"] };
    driver.with(compiler, "libnvrtc.so.13").then_some(driver)
}

/// A pack of the transpose alone: PTX as NVRTC 12.0 frames it, with an empty body.
pub(super) fn pack() -> Vec<u8> {
    let registry = offload_ops::registry();
    let transpose = registry.find("matrix", "transpose").expect("a transpose").operation.kernels();
    let compiled = |source: KernelSource| {
        let entry = |name: &str| format!(".visible .entry {name}(\n)\n{{\n\tret;\n}}\n");
        let entries: String = source.text.entries.iter().map(|e| entry(e.name)).collect();
        Compiled { source, ptx: format!(".version 8.0\n.target sm_70\n.address_size 64\n\n{entries}") }
    };
    let text = transpose.iter().copied().find(|t| t.name == "matrix_transpose").expect("its kernel");
    write("NVRTC 12.0.76", &KernelText::variants(text).map(compiled).collect::<Vec<_>>()).expect("a pack")
}

fn file(folder: &Folder, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(FILE_NAME);
    std::fs::write(&path, bytes).expect("a file");
    path
}

pub(super) fn words(path: &Path) -> &str {
    path.to_str().expect("a path")
}

/// Asks the device for a transpose; right answers only.
fn transpose(service: &Service) -> crate::wire::Reply {
    transpose_as(service, &service.key)
}

/// The same with another key.
pub(super) fn transpose_as(service: &Service, key: &str) -> crate::wire::Reply {
    let a: Vec<Vec<f64>> = (0..40).map(|i| (0..70).map(|j| f64::from(i * 70 + j)).collect()).collect();
    let body = json!({"inputs": {"a": a, "dtype": "f64"}, "device": "gpu", "cache": false});
    let reply = service.post_as(key, "/api/v1/workloads/matrix/transpose", &body);
    if reply.status == 200 {
        let result: Vec<Vec<f64>> =
            serde_json::from_value(reply.expect(200)["result"].take()).expect("a matrix");
        assert!((0..70).all(|j| (0..40).all(|i| result[j][i] == a[i][j])), "a wrong transpose");
    }
    reply
}

fn software(service: &Service) -> String {
    until("the device is up", || statuses(service) == ["up"]);
    devices(service)[0]["software"].to_string()
}

/// A service over this driver; what the driver gets of PTX is added to the file `ptx` of its folder.
fn service(driver: &Driver, folder: Folder, settings: &[(&str, &str)]) -> Service {
    let ptx = driver.path().join("ptx");
    let environment = [("LD_LIBRARY_PATH", words(driver.path())), ("FAKE_CUDA_PTX", words(&ptx))];
    Service::within(folder, &[&WORTH_MORE, settings].concat(), &[], &environment)
}

/// What the CPU answers where the device has no kernels, and that it says so.
fn the_cpu_answers(service: &Service) {
    let answer = multiply(service, 160, 1, "auto");
    assert!(answer["device_id"].is_null(), "{answer}");
    assert_eq!(answer["fallback"]["reason"], "device 0 failed this job before", "{answer}");
    assert_eq!(statuses(service), ["up"]);
}

#[test]
fn without_nvrtc_the_driver_gets_the_packs_ptx() {
    let Some(driver) = driver(false) else { return };
    // In the data directory, where it is looked for by itself.
    let folder = Folder::new();
    std::fs::create_dir(folder.path().join("data")).expect("a folder");
    std::fs::write(folder.path().join("data").join(FILE_NAME), pack()).expect("a file");
    let service = service(&driver, folder, &[]);
    let title = format!("kernel pack of version {}", env!("CARGO_PKG_VERSION"));
    let software = software(&service);
    assert!(
        software.contains(&title) && software.contains("2 kernels, NVRTC 12.0.76, PTX ISA 8.0"),
        "{software}"
    );
    assert_eq!(transpose(&service).expect(200)["device_id"], 0);
    let ptx = std::fs::read_to_string(driver.path().join("ptx")).expect("the driver got PTX");
    for part in [".version 8.0\n", ".target sm_70\n", ".visible .entry matrix_transpose("] {
        assert_eq!(ptx.matches(part).count(), 1, "{part} in {ptx}");
    }
    // The product is not in it: not an error of the device, and the log names the pack.
    the_cpu_answers(&service);
    until("the log says why", || {
        service.log().contains(&format!("{title} (")) && service.log().contains("gemm_tiled_f64")
    });
}

#[test]
fn a_machine_that_has_nvrtc_uses_the_pack_where_it_is_told_to() {
    let Some(driver) = driver(true) else { return };
    let folder = Folder::new();
    let path = file(&folder, &pack());
    let named = [("DEVICES__KERNEL_PACK", words(&path))];
    let by_itself = service(&driver, Folder::new(), &named);
    assert!(software(&by_itself).contains("nvrtc 13.0"), "{}", software(&by_itself));
    let told = service(&driver, Folder::new(), &[named[0], ("DEVICES__COMPILER", "pack")]);
    assert!(software(&told).contains("kernel pack of version"), "{}", software(&told));
    assert_eq!(transpose(&told).expect(200)["device_id"], 0);
    assert!(driver.path().join("ptx").exists());

    // `check` says the same, before it runs anything.
    let mut check = command(&folder, &["check"]);
    check.env("LD_LIBRARY_PATH", driver.path());
    check.env("HELIOSDB_GPU__DEVICES__COMPILER", "pack").env("HELIOSDB_GPU__DEVICES__KERNEL_PACK", &path);
    let mut child = check.stdout(Stdio::piped()).spawn().expect("it starts");
    let lines = BufReader::new(child.stdout.take().expect("its words")).lines();
    let said: Vec<String> = lines.take(8).map_while(Result::ok).collect();
    child.kill().and_then(|()| child.wait()).expect("it ends");
    assert!(said.iter().any(|line| line.contains("kernel pack of version")), "{said:?}");
}

#[test]
fn where_nvrtc_is_older_than_the_card_the_pack_is_used_and_it_is_said_why() {
    let Some(driver) = driver(true) else { return };
    let folder = Folder::new();
    let path = file(&folder, &pack());
    let environment = [("LD_LIBRARY_PATH", words(driver.path())), ("FAKE_NVRTC_OLD", "1")];
    let why = "nvrtc 13.0 makes no code for sm_90, the newest it knows is sm_86";
    for (settings, wanted) in [
        (&[("DEVICES__KERNEL_PACK", words(&path))][..], format!("PTX ISA 8.0; {why}")),
        (
            &[("DEVICES__KERNEL_PACK", "/nonexistent")],
            format!("no compiler: {why}; the kernel pack nonexistent cannot be read"),
        ),
        (
            &[("DEVICES__KERNEL_PACK", words(&path)), ("DEVICES__COMPILER", "nvrtc")],
            format!("no compiler: {why}\""),
        ),
    ] {
        let service = Service::within(Folder::new(), settings, &[], &environment);
        let software = software(&service);
        assert!(software.contains(&wanted), "{software}");
        assert_eq!(transpose(&service).status, if wanted.starts_with("PTX") { 200 } else { 501 });
    }
}

#[test]
fn a_pack_that_is_missing_or_damaged_costs_no_answer() {
    let Some(driver) = driver(false) else { return };
    let good = pack();
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 4;
    // What is no pack at all, and everything that may be wrong in one, is for the tests of the format.
    let folder = Folder::new();
    for (bytes, why) in [
        (None, "there is no kernel pack"),
        (Some(&good[..good.len() - 1]), "is damaged"),
        (Some(&flipped[..]), "is damaged"),
    ] {
        let path = bytes.map(|bytes| file(&folder, bytes));
        let named = path.as_deref().map(|path| ("DEVICES__KERNEL_PACK", words(path)));
        let service = service(&driver, Folder::new(), named.as_slice());
        let software = software(&service);
        assert!(software.contains("no compiler: no NVRTC: ") && software.contains(why), "{software}");
        assert!(!software.contains(words(folder.path())), "paths stay here: {software}");
        the_cpu_answers(&service);
        let refused: Json = transpose(&service).fails(501, "backend_unavailable");
        assert!(refused["message"].is_string());
        until("the log says why", || {
            service.log().contains("nothing makes machine code") && service.log().contains(why)
        });
    }
    assert!(!driver.path().join("ptx").exists());
}

#[test]
fn ptx_that_the_driver_refuses_costs_no_answer() {
    let Some(driver) = driver(false) else { return };
    let folder = Folder::new();
    let path = file(&folder, &pack());
    for wrong in ["ptxas error: nonsense", "too old"] {
        let environment = [("LD_LIBRARY_PATH", words(driver.path())), ("FAKE_CUDA_JIT", wrong)];
        let named = [("DEVICES__KERNEL_PACK", words(&path))];
        let service = Service::within(Folder::new(), &named, &[], &environment);
        until("the device is up", || statuses(&service) == ["up"]);
        assert_ne!(transpose(&service).status, 200);
        until("the log has the driver's words", || service.log().contains(wrong));
        assert_eq!(statuses(&service), ["up"], "a kernel is refused, and the device goes on");
    }
}
