//! The devices of a running service: found by a probe, each run in a worker process of its own, and
//! in further ones for tenants that share none.

use crate::config::{Config, Devices as Settings};
use crate::service::StartError;
use offload_core::Registry;
use offload_core::device::{Backend, Descriptor};
use offload_devices::discover::{self, Absent, Found, FoundDevice, Options};
use offload_devices::kernels::pack::FILE_NAME;
use offload_devices::worker::{self, IsolatingHost, Launch, Probe, ServeOptions, Slices, WorkerSettings};
use offload_pipeline::engine::Pipeline;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// How long a worker may take to say how its device is, or to open a lane.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// How devices are opened.
pub fn options(config: &Config) -> Options {
    let d = &config.devices;
    let cache = match d.kernel_cache.as_str() {
        "" => Path::new(&config.store.data_dir).join("kernels"),
        path => path.into(),
    };
    Options {
        kernel_cache: Some(cache),
        compiler: d.compiler,
        kernel_packs: kernel_packs(config),
        memory_bytes: (d.memory_bytes > 0).then_some(d.memory_bytes),
        allow_cpu_opencl: d.allow_cpu_opencl,
        visible: None,
        test_memory_bytes: d.test_device_memory_bytes,
        test_faults: d.test_device_faults.clone(),
    }
}

/// Where a pack of kernels is looked for, in this order: where the settings say, else beside this program and in the data
/// directory.
fn kernel_packs(config: &Config) -> Vec<PathBuf> {
    if !config.devices.kernel_pack.is_empty() {
        return vec![config.devices.kernel_pack.clone().into()];
    }
    let program = std::env::current_exe().ok();
    let beside = program.as_deref().and_then(Path::parent);
    let folders = beside.into_iter().chain([Path::new(&config.store.data_dir)]);
    // Workers are told them as text.
    folders.map(|f| f.join(FILE_NAME)).filter(|f| f.to_str().is_some()).collect()
}

/// The worker process of a device: serves it until the service is gone.
///
/// # Errors
/// When it was not started by a service.
pub fn work(registry: Registry, selector: &str, options: &str) -> Result<(), StartError> {
    let options: ServeOptions =
        serde_json::from_str(options).map_err(|e| StartError::because("--options", e))?;
    // The service puts its own time and the device before each line.
    let log = tracing_subscriber::fmt().without_time().with_ansi(false).with_writer(std::io::stderr);
    log.try_init().map_err(|e| StartError::because("the log", e))?;
    worker::serve(Box::leak(Box::new(registry)), selector, &options).map_err(StartError)
}

/// The process that asks a driver for its devices: what it has to say.
///
/// # Errors
/// When there is no such driver.
pub fn probe(driver: &str, options: &str) -> Result<String, StartError> {
    let options: Options = serde_json::from_str(options).map_err(|e| StartError::because("--options", e))?;
    worker::answer_probe(driver, &options).map_err(StartError)
}

/// What was found at the start and is not used, with the reasons.
#[derive(Default)]
pub struct DeviceSearch {
    absent: Mutex<Option<Vec<Absent>>>,
}

impl DeviceSearch {
    /// What is not used; `None` while the search goes on.
    pub fn absent(&self) -> Option<Vec<Absent>> {
        self.absent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks for devices on threads of its own and takes each into service as it comes up, so that nobody waits for a
    /// driver. Without a way to start workers there are none.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        config: &Config,
        launch: Option<Launch>,
        pipeline: &Arc<Pipeline>,
    ) -> Result<Arc<DeviceSearch>, StartError> {
        let search = Arc::new(DeviceSearch::default());
        let Some(launch) = launch.filter(|_| config.devices.enabled) else {
            let reason = "devices.enabled is false, or this process starts no workers".into();
            search.ended(vec![Absent { what: "all devices".into(), reason }]);
            return Ok(search);
        };
        let (found_by, pipeline) = (Arc::clone(&search), Arc::downgrade(pipeline));
        let (settings, options) = (config.devices.clone(), options(config));
        let derived_bytes = config.run.derived_bytes;
        std::thread::Builder::new()
            .name("device-search".into())
            .spawn(move || {
                let timeout = Duration::from_millis(settings.probe_timeout_ms);
                let probe = Probe { launch: launch.clone(), options: options.clone(), timeout };
                let mut found = probe.run();
                add_test_devices(&mut found, &settings);
                for Absent { what, reason } in &found.absent {
                    tracing::info!(what, reason, "not used");
                }
                found_by.ended(found.absent);
                for device in found.devices {
                    take_in(device, &settings, derived_bytes, &options, &launch, &pipeline);
                }
            })
            .map_err(|e| StartError::because("the search for devices", e))?;
        Ok(search)
    }

    fn ended(&self, absent: Vec<Absent>) {
        *self.absent.lock().unwrap_or_else(PoisonError::into_inner) = Some(absent);
    }
}

fn add_test_devices(found: &mut Found, settings: &Settings) {
    for ordinal in 0..settings.test_devices {
        let id = found.devices.len() as u32;
        let name = format!("test device {ordinal}");
        let mut descriptor = Descriptor::new(id, name, Backend::Test, settings.test_device_memory_bytes);
        descriptor.is_cpu = true;
        found.devices.push(FoundDevice { selector: format!("test:{ordinal}"), descriptor, visible: None });
    }
}

/// Takes a device into service, on a thread of its own: one that is slow to open delays no other.
fn take_in(
    device: FoundDevice,
    settings: &Settings,
    derived_bytes: u64,
    options: &Options,
    launch: &Launch,
    pipeline: &Weak<Pipeline>,
) {
    let slices = device.descriptor.slices.clone().zip(device.descriptor.pci.clone());
    let probe = Probe {
        launch: launch.clone(),
        options: options.clone(),
        timeout: Duration::from_millis(settings.probe_timeout_ms),
    };
    let options = device.options(options);
    let FoundDevice { selector, mut descriptor, .. } = device;
    tracing::info!(device = descriptor.id, selector, name = descriptor.name, "a device was found");
    let positive = |ms: u64| (ms > 0).then(|| Duration::from_millis(ms));
    let each = settings.isolated_bytes(descriptor.memory_bytes).unwrap_or(0);
    let isolated = each * u64::from(settings.isolated_workers);
    let with = |memory_bytes: u64| Options {
        memory_bytes: if isolated > 0 { Some(memory_bytes) } else { options.memory_bytes },
        test_memory_bytes: if isolated > 0 { memory_bytes } else { options.test_memory_bytes },
        ..options.clone()
    };
    let own = with(each);
    descriptor.memory_bytes -= isolated;
    let shared = with(descriptor.memory_bytes);
    let base = WorkerSettings {
        launch: launch.clone(),
        options: ServeOptions {
            open: options.clone(),
            resident_percent: settings.resident_percent,
            derived_bytes,
            keep_bytes: usize::try_from(settings.staging_keep_bytes).unwrap_or(usize::MAX),
        },
        watchdog: positive(settings.watchdog_ms),
        cancel_grace: Duration::from_millis(settings.cancel_grace_ms),
        start_timeout: Duration::from_millis(settings.start_timeout_ms),
        answer_timeout: ANSWER_TIMEOUT,
    };
    let worker = move |open: Options| {
        let mut settings = base.clone();
        settings.options.open = open;
        settings
    };
    let name = format!("device-{}-start", descriptor.id);
    let places = settings.isolated_workers as usize;
    let mut host = IsolatingHost::new(selector, descriptor, worker(shared), worker(own), places);
    if let Some((seen, pci)) = slices {
        host = host.with_slices(Slices {
            seen,
            settings: Box::new(move |slice| {
                let holds_bytes = discover::usable_bytes(slice.memory_bytes, &options);
                (worker(Options { visible: Some(slice.uuid.clone()), ..options.clone() }), holds_bytes)
            }),
            look: Box::new(move || probe.slices(&pci)),
        });
    }
    let host = Arc::new(host);
    let pipeline = Weak::clone(pipeline);
    let start = move || {
        if let Some(pipeline) = pipeline.upgrade() {
            pipeline.add_device(host);
        }
    };
    if let Err(e) = std::thread::Builder::new().name(name).spawn(start) {
        tracing::error!(error = %e, "no thread to start a device; it stays out of service");
    }
}
