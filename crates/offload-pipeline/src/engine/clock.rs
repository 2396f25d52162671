//! The one thread that wakes the dispatcher when time alone makes something due.

use super::Pipeline;
use crate::dispatch::{Event, Time};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// The longest sleep, so that a stopped pipeline's thread ends soon.
const LONGEST: Duration = Duration::from_secs(1);

pub(super) fn start(pipeline: &Arc<Pipeline>) -> std::io::Result<()> {
    let weak = Arc::downgrade(pipeline);
    std::thread::Builder::new().name("pipeline-clock".into()).spawn(move || {
        // The thread holds the pipeline only while it looks, so that dropping the pipeline stops it.
        while let Some(pipeline) = weak.upgrade() {
            if pipeline.stopping.load(Ordering::Relaxed) {
                return;
            }
            pipeline.sleep_and_tick();
        }
    })?;
    Ok(())
}

impl Pipeline {
    fn sleep_and_tick(&self) {
        let mut state = self.lock();
        let patience = Duration::from_millis(self.config.run.spare_after_ms);
        let due = state
            .dispatcher
            .next_wakeup()
            .map(|at| self.started + Duration::from_micros(at.0))
            .into_iter()
            .chain(state.cpu.next_replacement(patience))
            .min();
        let now = Instant::now();
        let sleep = due.map_or(LONGEST, |at| at.saturating_duration_since(now)).min(LONGEST);
        if !sleep.is_zero() {
            let wakes_at = self.now() + u64::try_from(sleep.as_micros()).unwrap_or(u64::MAX);
            state.clock_wakes_at = Some(wakes_at);
            state = self.clock.wait_timeout(state, sleep).unwrap_or_else(PoisonError::into_inner).0;
            state.clock_wakes_at = Some(Time(0));
        }
        let mut after = self.replace_stuck_lanes(&mut state);
        let due = state.dispatcher.next_wakeup();
        if due.is_some_and(|at| at <= self.now()) {
            after.extend(self.step(&mut state, Event::Tick));
        }
        drop(state);
        self.perform(after);
    }
}
