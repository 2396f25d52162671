//! How much a thread computes between two looks at the cancel flag, for a test that asks: in time of the processor, which a
//! busy machine does not stretch as it does time on the wall. Not in what is shipped.

use std::cell::Cell;

#[derive(Clone, Copy, Default)]
struct Counted {
    last_ns: u64,
    longest_ns: u64,
    looks: u64,
}

thread_local! {
    static COUNTED: Cell<Option<Counted>> = const { Cell::new(None) };
}

/// Of this thread, where the system tells it as Linux does; else on the wall.
fn processor_ns() -> u64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let ns = told.as_deref().and_then(|t| t.split_whitespace().next()).and_then(|n| n.parse().ok());
    let wall = || std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |t| t.as_nanos() as u64);
    ns.unwrap_or_else(wall)
}

pub(super) fn look() {
    let Some(mut counted) = COUNTED.get() else { return };
    let now = processor_ns();
    counted.longest_ns = counted.longest_ns.max(now.saturating_sub(counted.last_ns));
    counted.last_ns = now;
    counted.looks += 1;
    COUNTED.set(Some(counted));
}

/// Runs `f`; the looks that this thread took, the longest nanoseconds without one, those of the whole.
pub fn count(f: impl FnOnce()) -> (u64, u64, u64) {
    let start = processor_ns();
    COUNTED.set(Some(Counted { last_ns: start, ..Counted::default() }));
    f();
    look();
    let counted = COUNTED.take().unwrap_or_default();
    (counted.looks.saturating_sub(1), counted.longest_ns, processor_ns() - start)
}
