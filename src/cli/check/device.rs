//! Every operation on one device: its worked examples against their expectations, and random inputs against the CPU.

use super::document::Document;
use super::trials::{Trial, trials};
use super::{agree, compile};
use crate::cli::device::inputs::{record, specs, tensor};
use crate::cli::device::{Session, Watch};
use offload_api::Record;
use offload_core::device::DeviceError;
use offload_core::{DeviceNeed, Failure, Registered, TenantId};
use offload_devices::discover::{FoundDevice, Options};
use serde_json::{Value as Json, json};
use std::io::Write as _;
use std::time::Instant;

/// Errors that are printed of each operation; all of them are counted, and written as JSON.
const SHOWN: usize = 3;
/// What memory is read into, so that a read which does nothing is noticed.
const GARBAGE: u8 = 0xa5;

/// What became of an operation's cases.
#[derive(Default)]
struct Tally {
    passed: usize,
    unsupported: usize,
    cpu_only: usize,
    skipped: usize,
    errors: Vec<String>,
}

impl Tally {
    fn json(&self, name: &str, ms: f64) -> Json {
        json!({
            "name": name, "passed": self.passed, "failed": self.errors.len(), "unsupported": self.unsupported,
            "cpu_only": self.cpu_only, "skipped": self.skipped, "ms": ms, "errors": self.errors,
        })
    }
}

/// What a device run gave to look at.
type Looked<'a> = Box<dyn FnOnce(&Result<Record, Failure>) -> Result<(), String> + 'a>;

struct Run<'a> {
    session: Session,
    watch: &'a Watch,
    /// Bytes of the device that are handed out.
    used_bytes: u64,
    /// A job that passed, to be repeated.
    repeat: Option<(&'static Registered, Record, u64)>,
}

/// Runs everything on a device and says how many do not hold.
pub(super) fn run(
    found: &FoundDevice,
    options: &Options,
    watch: &Watch,
    document: &mut Document,
) -> std::io::Result<usize> {
    let name = &found.selector;
    println!("\n== {name}: {}", found.descriptor.name);
    let json = json!({"selector": name, "descriptor": found.descriptor, "ended": null, "operations": []});
    document.device(json)?;
    let mut failed = 0;
    let opened = Instant::now();
    match compile::all(name, options, watch) {
        Ok(compiled) => {
            compiled.print();
            document.set("kernels", compiled.json())?;
            failed += compiled.errors.len();
        }
        Err(e) => return ended(document, &format!("it cannot be opened: {e}"), failed),
    }
    let session = match Session::new(name, options, 0) {
        Ok(session) => session,
        Err(e) => return ended(document, &format!("it cannot be opened: {e}"), failed),
    };
    let software = &session.descriptor().software;
    println!("  {}", software.join(", "));
    document.set("software", json!(software))?;
    println!("opened, and kernels compiled, in {:.1} s", opened.elapsed().as_secs_f64());
    println!(
        "{:<28} {:>6} {:>6} {:>11} {:>8} {:>7} {:>9}",
        format!("operation ({name})"),
        "passed",
        "failed",
        "unsupported",
        "cpu only",
        "no time",
        "time"
    );
    let mut run = Run { session, watch, used_bytes: 0, repeat: None };
    let mut no_path = Vec::new();
    for r in offload_ops::registry().iter() {
        print!("{:<28} ", r.full_name);
        // Whoever reads a log that is cut off sees what ran.
        std::io::stdout().flush()?;
        let (start, mut tally) = (Instant::now(), Tally::default());
        let end = run.operation(r, &mut tally);
        run.memory(&mut tally);
        let ms = start.elapsed().as_secs_f64() * 1e3;
        let Tally { passed, unsupported, cpu_only, skipped, errors } = &tally;
        let wrong = errors.len();
        println!("{passed:>6} {wrong:>6} {unsupported:>11} {cpu_only:>8} {skipped:>7} {ms:>6.0} ms");
        errors.iter().take(SHOWN).for_each(|e| println!("  {e}"));
        if *cpu_only > 0 && passed + wrong + unsupported + skipped == 0 {
            no_path.push(r.full_name.as_str());
        }
        document.operation(tally.json(&r.full_name, ms))?;
        failed += wrong;
        if let Err(why) = end {
            return ended(document, &why, failed);
        }
    }
    if !no_path.is_empty() {
        println!("without a device path: {}", no_path.join(", "));
    }
    let used = run.used_bytes;
    println!("memory: {used} bytes of the device stay taken, by the lane's libraries");
    document.set("used_bytes", used.into())?;
    Ok(failed)
}

/// The device goes no further; that is a failure of its own.
fn ended(document: &mut Document, why: &str, failed: usize) -> std::io::Result<usize> {
    println!("ENDED: {why}");
    document.set("ended", why.into())?;
    Ok(failed + 1)
}

impl Run<'_> {
    /// Every case and trial of an operation.
    ///
    /// # Errors
    /// Why the device goes no further.
    fn operation(&mut self, r: &'static Registered, tally: &mut Tally) -> Result<(), String> {
        for case in r.operation.cases() {
            let Ok(plan) = r.operation.plan(case.inputs.specs()) else { continue };
            let DeviceNeed::Bytes(bytes) = plan.device else {
                tally.cpu_only += 1;
                continue;
            };
            let inputs = case.inputs.clone();
            self.one(r, &case.name, inputs, bytes, tally, Box::new(|got| case.check(got)))?;
        }
        for trial in trials().into_iter().filter(|t| t.operation == r.full_name) {
            let name = format!("random {}", trial.name);
            match self.prepared(r, &trial) {
                Ok(Some((inputs, bytes, cpu))) => {
                    let look = |got: &Result<Record, Failure>| match got {
                        Ok(got) => agree::with_cpu(trial.rule, &inputs, &cpu, got),
                        Err(e) => Err(format!("failed: {e}")),
                    };
                    self.one(r, &name, inputs.clone(), bytes, tally, Box::new(look))?;
                }
                Ok(None) => tally.cpu_only += 1,
                Err(_) if self.watch.is_over() => tally.skipped += 1,
                Err(why) => tally.errors.push(format!("{name}: {why}")),
            }
        }
        Ok(())
    }

    /// A trial's inputs, what the device needs for them, and the CPU's answer; `None` when no device runs it.
    fn prepared(
        &self,
        r: &'static Registered,
        trial: &Trial,
    ) -> Result<Option<(Record, u64, Record)>, String> {
        let plan = r.operation.plan(specs(&trial.inputs)).map_err(|e| format!("no plan: {e}"))?;
        let DeviceNeed::Bytes(bytes) = plan.device else { return Ok(None) };
        let context = self.watch.begin(format!("{} {} on the cpu", r.full_name, trial.name));
        context.check().map_err(|e| e.to_string())?;
        let inputs = record(&trial.inputs, tensor)?;
        let cpu = r.operation.cpu(inputs.clone(), &context).map_err(|e| format!("on the cpu: {e}"))?;
        Ok(Some((inputs, bytes, cpu)))
    }

    /// One run.
    ///
    /// # Errors
    /// Why the device goes no further.
    fn one(
        &mut self,
        r: &'static Registered,
        name: &str,
        inputs: Record,
        bytes: u64,
        tally: &mut Tally,
        look: Looked<'_>,
    ) -> Result<(), String> {
        if self.watch.is_over() {
            tally.skipped += 1;
            return Ok(());
        }
        let context = self.watch.begin(format!("{} {name}", r.full_name));
        let result = self.session.run(r, inputs.clone(), bytes, context).result;
        match &result {
            Err(Failure::Fault(DeviceError::Unsupported(_))) => tally.unsupported += 1,
            Err(Failure::Cancelled) if self.watch.is_over() => tally.skipped += 1,
            _ => match look(&result) {
                Ok(()) => {
                    tally.passed += 1;
                    if result.is_ok() {
                        self.repeat = Some((r, inputs, bytes));
                    }
                }
                Err(why) => tally.errors.push(format!("{name}: {why}")),
            },
        }
        result.as_ref().map_or_else(|failure| self.session.recover(failure), |_| Ok(()))
    }

    /// Whether another tenant's memory, likely that of the last job, reads zero.
    fn scrubbed(&self, bytes: u64) -> Result<(), String> {
        let look = || {
            let mut lane = self.session.raw_lane()?;
            let handle = lane.alloc(&TenantId::new("another"), bytes as usize)?;
            let mut read = vec![GARBAGE; bytes as usize];
            let done = lane.download(handle, 0, &mut read);
            lane.free(handle);
            done.map(|()| read.iter().position(|&x| x != 0))
        };
        match look() {
            Ok(None) => Ok(()),
            Ok(Some(at)) => {
                Err(format!("byte {at} of fresh memory is not zero: another tenant sees what ran before"))
            }
            Err(e) => Err(format!("fresh memory cannot be read: {e}")),
        }
    }

    /// Whether an operation's jobs give back what they take, and leave nothing in it. A lane keeps a workspace of its library from the first
    /// call on, so what counts is whether the same job again takes more again.
    fn memory(&mut self, tally: &mut Tally) {
        let before = std::mem::replace(&mut self.used_bytes, self.session.used_bytes());
        let Some((r, inputs, bytes)) = self.repeat.take() else { return };
        if let Err(why) = self.scrubbed(bytes) {
            tally.errors.push(why);
        }
        if self.used_bytes <= before {
            return;
        }
        let context = self.watch.begin(format!("{} again", r.full_name));
        let report = self.session.run(r, inputs, bytes, context);
        let after = self.session.used_bytes();
        if let Err(why) = report.result {
            tally.errors.push(format!("a job that passed fails when it runs again: {why}"));
        } else if after > self.used_bytes {
            let more = after - self.used_bytes;
            tally.errors.push(format!("{more} bytes of device memory stay taken after each run"));
        }
        self.used_bytes = after;
    }
}
