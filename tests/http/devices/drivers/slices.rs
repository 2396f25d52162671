//! A card that is cut into slices (MIG): who is in which, as the environment of the workers says, and what is said of it.

use super::pack::{pack, transpose_as, words};
use super::{Driver, reason};
use crate::devices::{WORTH_MORE, devices, kill, metric, multiply_as, statuses, tells, until, workers};
use crate::service::{Folder, Service, command};
use serde_json::{Value as Json, json};
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

/// One large slice and two small ones, in the order in which they were made.
const THREE: [(&str, u32, u32, u32); 3] = [
    ("MIG-aaaaaaaa-0000-0000-0000-000000000001", 7, 1024, 16),
    ("MIG-bbbbbbbb-0000-0000-0000-000000000002", 1, 3072, 60),
    ("MIG-cccccccc-0000-0000-0000-000000000003", 8, 1024, 16),
];
const LARGE: &str = THREE[1].0;

/// The fake driver, with or without its library of management, and no NVRTC; kernels are in a pack.
fn card(management: bool) -> Option<Driver> {
    let fake =
        |name: &str| format!("{}/crates/offload-devices/tests/fake/{name}", env!("CARGO_MANIFEST_DIR"));
    let driver = Driver::of(&[&fake("libcuda.c")], "libcuda.so.1")?;
    driver.with(&["-x", "c", "/dev/null"], "libnvrtc.so.13");
    if management {
        driver.with(&[&fake("libnvidia-ml.c")], "libnvidia-ml.so.1");
    }
    std::fs::write(driver.path().join("pack"), pack()).expect("a file");
    cut(&driver, &THREE);
    Some(driver)
}

/// Cuts the card anew.
fn cut(driver: &Driver, slices: &[(&str, u32, u32, u32)]) {
    let line = |(uuid, part, mib, units): &(&str, u32, u32, u32)| format!("{uuid} {part} {mib} {units}\n");
    std::fs::write(driver.path().join("slices"), slices.iter().map(line).collect::<String>())
        .expect("a file");
}

fn service(driver: &Driver, settings: &[(&str, &str)]) -> Service {
    let (pack, slices) = (driver.path().join("pack"), driver.path().join("slices"));
    // Little memory, which is quickly zeroed.
    let own = [("DEVICES__KERNEL_PACK", words(&pack)), ("DEVICES__MEMORY_BYTES", "33554432")];
    let all = [&WORTH_MORE, own.as_slice(), settings].concat();
    let environment = [("LD_LIBRARY_PATH", words(driver.path())), ("FAKE_SLICES", words(&slices))];
    let service = Service::within(Folder::new(), &all, &[], &environment);
    until("the device is up", || statuses(&service) == ["up"]);
    service
}

fn tenant(service: &Service, id: &str, isolation: &str) -> String {
    service.tenant(id, json!({"isolation": isolation}), &["gpu:matrix"]).1
}

/// What the process with this number was started to see.
fn sees(pid: u32) -> String {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let mut variables = environment.split(|b| *b == 0).map(String::from_utf8_lossy);
    let found = variables.find_map(|v| v.strip_prefix("CUDA_VISIBLE_DEVICES=").map(str::to_owned));
    found.unwrap_or_default()
}

/// Whether exactly these slices have a worker each.
fn in_use(service: &Service, wanted: &[&str]) -> bool {
    let mut seen: Vec<String> = workers(service).into_iter().map(sees).collect();
    seen.sort();
    let mut wanted = wanted.to_vec();
    wanted.sort_unstable();
    seen == wanted
}

fn runs(service: &Service, key: &str) {
    assert_eq!(transpose_as(service, key).expect(200)["device_id"], 0);
}

fn listed(service: &Service) -> Vec<(String, String)> {
    let text = |s: &Json, name: &str| s[name].as_str().expect("a text").to_string();
    let slices = devices(service)[0]["slices"].as_array().expect("a list").clone();
    slices.iter().map(|s| (text(s, "uuid"), text(s, "use"))).collect()
}

#[test]
fn a_tenant_is_alone_in_its_slice() {
    let Some(driver) = card(true) else { return };
    let service = service(&driver, &[("DEVICES__ISOLATED_WORKERS", "1")]);
    // The card is one device, with the memory of its largest slice, a tenth of which is for tenants' own workers.
    let listing = &devices(&service)[0];
    let memory = 3072u64 << 20;
    assert_eq!(listing["memory_total_bytes"], memory - memory / 100 * 10);
    assert_eq!((&listing["mig"], &listing["name"]), (&true.into(), &"fake card".into()));
    assert_eq!(
        listing["slices"][0],
        json!({"uuid": LARGE, "memory_total_bytes": memory, "memory_used_bytes": 0,
                                            "units": 60, "use": "shared"})
    );
    assert!(in_use(&service, &[LARGE]));
    let unknown = json!({"id": "u", "quota": {"isolation": "card"}});
    let refused = service.post("/api/v1/tenants", &unknown).fails(400, "invalid_request").to_string();
    assert!(["`shared`", "`process`", "`mig`"].iter().all(|word| refused.contains(word)), "{refused}");
    let keys = ["a", "b", "c"].map(|id| tenant(&service, id, "mig"));
    runs(&service, &keys[0]);
    runs(&service, &service.key);
    assert!(in_use(&service, &[LARGE, THREE[0].0]));
    runs(&service, &keys[1]);
    assert!(in_use(&service, &[LARGE, THREE[0].0, THREE[2].0]));
    let whose = |used: [&str; 3]| {
        [LARGE, THREE[0].0, THREE[2].0].map(str::to_owned).into_iter().zip(used.map(str::to_owned))
    };
    assert_eq!(listed(&service), whose(["shared", "tenant", "tenant"]).collect::<Vec<_>>());
    assert_eq!(metric(&service, "heliosdb_gpu_device_slices{"), 3.0);
    // One that only wants a process of its own is in the large one with everybody.
    runs(&service, &tenant(&service, "p", "process"));
    assert!(in_use(&service, &[LARGE, LARGE, THREE[0].0, THREE[2].0]));
    // Both are idle: the third gets the slice of the one whose last job is the longest ago.
    let of = |slice: &str| workers(&service).into_iter().find(|pid| sees(*pid) == slice).expect("a worker");
    let (first, second) = (of(THREE[0].0), of(THREE[2].0));
    runs(&service, &keys[2]);
    assert!(of(THREE[0].0) != first && of(THREE[2].0) == second);
    // A worker that dies comes back in the same slice.
    kill(second);
    until("the tenant's worker is another", || {
        transpose_as(&service, &keys[1]);
        workers(&service).into_iter().any(|pid| pid != second && sees(pid) == THREE[2].0)
    });
    assert!(in_use(&service, &[LARGE, LARGE, THREE[0].0, THREE[2].0]));
    assert_eq!((statuses(&service), &devices(&service)[0]["restarts"]), (vec!["up".to_owned()], &0.into()));
}

#[test]
fn where_there_is_no_slice_the_processor_answers_and_it_is_said_why() {
    let Some(driver) = card(true) else { return };
    let refused = |service: &Service, why: &str| {
        let key = tenant(service, "m", "mig");
        let answer = multiply_as(service, &key, 160, 1, "auto");
        assert!(answer["device_id"].is_null(), "{answer}");
        tells(&answer);
        assert_eq!(answer["fallback"]["reason"], why);
        assert_eq!(answer["explanation"]["why"], why);
        transpose_as(service, &key).fails(501, "backend_unavailable");
        assert_eq!(workers(service).len(), 1, "it runs in no shared worker, and no other was started");
        assert_eq!(devices(service)[0]["faults"].as_u64(), Some(3), "of what named the device");
    };
    let none = "there are no slices (MIG) of device 0 for tenants";
    // All there is, is everybody's.
    cut(&driver, &THREE[1..2]);
    refused(&service(&driver, &[]), none);
    // The card is whole.
    std::fs::remove_file(driver.path().join("slices")).expect("a file");
    let whole = service(&driver, &[]);
    let device = &devices(&whole)[0];
    assert_eq!((&device["mig"], &device["slices"]), (&false.into(), &json!([])));
    assert!(!device["software"].to_string().contains("no slices"));
    refused(&whole, none);
    // Nothing says how it is cut.
    let Some(driver) = card(false) else { return };
    let unknown = service(&driver, &[]);
    let software = devices(&unknown)[0]["software"].to_string();
    assert!(software.contains("no slices: no NVML: libnvidia-ml.so.1"), "{software}");
    refused(&unknown, none);
}

#[test]
fn a_card_is_looked_at_again_when_a_slice_is_gone() {
    let Some(driver) = card(true) else { return };
    let service = service(&driver, &[]);
    let key = tenant(&service, "m", "mig");
    runs(&service, &key);
    let worker = workers(&service).into_iter().find(|pid| sees(*pid) == THREE[0].0).expect("a worker");
    const NEW: &str = "MIG-dddddddd-0000-0000-0000-000000000004";
    cut(&driver, &[THREE[1], (NEW, 9, 1024, 16)]);
    kill(worker);
    until("the tenant is in a slice that is there", || {
        transpose_as(&service, &key).status == 200 && in_use(&service, &[LARGE, NEW])
    });
    let both = [(LARGE, "shared"), (NEW, "tenant")];
    assert_eq!(listed(&service), both.map(|(uuid, used)| (uuid.to_owned(), used.to_owned())));
    assert_eq!(statuses(&service), ["up"]);
}

#[test]
fn a_card_in_mig_mode_without_a_slice_is_absent_with_its_reason() {
    let Some(driver) = card(true) else { return };
    cut(&driver, &[]);
    let slices = driver.path().join("slices");
    let environment = [("LD_LIBRARY_PATH", words(driver.path())), ("FAKE_SLICES", words(&slices))];
    let service = Service::within(Folder::new(), &[], &[], &environment);
    assert_eq!(reason(&service, "cuda:0"), "in MIG mode, and without a slice");
}

#[test]
fn check_prints_the_slices_and_whose_they_are() {
    let Some(driver) = card(true) else { return };
    let check = |visible: Option<&str>| {
        let mut check = command(&Folder::new(), &["check", "--gpu", "--budget-s", "1"]);
        check.env("LD_LIBRARY_PATH", driver.path()).env("FAKE_SLICES", driver.path().join("slices"));
        check.env("HELIOSDB_GPU__DEVICES__KERNEL_PACK", driver.path().join("pack"));
        visible.map(|visible| check.env("CUDA_VISIBLE_DEVICES", visible));
        let mut child = check.stdout(Stdio::piped()).spawn().expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("its words")).lines();
        // What the card computes is for other tests.
        let said: Vec<String> =
            lines.map_while(Result::ok).take_while(|l| !l.starts_with("operation")).collect();
        child.kill().and_then(|()| child.wait()).expect("it ends");
        said.join("\n")
    };
    let said = check(None);
    for line in [
        "cuda:0: fake card sm_90, 3.0 GiB, 60 units",
        "in slices (MIG):",
        &format!("{}: 1.0 GiB, 16 units, for a tenant whose isolation is mig", THREE[0].0),
        &format!("{LARGE}: 3.0 GiB, 60 units, for everybody"),
        // This process sees what CUDA shows first.
        &format!(
            "it cannot be opened: not supported by the device: a process that uses it has to be started with CUDA_VISIBLE_DEVICES={LARGE}"
        ),
    ] {
        assert!(said.contains(line), "{line} is not in {said}");
    }
    let said = check(Some(THREE[2].0));
    assert!(said.contains(&format!("{}: 1.0 GiB, 16 units, for everybody", THREE[2].0)), "{said}");
    assert!(!said.contains(LARGE) && said.contains("opened, and kernels compiled"), "{said}");
    // What is not a list of slices is CUDA's to interpret.
    let said = check(Some("0"));
    assert!(said.contains("no slices: CUDA_VISIBLE_DEVICES is set") && !said.contains("in slices"), "{said}");
}
