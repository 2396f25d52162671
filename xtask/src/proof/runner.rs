//! Runs the built example `proof`: the operations' worked examples on PoCL, and under a simulator that looks for races and
//! for values that nobody wrote.

use super::Variant;
use super::record::{self, Prover, Record};
use super::tools;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What the runner calls the two devices.
const POCL_DEVICE: &str = "Portable Computing Language";
const SIMULATOR: &str = "Oclgrind";

/// What the simulator looks for.
const BOTH_CHECKS: &[&str] = &["--data-races", "--uninitialized"];
const RACES_ONLY: &[&str] = &["--data-races"];

/// How long one run of cases, or one mutant, may take.
const POCL_LIMIT: Duration = Duration::from_secs(900);
const RACES_LIMIT: Duration = Duration::from_secs(420);
const MUTANT_LIMIT: Duration = Duration::from_secs(60);

/// The runner, and where it may write.
pub(super) struct Runner<'a> {
    /// The built example `proof`.
    pub(super) program: PathBuf,
    /// For lists and logs.
    pub(super) folder: &'a Path,
}

/// What became of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ran {
    pub(super) operation: String,
    pub(super) number: u64,
    pub(super) case: String,
    pub(super) outcome: String,
    pub(super) why: String,
    /// Items started of each entry: `gemm_tiled_f32/gemm_tiled`.
    pub(super) starts: BTreeMap<String, u64>,
}

impl Ran {
    fn of(value: &Value) -> Option<Ran> {
        let word = |name: &str| value[name].as_str().map(str::to_owned);
        let starts = value["starts"].as_object()?;
        Some(Ran {
            operation: word("operation")?,
            number: value["number"].as_u64()?,
            case: word("case")?,
            outcome: word("outcome")?,
            why: word("why")?,
            starts: starts.iter().map(|(k, v)| (k.clone(), v.as_u64().unwrap_or(0))).collect(),
        })
    }

    /// Items that it started.
    pub(super) fn items(&self) -> u64 {
        self.starts.values().sum()
    }

    /// Whether it started an entry of this text and element type.
    pub(super) fn starts(&self, kernel: &str) -> bool {
        self.starts.keys().any(|k| kernel_of(k) == kernel)
    }
}

/// Something the simulator does not like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) entry: String,
    pub(super) text: String,
}

/// The findings of a log: a paragraph each, with the kernel's entry on a line of its own.
fn findings(log: &str) -> Vec<Finding> {
    let lines: Vec<&str> = log.lines().map(str::trim).collect();
    let kernel = |line: &&str| line.strip_prefix("Kernel:").map(|k| k.trim().to_owned());
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(entry) = kernel(line) else { continue };
        // What it is stands above, back to the empty line before it.
        let from = lines[..at].iter().rposition(|l| l.is_empty()).map_or(0, |p| p + 1);
        found.push(Finding { entry, text: lines[from..at].join(" ") });
    }
    if found.is_empty() && !log.trim().is_empty() {
        found.push(Finding { entry: String::new(), text: log.trim().to_owned() });
    }
    found
}

impl Runner<'_> {
    /// Every case on PoCL. It compiles on one core, so each core has a part of the operations.
    pub(super) fn cases_on_pocl(&self) -> Result<Vec<Ran>, String> {
        let parts = std::thread::available_parallelism().map_or(2, usize::from).min(4);
        let ended: Vec<Result<Vec<Ran>, String>> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..parts).map(|n| scope.spawn(move || self.part_on_pocl(n, parts))).collect();
            threads.into_iter().map(|t| t.join().unwrap_or_else(|_| Err("a part panicked".into()))).collect()
        });
        let mut all = ended.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
        // In one order, however many cores there were: which of them run under the simulator depends on it.
        all.sort_by(|a, b| (&a.operation, a.number).cmp(&(&b.operation, b.number)));
        Ok(all)
    }

    fn part_on_pocl(&self, part: usize, of: usize) -> Result<Vec<Ran>, String> {
        let mut command = Command::new(&self.program);
        command.args(["part", POCL_DEVICE, &part.to_string(), &of.to_string()]);
        let out = self.folder.join(format!("pocl-{part}.jsonl"));
        let code = timed(&mut command, &out, POCL_LIMIT)?;
        let lines = lines(&out)?;
        if code != Some(0) {
            let last = lines.last().map(|l| format!(" after {} {}", l["operation"], l["case"]));
            return Err(format!("the cases on PoCL ended with {code:?}{}", last.unwrap_or_default()));
        }
        read(&Value::Array(lines)).ok_or("the runner's lines cannot be read".into())
    }

    /// These cases under the simulator, and what it found. A case is run again when a text that it starts has changed,
    /// or how much it starts of it.
    pub(super) fn cases_on_simulator(
        &self,
        chosen: &[&Ran],
        variants: &[Variant],
        record: &mut Record,
    ) -> Result<(Vec<Ran>, Vec<Finding>), String> {
        let keys: Vec<String> = chosen.iter().map(|r| race_key(r, variants)).collect();
        let (mut all, mut due) = (Vec::new(), Vec::new());
        for (ran, key) in chosen.iter().zip(&keys) {
            match record.get(Prover::Simulator, key) {
                Some(_) => all.push((*ran).clone()),
                None => due.push(*ran),
            }
        }
        if due.is_empty() {
            return Ok((all, Vec::new()));
        }
        let simulator = tools::simulator()?;
        // A simulated device uses one core for each group, and small cases have one: so several devices.
        let parts = std::thread::available_parallelism().map_or(2, usize::from).min(due.len());
        let ended: Vec<Result<Part, String>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..parts)
                .map(|n| {
                    let part: Vec<_> = due.iter().skip(n).step_by(parts).copied().collect();
                    {
                        let simulator = &simulator;
                        scope.spawn(move || self.part_on_simulator(simulator, n, &part))
                    }
                })
                .collect();
            threads.into_iter().map(|t| t.join().unwrap_or_else(|_| Err("a part panicked".into()))).collect()
        });
        let (mut found, mut broken) = (Vec::new(), None);
        for part in ended {
            let part = part?;
            for ran in &part.ran {
                let passed = part.found.is_empty() && ran.outcome == "passed";
                let at = chosen.iter().position(|c| (&c.operation, c.number) == (&ran.operation, ran.number));
                if let (true, Some(at)) = (passed, at) {
                    record.put(&keys[at], json!("no finding"));
                }
            }
            all.extend(part.ran);
            found.extend(part.found);
            broken = broken.or(part.broken);
        }
        match broken {
            // A finding can end the simulator, and says more than its end.
            Some(why) if found.is_empty() => {
                record.save()?;
                Err(why)
            }
            _ => Ok((all, found)),
        }
    }

    fn part_on_simulator(&self, simulator: &Path, part: usize, chosen: &[&Ran]) -> Result<Part, String> {
        let path = self.folder.join(format!("races-{part}.txt"));
        let list: String = chosen.iter().map(|r| format!("{}\t{}\n", r.operation, r.number)).collect();
        fs::write(&path, list).map_err(|e| format!("{}: {e}", path.display()))?;
        let (mut command, log) = self.simulated(simulator, &format!("races-{part}.log"), BOTH_CHECKS);
        command.args(["cases", SIMULATOR]).arg(&path);
        let out = self.folder.join(format!("races-{part}.jsonl"));
        let code = timed(&mut command, &out, RACES_LIMIT)?;
        let lines = lines(&out)?;
        let found = findings(&fs::read_to_string(&log).unwrap_or_default());
        let ran = read(&Value::Array(lines)).ok_or("the runner's lines cannot be read")?;
        let broken = (code != Some(0)).then(|| {
            let last = ran.last().map(|r| format!(" after {}, {}", r.operation, r.case)).unwrap_or_default();
            format!("the simulator ended with {code:?}{last}: {} of {} cases", ran.len(), chosen.len())
        });
        Ok(Part { ran, found, broken })
    }

    /// That the simulator sees a missing barrier: it must report a race for each barrier of the matrix product that is
    /// left out. Returns how many there are.
    pub(super) fn mutants(&self, variants: &[Variant], record: &mut Record) -> Result<usize, String> {
        let product =
            variants.iter().find(|v| v.name == "gemm_tiled_f32").ok_or("there is no matrix product")?;
        let key = record::key("mutants of gemm_tiled_f32", &[product.opencl.as_bytes()]);
        if let Some(n) = record.get(Prover::Simulator, &key).and_then(|v| v.as_u64()) {
            return Ok(n as usize);
        }
        let simulator = tools::simulator()?;
        let mut caught = 0;
        loop {
            // Races alone: what a missing barrier leaves unwritten would be reported first, and it is races that must show.
            let (mut command, log) = self.simulated(&simulator, "mutant.log", RACES_ONLY);
            command.args(["mutant", SIMULATOR]).arg(caught.to_string());
            match timed(&mut command, &self.folder.join("mutant.out"), MUTANT_LIMIT)? {
                Some(3) => break,
                Some(0) => {}
                code => {
                    return Err(format!("the matrix product without barrier {caught} ended with {code:?}"));
                }
            }
            let log = fs::read_to_string(&log).unwrap_or_default();
            if !log.contains("data race") {
                return Err(format!(
                    "the matrix product without its barrier {caught} shows no race: the proof is blind"
                ));
            }
            caught += 1;
        }
        if caught < 2 {
            return Err(format!("the matrix product has {caught} barriers, it needs two"));
        }
        record.put(&key, json!(caught));
        Ok(caught)
    }

    /// The runner under the simulator, and the file of its findings, which is empty.
    fn simulated(&self, simulator: &Path, log: &str, checks: &[&str]) -> (Command, PathBuf) {
        let log = self.folder.join(log);
        let _ = fs::remove_file(&log);
        let mut command = Command::new("oclgrind");
        command.args(checks).args(["--max-errors", "100", "--log"]).arg(&log).arg(&self.program);
        command.env("OPENCL_DYLIB_PATH", simulator);
        (command, log)
    }
}

/// What one simulated device did.
struct Part {
    ran: Vec<Ran>,
    found: Vec<Finding>,
    /// Why it did not come to its end.
    broken: Option<String>,
}

/// The kernel of `gemm_tiled_f32/gemm_tiled`.
fn kernel_of(start: &str) -> &str {
    start.split_once('/').map_or(start, |(kernel, _)| kernel)
}

/// What the result of a case under the simulator depends on.
fn race_key(ran: &Ran, variants: &[Variant]) -> String {
    let mut parts = Vec::new();
    for (start, items) in &ran.starts {
        parts.push(format!("{start} {items}"));
        parts.extend(variants.iter().filter(|v| v.name == kernel_of(start)).map(|v| v.opencl.clone()));
    }
    let what = format!("{} {} races", ran.operation, ran.number);
    record::key(&what, &parts.iter().map(String::as_bytes).collect::<Vec<_>>())
}

fn read(lines: &Value) -> Option<Vec<Ran>> {
    lines.as_array()?.iter().map(Ran::of).collect()
}

fn lines(path: &Path) -> Result<Vec<Value>, String> {
    let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    // Drivers write to the same place; the runner's lines are objects.
    Ok(text.lines().filter_map(|l| serde_json::from_str(l).ok()).filter(Value::is_object).collect())
}

/// Runs a command with its output in a file; its code, `None` where it had to be ended.
fn timed(command: &mut Command, out: &Path, limit: Duration) -> Result<Option<i32>, String> {
    let file = File::create(out).map_err(|e| format!("{}: {e}", out.display()))?;
    let name = command.get_program().to_string_lossy().into_owned();
    let spawned = command.stdin(Stdio::null()).stdout(file).stderr(Stdio::inherit()).spawn();
    let mut child = spawned.map_err(|e| format!("{name}: {e}"))?;
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().map_err(|e| format!("{name}: {e}"))? {
            return Ok(status.code());
        }
        if began.elapsed() > limit {
            // It may have ended just now; either way it is gone after this.
            let _ = child.kill();
            let _ = child.wait();
            println!("{name} was ended after {} s", limit.as_secs());
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_name_the_kernel_and_say_what_was_found() {
        let log = "
Read-write data race at local memory address 0x1000000000110
\tKernel: gemm_tiled

\tFirst entity:  Global(1,0,0) Local(1,0,0) Group(0,0,0)
\t  %5 = load float

Uninitialized value used as condition
\tKernel: a_b
\tEntity: Global(0,0,0)
";
        let found = findings(log);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].entry, "gemm_tiled");
        assert!(found[0].text.starts_with("Read-write data race"));
        assert_eq!(found[1].entry, "a_b");
        assert_eq!(findings("\n\n"), []);
        assert_eq!(findings("OCLGRIND FATAL ERROR").len(), 1, "what is not understood is a finding");
    }

    #[test]
    fn a_command_that_does_not_end_is_ended() {
        let out = std::env::temp_dir().join(format!("offload-timed-{}", std::process::id()));
        let limit = Duration::from_millis(200);
        assert_eq!(timed(Command::new("sleep").arg("60"), &out, limit), Ok(None));
        assert_eq!(timed(Command::new("sh").args(["-c", "exit 3"]), &out, limit * 50), Ok(Some(3)));
        fs::remove_file(out).unwrap();
    }
}
