//! Steps that run one after another, each with its name and its duration, until one fails.

use std::ffi::OsString;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How a step can end well.
pub(crate) enum Done {
    /// It ran.
    Passed,
    /// It did not run, for this reason.
    Skipped(String),
}

impl From<()> for Done {
    fn from((): ()) -> Done {
        Done::Passed
    }
}

/// A run of steps under one name.
pub(crate) struct Steps {
    name: &'static str,
    began: Instant,
    lines: Vec<String>,
    passed: usize,
    skipped: usize,
}

impl Steps {
    /// No step has run yet.
    pub(crate) fn new(name: &'static str) -> Steps {
        Steps { name, began: Instant::now(), lines: Vec::new(), passed: 0, skipped: 0 }
    }

    /// Runs one step; what it prints stands between its first line and its last.
    pub(crate) fn run<T: Into<Done>>(
        &mut self,
        step: &str,
        work: impl FnOnce() -> Result<T, String>,
    ) -> Result<(), String> {
        println!("\n== {step}");
        let began = Instant::now();
        let result = work().map(Into::into);
        let took = seconds(began.elapsed());
        let (line, result) = match result {
            Ok(Done::Passed) => {
                self.passed += 1;
                (format!("ok       {took}  {step}"), Ok(()))
            }
            Ok(Done::Skipped(why)) => {
                self.skipped += 1;
                (format!("skipped  {took}  {step}: {why}"), Ok(()))
            }
            Err(why) => (
                format!("FAILED   {took}  {step}"),
                Err(format!("{}: the step `{step}` failed: {why}", self.name)),
            ),
        };
        println!("{line}");
        self.lines.push(line);
        result
    }

    /// Prints every step again, the budget, and that all is well.
    pub(crate) fn finish(self, budget: Duration) {
        let took = self.began.elapsed();
        println!("\n{}", self.lines.join("\n"));
        let over = if took > budget { ", over it: make something faster" } else { "" };
        println!("budget: {:.0} s of {} s used{over}", took.as_secs_f64(), budget.as_secs());
        let skipped = if self.skipped == 0 { String::new() } else { format!(" ({} skipped)", self.skipped) };
        println!("{}: all {} steps passed in {:.0} s{skipped}", self.name, self.passed, took.as_secs_f64());
    }
}

fn seconds(time: Duration) -> String {
    format!("{:>7.1} s", time.as_secs_f64())
}

/// The Cargo that runs this.
pub(crate) fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Cargo with these words, split at spaces.
pub(crate) fn cargo_with(words: &str) -> Command {
    let mut command = Command::new(cargo());
    command.args(words.split_whitespace());
    command
}

/// Runs a command whose output everyone sees.
pub(crate) fn shown(command: &mut Command) -> Result<(), String> {
    println!("$ {}", line(command));
    let status = command.status().map_err(|e| format!("{}: {e}", line(command)))?;
    if status.success() { Ok(()) } else { Err(format!("`{}` ended with {status}", line(command))) }
}

/// Runs a command and returns what it wrote to its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let got = command.stderr(Stdio::inherit()).output().map_err(|e| format!("{}: {e}", line(command)))?;
    if !got.status.success() {
        return Err(format!("`{}` ended with {}", line(command), got.status));
    }
    String::from_utf8(got.stdout).map_err(|e| format!("{}: {e}", line(command)))
}

/// Whether a command is there and ends well; its output is dropped.
pub(crate) fn works(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
}

fn line(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let program = program.rsplit('/').next().unwrap_or(&program).to_owned();
    let words = command.get_args().map(|a| a.to_string_lossy().into_owned());
    let mut line = [program].into_iter().chain(words).collect::<Vec<_>>().join(" ");
    if let Some((at, _)) = line.char_indices().nth(160) {
        line.truncate(at);
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_counted_and_a_failing_one_is_named() {
        let mut steps = Steps::new("xtask test");
        steps.run("one", || Ok(())).unwrap();
        steps.run("two", || Ok(Done::Skipped("no need".into()))).unwrap();
        let message = steps.run("three", || Err::<(), _>("it broke".into())).unwrap_err();
        assert_eq!(message, "xtask test: the step `three` failed: it broke");
        assert_eq!((steps.passed, steps.skipped), (1, 1));
        assert!(steps.lines[1].starts_with("skipped") && steps.lines[1].ends_with("two: no need"));
        assert!(steps.lines[2].starts_with("FAILED"));
    }

    #[test]
    fn commands_end_as_they_end() {
        assert!(works(Command::new("true").arg("x")));
        assert!(!works(&mut Command::new("false")));
        assert!(!works(&mut Command::new("/no/such/program")));
        assert_eq!(output(Command::new("echo").arg("hello")).unwrap(), "hello\n");
        assert!(
            shown(&mut Command::new("/bin/false"))
                .unwrap_err()
                .starts_with("`false` ended with exit status: 1")
        );
    }
}
