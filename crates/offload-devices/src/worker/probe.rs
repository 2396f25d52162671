//! Asks which devices there are, in a process for each driver: loading one can crash or hang.

use super::spawn::{Launch, spawn};
use crate::discover::{self, Found, Listed, Options};
use offload_core::device::{Backend, Descriptor, Slice};
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// Bytes that a probe may say, at most.
const MAX_ANSWER_BYTES: u64 = 1 << 20;
/// What the answer's line starts with: a driver may write lines of its own.
const MARK: &str = "devices: ";
/// Pause between looks at a probe that has said nothing.
const PAUSE: Duration = Duration::from_millis(2);

/// How devices are looked for.
#[derive(Clone, Debug)]
pub struct Probe {
    /// How the processes are started.
    pub launch: Launch,
    /// How devices would be opened.
    pub options: Options,
    /// How long a driver may take.
    pub timeout: Duration,
}

impl Probe {
    /// Asks every driver at once. One that crashes or hangs is absent, with that as its reason.
    pub fn run(&self) -> Found {
        let listed = std::thread::scope(|scope| {
            let asked: Vec<_> = discover::drivers().map(|b| (b, scope.spawn(move || self.ask(b)))).collect();
            asked
                .into_iter()
                .map(|(b, asked)| (b, asked.join().unwrap_or_else(|_| Err("its probe panicked".into()))))
                .collect()
        });
        discover::merge(listed, &self.options)
    }

    /// The slices of the card at this place on the bus, as they are now.
    ///
    /// # Errors
    /// Why that is not known.
    pub fn slices(&self, pci: &str) -> Result<Vec<Slice>, String> {
        let card = self.ask(Backend::Cuda)?.into_iter().find(|d| d.pci.as_deref() == Some(pci));
        card.and_then(|card| card.slices).ok_or_else(|| "the card is not cut into slices any more".into())
    }

    pub(super) fn ask(&self, backend: Backend) -> Listed {
        let failed = |e: &dyn std::fmt::Display| format!("its probe does not run: {e}");
        let options = serde_json::to_string(&self.options).map_err(|e| failed(&e))?;
        let mut command = self.launch.command();
        command.args(["--probe", backend.name(), "--options", &options]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = spawn(command).map_err(|e| failed(&e))?;
        let (sender, said) = channel();
        if let Some(stdout) = child.stdout.take() {
            // The thread ends with the probe's output, at the latest when the probe is killed.
            std::thread::Builder::new()
                .name("probe".into())
                .spawn(move || {
                    let mut text = Vec::new();
                    let _ = stdout.take(MAX_ANSWER_BYTES).read_to_end(&mut text);
                    let _ = sender.send(text);
                })
                .map_err(|e| failed(&e))?;
        }
        let until = Instant::now() + self.timeout;
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if Instant::now() < until => std::thread::sleep(PAUSE),
                Ok(None) => {
                    let _ = child.kill();
                    let _ = child.wait();
                    let limit = self.timeout.as_millis();
                    return Err(format!(
                        "its probe did not end within {limit} ms (devices.probe_timeout_ms)"
                    ));
                }
                Err(e) => return Err(failed(&e)),
            }
        };
        if let Some(signal) = status.signal() {
            return Err(format!("its driver crashed the probe (signal {signal})"));
        }
        let text = said.recv_timeout(self.timeout).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().rev().find_map(|l| l.strip_prefix(MARK));
        let line =
            line.ok_or_else(|| format!("its probe says nothing (code {})", status.code().unwrap_or(-1)))?;
        serde_json::from_str::<Result<Vec<Descriptor>, String>>(line).map_err(|e| failed(&e))?
    }
}

/// What a probe's process does: the driver's devices as a line of text.
///
/// # Errors
/// When there is no such driver.
pub fn answer(driver: &str, options: &Options) -> Result<String, String> {
    let backend = discover::drivers().find(|b| b.name() == driver);
    let listed = discover::list(backend.ok_or_else(|| format!("no driver {driver}"))?, options);
    let text = serde_json::to_string(&listed).map_err(|e| e.to_string())?;
    // A line of its own, whatever a driver has written without an end.
    Ok(format!("\n{MARK}{text}"))
}
