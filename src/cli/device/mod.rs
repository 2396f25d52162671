//! Devices as `check` and `bench` use them: which there are, one in use, and inputs made for it.

pub mod inputs;
mod session;
mod watch;

pub use session::{Session, caught};
pub use watch::Watch;

use offload_core::device::{Backend, Descriptor, Slice};
use offload_devices::discover::{Absent, Found, FoundDevice, Options, open};
use offload_devices::worker::{Launch, Probe};
use offload_server::config::Config;
use serde_json::{Value as Json, json};
use std::time::Duration;

/// How long a driver may take to list its devices.
const PROBE_TIMEOUT: Duration = Duration::from_secs(60);

/// Which devices are meant.
#[derive(clap::Args, Clone)]
pub struct Choice {
    /// Only this device (cuda:0, opencl:1); test:0 is host memory in the guise of one
    #[arg(long, value_name = "SELECTOR")]
    device: Option<String>,
    /// Take OpenCL devices that are CPUs as well
    #[arg(long)]
    allow_cpu_opencl: bool,
}

impl Choice {
    /// How devices are opened: of the settings, what makes machine code counts.
    pub fn options(&self, config: &Config) -> Options {
        let of_service = offload_server::devices::options(config);
        // Whoever names a device means it, whatever it is.
        let allow_cpu_opencl = self.allow_cpu_opencl || self.device.is_some();
        Options {
            compiler: of_service.compiler,
            kernel_packs: of_service.kernel_packs,
            allow_cpu_opencl,
            test_memory_bytes: 2 << 30,
            ..Options::default()
        }
    }

    /// What the machine has, narrowed to what was asked for.
    pub fn find(&self, options: &Options) -> Result<Found, String> {
        // A driver may crash whoever loads it, so a process of its own is asked first.
        let launch = Launch::own().map_err(|e| format!("this program: {e}"))?;
        let mut found = Probe { launch, options: options.clone(), timeout: PROBE_TIMEOUT }.run();
        let Some(wanted) = &self.device else { return Ok(found) };
        found.devices.retain(|d| d.selector == *wanted);
        if found.devices.is_empty() {
            // The test device is never discovered; any other selector gives its driver's reason here.
            let device = caught(|| open(wanted, options))
                .map_err(|why| format!("the driver panicked: {why}"))?
                .map_err(|e| format!("{wanted}: {e}"))?;
            let descriptor = device.descriptor().clone();
            found.devices.push(FoundDevice { selector: wanted.clone(), descriptor, visible: None });
        }
        Ok(found)
    }
}

/// Drivers that this version does not look for at all, and why.
fn beyond(found: &Found) -> Vec<Absent> {
    let mentioned = |name: &str| {
        let of = |what: &str| what.split(':').next() == Some(name);
        found.devices.iter().any(|d| of(&d.selector)) || found.absent.iter().any(|a| of(&a.what))
    };
    let absent = |what: &str, reason: &str| Absent { what: what.into(), reason: reason.into() };
    [Backend::Cuda, Backend::Rocm, Backend::OpenCl]
        .into_iter()
        .filter(|b| !mentioned(b.name()))
        .map(|b| absent(b.name(), "not among the devices"))
        .chain([absent("metal", "not supported"), absent("sycl", "not supported")])
        .collect()
}

/// Prints the devices, and what is absent and why.
pub fn print(found: &Found) {
    for FoundDevice { selector, descriptor: d, .. } in &found.devices {
        let gib = d.memory_bytes as f64 / f64::from(1 << 30);
        let precision = if d.f64 { "f32, f64" } else { "f32 alone" };
        println!("{selector}: {} {}, {gib:.1} GiB, {} units, {precision}", d.name, d.architecture, d.units);
        println!("  {}", d.software.join(", "));
        slices(d);
    }
    for Absent { what, reason } in found.absent.iter().chain(&beyond(found)) {
        println!("{what}: absent: {reason}");
    }
}

/// Prints the slices of a card, and which is whose.
fn slices(card: &Descriptor) {
    let Some(slices) = &card.slices else { return };
    let part = slices.iter().find(|s| Some(&s.uuid) == card.uuid.as_ref()).map(|s| s.part);
    let whose = |s: &Slice| match (Some(&s.uuid) == card.uuid.as_ref(), Some(s.part) == part) {
        (true, _) => "for everybody",
        (false, true) => "not used, it shares the memory of the one for everybody",
        (false, false) => "for a tenant whose isolation is mig",
    };
    println!("  in slices (MIG):");
    for s in slices {
        let gib = s.memory_bytes as f64 / f64::from(1 << 30);
        println!("    {}: {gib:.1} GiB, {} units, {}", s.uuid, s.units, whose(s));
    }
}

/// The same as JSON.
pub fn absent_json(found: &Found) -> Json {
    let all = found.absent.iter().cloned().chain(beyond(found));
    all.map(|a| json!({"what": a.what, "reason": a.reason})).collect()
}
