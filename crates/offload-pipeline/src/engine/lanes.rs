//! The lanes of the CPU and of the devices, and what happens when one is stuck or fails.

use super::flow::After;
use super::{DeviceState, Pipeline, State};
use crate::dispatch::{Event, Executor, JobId, Lane, LaneId};
use crate::run::{CpuLane, DeviceLanes, Report, ReportTo, Task};
use offload_core::device::{DeviceError, DeviceHost};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The CPU's lanes.
#[derive(Default)]
pub(super) struct CpuLanes {
    lanes: HashMap<LaneId, (CpuLane, Lane)>,
    /// Jobs that nobody waits for and that have not ended yet.
    aborted: Vec<(JobId, LaneId, Instant)>,
    /// Lanes whose place another took; each ends with its job.
    replaced: Vec<LaneId>,
}

impl CpuLanes {
    /// A job was aborted: its lane is watched.
    pub(super) fn watch(&mut self, job: JobId, lane: LaneId) {
        self.aborted.push((job, lane, Instant::now()));
    }

    /// A job has really ended.
    pub(super) fn ended(&mut self, job: JobId, lane: LaneId) {
        self.aborted.retain(|(j, ..)| *j != job);
        if self.replaced.contains(&lane) {
            self.replaced.retain(|l| *l != lane);
            self.lanes.remove(&lane);
        }
    }

    /// When the next watched lane is to be replaced.
    pub(super) fn next_replacement(&self, after: Duration) -> Option<Instant> {
        self.aborted.iter().filter(|(_, l, _)| !self.replaced.contains(l)).map(|(.., at)| *at + after).min()
    }
}

/// A device and its lanes.
pub(super) struct DeviceSlot {
    device: Arc<dyn DeviceHost>,
    lanes: Mutex<Option<DeviceLanes>>,
    up: AtomicBool,
    /// It was in service once.
    seen: AtomicBool,
    /// The operator keeps it out of service.
    held: AtomicBool,
    faults: AtomicU64,
}

impl DeviceSlot {
    pub(super) fn new(device: Arc<dyn DeviceHost>) -> Self {
        let (lanes, faults) = (Mutex::new(None), AtomicU64::new(0));
        let no = || AtomicBool::new(false);
        DeviceSlot { device, lanes, up: no(), seen: no(), held: no(), faults }
    }
    pub(super) fn id(&self) -> u32 {
        self.device.descriptor().id
    }
    pub(super) fn device(&self) -> &Arc<dyn DeviceHost> {
        &self.device
    }
    pub(super) fn state(&self) -> DeviceState {
        let is = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        match (is(&self.held), is(&self.up), is(&self.seen)) {
            (true, _, _) => DeviceState::Draining,
            (_, true, _) => DeviceState::Up,
            (_, _, true) => DeviceState::Quarantined,
            (_, _, false) => DeviceState::Starting,
        }
    }
    pub(super) fn faults(&self) -> u64 {
        self.faults.load(Ordering::Relaxed)
    }
    pub(super) fn faulted(&self) {
        self.faults.fetch_add(1, Ordering::Relaxed);
    }
    fn has(&self, lane: LaneId) -> bool {
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.as_ref().is_some_and(|l| l.ids().any(|id| id == lane))
    }
}

/// Jobs that a device's lane holds whatever they take: the one that runs, and the next, whose upload may overlap.
const DEVICE_LANE_DEPTH: usize = 2;
/// Jobs that it holds as long as they are short. Those of them that are equal are started together.
const DEVICE_LANE_MOST: usize = 32;

impl Pipeline {
    pub(super) fn start_lanes(&self) -> std::io::Result<()> {
        let run = &self.config.run;
        self.add_cpu_lane(Lane { executor: Executor::Cpu, realtime_only: true, depth: 1, most: 1 })?;
        for _ in 0..run.cpu_lanes {
            self.add_cpu_lane(Lane { executor: Executor::Cpu, realtime_only: false, depth: 1, most: 1 })?;
        }
        for slot in self.slots() {
            self.bring_up(&slot);
        }
        Ok(())
    }

    fn bring_up(&self, slot: &Arc<DeviceSlot>) {
        if let Err(e) = self.open_device(slot) {
            tracing::warn!(device = slot.id(), error = %e, "the device does not open");
            self.drive(Event::ExecutorDown { executor: Executor::Device(slot.id()) });
            self.await_recovery(Arc::clone(slot));
        }
    }

    /// Takes a device into service; one of a number that is there already is not taken. Waits until the device
    /// answers, or does not: then it goes on as after a failure.
    pub fn add_device(&self, device: Arc<dyn DeviceHost>) {
        let slot = Arc::new(DeviceSlot::new(device));
        let d = slot.device.descriptor();
        {
            let mut state = self.lock();
            let mut devices = self.devices.write().unwrap_or_else(PoisonError::into_inner);
            // By number, in whichever order they answered.
            let Err(place) = devices.binary_search_by_key(&d.id, |s| s.id()) else { return };
            state.dispatcher.placer_mut().ledger_mut().set_device_budget(d.id, d.memory_bytes);
            devices.insert(place, Arc::clone(&slot));
        }
        if let Err(e) = slot.device.health() {
            tracing::warn!(device = d.id, error = %e, "the device does not answer yet");
        }
        self.bring_up(&slot);
    }

    /// Takes a device out of service by the operator's wish: it gets no new job, and what runs there ends. Whether
    /// there is such a device.
    pub fn drain_device(&self, id: u32) -> bool {
        let Some(slot) = self.slot(id) else { return false };
        let mut state = self.lock();
        let held = slot.held.swap(true, Ordering::Relaxed);
        let after = match held {
            true => Vec::new(),
            false => self.step(&mut state, Event::ExecutorDown { executor: Executor::Device(id) }),
        };
        drop(state);
        self.perform(after);
        true
    }

    /// Ends [`drain_device`](Self::drain_device). Whether there is such a device.
    pub fn resume_device(&self, id: u32) -> bool {
        let Some(slot) = self.slot(id) else { return false };
        let mut state = self.lock();
        slot.held.store(false, Ordering::Relaxed);
        let after = match slot.up.load(Ordering::Relaxed) {
            true => self.step(&mut state, Event::ExecutorUp { executor: Executor::Device(id) }),
            false => Vec::new(),
        };
        drop(state);
        self.perform(after);
        true
    }

    pub(super) fn slots(&self) -> Vec<Arc<DeviceSlot>> {
        self.devices.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn slot(&self, id: u32) -> Option<Arc<DeviceSlot>> {
        let devices = self.devices.read().unwrap_or_else(PoisonError::into_inner);
        devices.iter().find(|s| s.id() == id).map(Arc::clone)
    }

    fn slot_of(&self, lane: LaneId) -> Option<Arc<DeviceSlot>> {
        let devices = self.devices.read().unwrap_or_else(PoisonError::into_inner);
        devices.iter().find(|s| s.has(lane)).map(Arc::clone)
    }

    fn report_to(&self) -> ReportTo {
        let me = self.me.clone();
        Arc::new(move |job: JobId, lane: LaneId, report: Report| {
            if let Some(pipeline) = me.upgrade() {
                pipeline.ended(job, lane, report);
            }
        })
    }

    fn add_cpu_lane(&self, spec: Lane) -> std::io::Result<()> {
        let mut state = self.lock();
        let after = self.add_cpu_lane_locked(&mut state, spec)?;
        drop(state);
        self.perform(after);
        Ok(())
    }

    fn add_cpu_lane_locked(&self, state: &mut State, spec: Lane) -> std::io::Result<Vec<After>> {
        let run = &self.config.run;
        let id = next_lane(state);
        let (threads, niceness) =
            if spec.realtime_only { (run.realtime_threads, 0) } else { (run.threads_per_lane, run.niceness) };
        let lane = CpuLane::start(id, threads.max(1), niceness, Arc::clone(&self.derived), self.report_to())?;
        state.cpu.lanes.insert(id, (lane, spec));
        Ok(self.step(state, Event::AddLane { lane: id, spec }))
    }

    /// Replaces lanes that have been stuck for long in work nobody waits for, within the bound on spares.
    pub(super) fn replace_stuck_lanes(&self, state: &mut State) -> Vec<After> {
        let run = &self.config.run;
        let patience = Duration::from_millis(run.spare_after_ms);
        let mut after = Vec::new();
        let stuck: Vec<LaneId> = state
            .cpu
            .aborted
            .iter()
            .filter(|(_, lane, at)| at.elapsed() >= patience && !state.cpu.replaced.contains(lane))
            .map(|(_, lane, _)| *lane)
            .collect();
        for lane in stuck {
            if state.cpu.replaced.len() >= run.max_spare_lanes {
                // Try again when one of the replaced lanes has ended; until then its class shares what is left.
                state.cpu.aborted.retain(|(_, l, _)| *l != lane);
                continue;
            }
            let Some((old, spec)) = state.cpu.lanes.get(&lane) else { continue };
            let spec = *spec;
            old.yield_to_others();
            state.cpu.replaced.push(lane);
            after.extend(self.step(state, Event::RetireLane(lane)));
            match self.add_cpu_lane_locked(state, spec) {
                Ok(more) => after.extend(more),
                Err(e) => tracing::error!(error = %e, "no thread for a spare lane"),
            }
        }
        after
    }

    /// What a lane belongs to.
    pub(super) fn executor_of(&self, cpu: &CpuLanes, lane: LaneId) -> Executor {
        if lane == LaneId::INLINE || cpu.lanes.contains_key(&lane) {
            return Executor::Cpu;
        }
        self.slot_of(lane).map_or(Executor::Cpu, |slot| Executor::Device(slot.id()))
    }

    pub(super) fn hand_over(&self, cpu: &CpuLanes, lane: LaneId, task: Task) -> Result<(), Task> {
        if let Some((cpu, _)) = cpu.lanes.get(&lane) {
            return cpu.send(task);
        }
        match self.slot_of(lane) {
            Some(slot) => match &*slot.lanes.lock().unwrap_or_else(PoisonError::into_inner) {
                Some(lanes) => lanes.send(lane, task),
                None => Err(task),
            },
            None => Err(task),
        }
    }

    fn open_device(&self, slot: &Arc<DeviceSlot>) -> Result<(), DeviceError> {
        let (realtime, general) = {
            let mut state = self.lock();
            (next_lane(&mut state), next_lane(&mut state))
        };
        // A device may take its time, and nobody else waits for it.
        let lanes = DeviceLanes::open(&slot.device, realtime, general, &self.report_to())?;
        let mut state = self.lock();
        *slot.lanes.lock().unwrap_or_else(PoisonError::into_inner) = Some(lanes);
        slot.up.store(true, Ordering::Relaxed);
        slot.seen.store(true, Ordering::Relaxed);
        let executor = Executor::Device(slot.id());
        let mut after = Vec::new();
        for (lane, realtime_only) in [(realtime, true), (general, false)] {
            let spec = Lane { executor, realtime_only, depth: DEVICE_LANE_DEPTH, most: DEVICE_LANE_MOST };
            after.extend(self.step(&mut state, Event::AddLane { lane, spec }));
        }
        if !slot.held.load(Ordering::Relaxed) {
            after.extend(self.step(&mut state, Event::ExecutorUp { executor }));
        }
        drop(state);
        self.perform(after);
        Ok(())
    }

    /// Takes a failed device out of service and waits, on a thread of its own, until it answers again.
    /// What a lane says that the device no longer has is about an earlier life of it.
    pub(super) fn quarantine(
        &self,
        state: &mut State,
        (id, lane): (u32, LaneId),
        error: &DeviceError,
    ) -> Vec<After> {
        let Some(slot) = self.slot(id).filter(|slot| slot.has(lane)) else { return Vec::new() };
        if !slot.up.swap(false, Ordering::Relaxed) {
            return Vec::new();
        }
        tracing::error!(device = id, %error, "the device is quarantined");
        let after = self.step(state, Event::ExecutorDown { executor: Executor::Device(id) });
        self.await_recovery(slot);
        after
    }

    fn await_recovery(&self, slot: Arc<DeviceSlot>) {
        let me = self.me.clone();
        let id = slot.id();
        let watch = move || loop {
            let gone = || me.upgrade().is_none_or(|p| p.stopping.load(Ordering::Relaxed));
            if !DeviceLanes::await_health(slot.device.as_ref(), gone) {
                return;
            }
            let Some(pipeline) = me.upgrade() else { return };
            // The old lanes' threads end with their last job; their numbers never come back.
            let old: Vec<LaneId> = {
                let lanes = slot.lanes.lock().unwrap_or_else(PoisonError::into_inner);
                lanes.as_ref().map(|l| l.ids().collect()).unwrap_or_default()
            };
            for lane in old {
                pipeline.drive(Event::RetireLane(lane));
            }
            match pipeline.open_device(&slot) {
                Ok(()) => {
                    tracing::info!(device = id, "the device is back in service");
                    return;
                }
                Err(e) => tracing::warn!(device = id, error = %e, "the device answers and does not open"),
            }
        };
        if let Err(e) = std::thread::Builder::new().name(format!("device-{id}-watch")).spawn(watch) {
            tracing::error!(device = id, error = %e, "no thread to watch the device; it stays out of service");
        }
    }
}

fn next_lane(state: &mut State) -> LaneId {
    state.next_lane += 1;
    LaneId(state.next_lane)
}
