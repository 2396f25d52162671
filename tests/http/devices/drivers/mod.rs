//! NVIDIA's driver missing, half there, failing, hanging and crashing: the service says so and serves on.

mod pack;
mod slices;

use super::{WORTH_MORE, absent, devices, multiply, statuses, tells, until};
use crate::service::{Folder, Service};
use serde_json::Value as Json;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// A folder with a driver that fails as `FAKE_CUDA` says.
struct Driver(Folder);

impl Driver {
    /// `None`, said aloud, without a C compiler.
    fn broken() -> Option<Driver> {
        let root = env!("CARGO_MANIFEST_DIR");
        let fake = format!("-DFAKE_DRIVER=\"{root}/crates/offload-devices/tests/fake/libcuda.c\"");
        Driver::of(&[&fake, &format!("{root}/tests/http/devices/drivers/broken.c")], "libcuda.so.1")
    }

    fn of(arguments: &[&str], name: &str) -> Option<Driver> {
        let driver = Driver(Folder::new());
        driver.with(arguments, name).then_some(driver)
    }

    /// Builds one more library into the folder; `false` without a C compiler.
    fn with(&self, arguments: &[&str], name: &str) -> bool {
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-w", "-o"])
            .arg(self.path().join(name))
            .args(arguments)
            .status();
        match built {
            Ok(status) => assert!(status.success(), "{name} does not compile"),
            Err(ref e) => println!("skipped: no C compiler: {e}"),
        }
        built.is_ok()
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// A service whose first place to look for libraries is this one.
    fn service(&self, wrong: &str, more: &[(&str, &str)]) -> Service {
        let path = self.path().to_str().expect("a path");
        let environment = [("LD_LIBRARY_PATH", path), ("FAKE_CUDA", wrong)];
        let settings = [&WORTH_MORE, more].concat();
        Service::within(Folder::new(), &settings, &[], &environment)
    }
}

fn reason(service: &Service, driver: &str) -> String {
    let absent = absent(service);
    let found = absent.iter().find(|(what, _)| what == driver);
    found.unwrap_or_else(|| panic!("{driver} is not among {absent:?}")).1.clone()
}

/// Asks for work that a device would be chosen for, and gets right answers.
fn serves(service: &Service, times: usize) -> Vec<Json> {
    service.ask("GET", "/health/ready").expect(200);
    let answers: Vec<Json> = (0..times).map(|seed| multiply(service, 160, seed, "auto")).collect();
    answers.iter().for_each(tells);
    service.ask("GET", "/health/ready").expect(200);
    answers
}

#[test]
fn a_driver_that_does_not_start_is_absent_with_its_reason() {
    let Some(driver) = Driver::broken() else { return };
    for (wrong, why) in [
        ("init_fails", ""),
        ("init_crashes", "its driver crashed the probe (signal 11)"),
        ("init_hangs", "its probe did not end within 700 ms (devices.probe_timeout_ms)"),
    ] {
        let start = Instant::now();
        let service = driver.service(wrong, &[("DEVICES__PROBE_TIMEOUT_MS", "700")]);
        service.ask("GET", "/health/ready").expect(200);
        println!("{wrong}: ready after {:?}", start.elapsed());
        let said = reason(&service, "cuda");
        println!("{wrong}: {said}");
        assert!(if why.is_empty() { !said.is_empty() } else { said == why }, "{wrong}: {said}");
        assert!(devices(&service).iter().all(|d| d["backend"] != "cuda"));
        serves(&service, 2);
    }
}

#[test]
fn a_driver_whose_calls_fail_costs_no_answer() {
    let Some(driver) = Driver::broken() else { return };
    for wrong in ["alloc_fails", "upload_fails", "upload_crashes_fiftieth", "wait_hangs_tenth", "nothing"] {
        let service = driver.service(wrong, &[("DEVICES__WATCHDOG_MS", "400")]);
        until("the device was found", || !devices(&service).is_empty());
        assert_eq!(devices(&service)[0]["backend"], "cuda");
        until("it is up, or was tried", || statuses(&service)[0] != "starting" || wrong != "nothing");
        let start = Instant::now();
        let answers = serves(&service, 60);
        let tried = answers.iter().filter(|a| a["fallback"]["reason"].is_string()).count();
        let d = &devices(&service)[0];
        println!(
            "{wrong}: {tried} of 60 tried on the device, {} faults, {} restarts, in {:?}",
            d["faults"],
            d["restarts"],
            start.elapsed()
        );
    }
}

#[test]
fn a_driver_that_crashes_in_use_is_started_again() {
    let Some(driver) = Driver::broken() else { return };
    let compiler = format!("{}/tests/http/devices/drivers/compiler.c", env!("CARGO_MANIFEST_DIR"));
    driver.with(&[&compiler], "libnvrtc.so.13");
    for wrong in ["upload_crashes_fiftieth", "launch_crashes_fiftieth"] {
        let service = driver.service(wrong, &[]);
        until("the device is up", || statuses(&service) == ["up"]);
        let end = Instant::now() + Duration::from_secs(60);
        let mut seed = 0;
        while devices(&service)[0]["restarts"].as_u64() == Some(0) {
            assert!(Instant::now() < end, "no crash: {}", devices(&service)[0]);
            seed += 1;
            tells(&multiply(&service, 160, seed, "auto"));
        }
        println!("{wrong}: after {seed} jobs");
        assert!(service.log().contains("segmentation fault"), "the log says why");
        until("the device is back", || statuses(&service) == ["up"]);
    }
}

#[test]
fn without_any_library_every_driver_is_absent_with_its_reason() {
    // No platform of OpenCL either, whether or not its loader is there.
    let environment = [("OCL_ICD_VENDORS", "/nonexistent"), ("OCL_ICD_FILENAMES", "")];
    let service = Service::within(Folder::new(), &[], &[], &environment);
    for what in ["cuda", "rocm", "opencl"] {
        assert!(!reason(&service, what).is_empty());
    }
    assert!(devices(&service).is_empty());
    serves(&service, 2);
}

#[test]
fn half_a_driver_is_none() {
    // NVIDIA's compiler without its driver, as pip installs it.
    let Some(half) = Driver::of(&["-x", "c", "/dev/null"], "libnvrtc.so.13") else { return };
    let service = half.service("", &[]);
    assert!(!reason(&service, "cuda").is_empty());
    serves(&service, 2);
    // A file of that name that is no library.
    std::fs::write(half.path().join("libcuda.so.1"), b"no library").expect("a file");
    let service = half.service("", &[]);
    assert!(!reason(&service, "cuda").is_empty());
    // One without the calls that are looked for.
    let Some(empty) = Driver::of(&["-x", "c", "/dev/null"], "libcuda.so.1") else { return };
    let service = empty.service("", &[]);
    assert!(reason(&service, "cuda").contains("cuInit"), "{}", reason(&service, "cuda"));
    serves(&service, 2);
}
