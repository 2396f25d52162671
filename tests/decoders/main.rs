//! The decoders under a few thousand changed inputs each: the targets of `fuzz/`, without libFuzzer, in seconds.
//!
//! Every run tries the same inputs. `DECODER_SEED` tries others and `DECODER_INPUTS` more; `DECODER_CORPUS` is a folder that
//! the seeds are written to, where libFuzzer starts from. A failure says which input it was and leaves it in a file.

mod change;
mod heard;
#[path = "../../fuzz/src/lib.rs"]
mod targets;

use change::{Changes, Random};
use peak_alloc::PeakAlloc;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use targets::{ALL, Target};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The peak is the process's, so one target runs at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// The longest input.
const MAX_BYTES: usize = 4096;

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |v| v.parse().unwrap_or_else(|_| panic!("{name} is no number: {v}")))
}

/// What goes wrong with an input, if anything does: a panic, or more memory than `bound` bytes.
fn tried(target: &Target, input: &[u8], bound: usize) -> Result<bool, String> {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let outcome = catch_unwind(AssertUnwindSafe(|| targets::run(target.name, input)));
    let taken = MEMORY.peak_usage().saturating_sub(before);
    match outcome {
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            Err(text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned())
        }
        Ok(_) if taken > bound => Err(format!("it takes {taken} bytes of memory, the bound is {bound}")),
        Ok(decoded) => Ok(decoded),
    }
}

/// Runs a target on its seeds and on so many changes of them. `bound` is the memory that an input may take at once.
fn run(name: &str, inputs: u64, bound: usize) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let target = ALL.iter().find(|t| t.name == name).expect("a target");
    let seed = variable("DECODER_SEED", 8123);
    let inputs = variable("DECODER_INPUTS", inputs);
    let seeds = (target.seeds)();
    if let Ok(folder) = std::env::var("DECODER_CORPUS") {
        written(&Path::new(&folder).join(name), &seeds);
    }
    let failed = |what: String, input: &[u8], number: u64| {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("decoder-{name}"));
        let _ = std::fs::write(&path, input);
        panic!("{name}, seed {seed}, input {number} ({}): {what}\n{}", path.display(), input.escape_ascii());
    };
    for (number, input) in (0..).zip(&seeds) {
        // What is set up at the first use stays, and is not counted.
        match tried(target, input, usize::MAX).and_then(|_| tried(target, input, bound)) {
            Ok(true) => {}
            Ok(false) => failed("a seed is not of the format".into(), input, number),
            Err(what) => failed(what, input, number),
        }
    }
    let (mut random, changes) = (Random::new(seed, name), Changes::of(&seeds, MAX_BYTES));
    let mut decoded = 0;
    for number in 1..=inputs {
        let input = changes.input(&mut random);
        match tried(target, &input, bound) {
            Ok(yes) => decoded += u64::from(yes),
            Err(what) => failed(what, &input, number),
        }
    }
    println!("{name}: {} seeds, {inputs} changed inputs, {decoded} decoded", seeds.len());
    // Changes that leave everything as it was, or nothing, would try nothing.
    assert!(inputs < 500 || decoded < inputs, "every changed input decodes");
}

fn written(folder: &Path, seeds: &[Vec<u8>]) {
    std::fs::create_dir_all(folder).expect("the folder is made");
    for (number, seed) in seeds.iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{number}")), seed).expect("the seed is written");
    }
}

macro_rules! targets {
    ($($name:ident: $inputs:expr, $bound:expr;)+) => {
        $(#[test]
        fn $name() {
            run(stringify!($name), $inputs, $bound);
        })+

        #[test]
        fn every_target_has_both_drivers() {
            let tried = [$(stringify!($name)),+];
            let manifest = include_str!("../../fuzz/Cargo.toml");
            for target in ALL {
                assert!(tried.contains(&target.name), "{} is not tried here", target.name);
                let path = format!("fuzz_targets/{}.rs", target.name);
                assert!(manifest.contains(&format!("path = \"{path}\"")), "fuzz/Cargo.toml has no {path}");
                let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(path);
                let text = std::fs::read_to_string(&file).expect("the file is there");
                assert!(text.contains(&format!("run(\"{}\"", target.name)), "{}", file.display());
            }
            assert_eq!(tried.len(), ALL.len());
        }
    };
}

targets! {
    json_request: 10_000, 1 << 20;
    json_columns: 10_000, 1 << 20;
    oip_request: 10_000, 1 << 20;
    arrow_stream: 10_000, 1 << 20;
    operation: 10_000, 16 << 20;
    series_file: 10_000, 4 << 20;
    worker_message: 10_000, 1 << 20;
    kernel_file: 4_000, 1 << 20;
    segment_file: 4_000, 1 << 20;
    cursor: 10_000, 1 << 20;
    record: 10_000, 1 << 20;
    token: 10_000, 1 << 20;
    callback_url: 10_000, 1 << 20;
    http_request: 1_000, 64 << 20;
}
