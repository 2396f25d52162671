//! The lanes: what each belongs to, whether it takes jobs, and what it has.

use super::{Demand, DispatchConfig, Executor, JobId, Lane, LaneId, Sabotage, Time};
use std::collections::BTreeSet;

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) id: LaneId,
    pub(super) spec: Lane,
    retired: bool,
    /// What it has, with the microseconds expected.
    pub(super) jobs: Vec<(JobId, f64)>,
    free_at: Time,
    down: bool,
}

impl Slot {
    /// Whether it is open to jobs of that class, room aside.
    pub(super) fn open(&self, class: usize) -> bool {
        !self.retired && !self.down && (class == 0 || !self.spec.realtime_only)
    }

    /// As [`Slot::open`], or more where a test broke that.
    pub(super) fn takes(&self, class: usize, config: &DispatchConfig) -> bool {
        self.open(class)
            || (self.retired && config.broken(Sabotage::IgnoreRetired))
            || (self.down && config.broken(Sabotage::IgnoreDown))
            || (self.spec.realtime_only && config.broken(Sabotage::OpenRealtime))
    }

    /// Whether there is room for a job, or for a short one at least.
    pub(super) fn has_room(&self, config: &DispatchConfig) -> bool {
        self.has_depth(config) || self.has_short_room(config)
    }

    /// Whether there is room for this job.
    pub(super) fn has_room_for(&self, demand: &Demand, config: &DispatchConfig) -> bool {
        self.has_depth(config)
            || (demand.expected_us(self.spec.executor) < config.short_us
                && demand.device_bytes.is_some_and(|bytes| bytes <= config.short_bytes)
                && self.has_short_room(config))
    }

    /// Whether there is room for a job whatever it takes.
    pub(super) fn has_depth(&self, config: &DispatchConfig) -> bool {
        let depth = self.spec.depth + usize::from(config.broken(Sabotage::DeepLane));
        self.jobs.len() < depth
    }

    fn has_short_room(&self, config: &DispatchConfig) -> bool {
        let expected_us: f64 = self.jobs.iter().map(|(_, us)| us).sum();
        self.jobs.len() < self.spec.most && expected_us < config.short_us
    }

    pub(super) fn backlog_us(&self, now: Time) -> f64 {
        (self.free_at - now) as f64
    }
}

#[derive(Debug, Default)]
pub(super) struct Lanes {
    slots: Vec<Slot>,
    down: BTreeSet<Executor>,
    /// Executors whose last start on a general lane was P0 while a P1 job was due.
    owing: BTreeSet<Executor>,
}

impl Lanes {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter()
    }

    pub(super) fn add(&mut self, id: LaneId, spec: Lane) {
        if id != LaneId::INLINE && self.slots.iter().all(|s| s.id != id) {
            let down = self.down.contains(&spec.executor);
            self.slots.push(Slot { id, spec, retired: false, jobs: Vec::new(), free_at: Time(0), down });
        }
    }

    pub(super) fn retire(&mut self, id: LaneId) {
        for slot in self.slots.iter_mut().filter(|s| s.id == id) {
            slot.retired = true;
        }
        self.slots.retain(|s| !s.retired || !s.jobs.is_empty());
    }

    pub(super) fn set_down(&mut self, executor: Executor, down: bool) {
        if down {
            self.down.insert(executor);
        } else {
            self.down.remove(&executor);
        }
        for slot in self.slots.iter_mut().filter(|s| s.spec.executor == executor) {
            slot.down = down;
        }
    }

    pub(super) fn is_down(&self, executor: Executor) -> bool {
        self.down.contains(&executor)
    }

    pub(super) fn exists(&self, executor: Executor) -> bool {
        self.slots.iter().any(|s| s.spec.executor == executor && !s.retired)
    }

    pub(super) fn any_room(&self, config: &DispatchConfig) -> bool {
        self.slots.iter().any(|s| s.takes(0, config) && s.has_room(config))
    }

    pub(super) fn get(&self, id: LaneId) -> Option<&Slot> {
        self.slots.iter().find(|s| s.id == id)
    }

    pub(super) fn take(&mut self, id: LaneId, job: JobId, expected_us: f64, now: Time) {
        if let Some(slot) = self.slots.iter_mut().find(|s| s.id == id) {
            slot.jobs.push((job, expected_us));
            slot.free_at = slot.free_at.max(now) + micros(expected_us);
        }
    }

    pub(super) fn finish(&mut self, id: LaneId, job: JobId, now: Time) {
        if let Some(slot) = self.slots.iter_mut().find(|s| s.id == id) {
            slot.jobs.retain(|(j, _)| *j != job);
            // What is left starts now; earlier estimates have been proved or disproved.
            slot.free_at = now + slot.jobs.iter().map(|(_, us)| micros(*us)).sum::<u64>();
            if slot.retired && slot.jobs.is_empty() {
                self.retire(id);
            }
        }
    }

    /// Notes that a job of `class` starts there, for the alternation of P0 and due work.
    pub(super) fn note_start(&mut self, id: LaneId, class: usize, any_due: bool) {
        if let Some(slot) = self.get(id).filter(|s| !s.spec.realtime_only) {
            let executor = slot.spec.executor;
            if class == 0 && any_due {
                self.owing.insert(executor);
            } else {
                self.owing.remove(&executor);
            }
        }
    }

    pub(super) fn owes(&self, executor: Executor) -> bool {
        self.owing.contains(&executor)
    }

    pub(super) fn nobody_owes(&self) -> bool {
        self.owing.is_empty()
    }
}

/// An estimate as a whole number that sums cannot overflow and that is never nothing.
pub(super) fn micros(us: f64) -> u64 {
    const DAY: f64 = 86_400_000_000.0;
    if us.is_nan() { 1 } else { us.clamp(1.0, DAY) as u64 }
}
