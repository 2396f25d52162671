//! Starts: which job a free lane gets.

use super::job::{Route, State};
use super::lanes::micros;
use super::{
    Command, Dispatcher, Executor, JobId, JobView, LaneId, LaneView, Placement, Placer, Sabotage, Settlement,
    Wait,
};

/// What became of a job that was offered lanes.
enum Tried {
    Started,
    /// It left the queue otherwise.
    Gone,
    /// Its tenant's quota is used up.
    Quota,
    /// Memory is used up.
    Memory(Wait),
    /// No lane, or none that it wants.
    NoLane,
    /// None of the lanes could ever hold it.
    Unsuitable,
}

/// Which lanes may be offered in this part of a scan.
#[derive(Clone, Copy, PartialEq)]
enum Offer {
    All,
    /// General lanes of executors that owe one to due work.
    Owed,
}

/// The lanes that are held for a job.
#[derive(Clone, Copy)]
struct Hold {
    job: JobId,
    /// Jobs of this class and below are held back.
    class: usize,
    /// The memory it waits for.
    wait: Wait,
}

/// What one scan has seen.
#[derive(Default)]
struct Scan {
    /// Jobs that wait for memory, in order.
    blocked: Vec<JobId>,
    hold: Option<Hold>,
    /// Lanes that an earlier job would take and is too long for: no later one is handed over beyond their depth.
    wanted: Vec<LaneId>,
    /// The held job had its turn.
    asked_held: bool,
}

impl<P: Placer> Dispatcher<P> {
    /// Starts jobs while there is room and a job for it.
    pub(super) fn start_all(&mut self, out: &mut Vec<Command>) {
        self.look_at = None;
        while self.queues.total() > 0 && self.lanes.any_room(&self.config) {
            if !self.start_one(out) {
                break;
            }
        }
    }

    /// One scan in the order of the rules, until something left the queue.
    fn start_one(&mut self, out: &mut Vec<Command>) -> bool {
        let mut scan = Scan::default();
        if self.held.and_then(|id| self.jobs.get(&id)).is_some_and(|job| job.due)
            && self.ask_held(&mut scan, out)
        {
            return true;
        }
        let alternate =
            self.due > 0 && !self.lanes.nobody_owes() && !self.config.broken(Sabotage::NoAlternation);
        if alternate && self.scan_class(1, Offer::Owed, &mut scan, out) {
            return true;
        }
        let mut order = [0, 1, 2, 3];
        if self.config.broken(Sabotage::Inversion) {
            order.reverse();
        }
        for class in order {
            let held_here = self.held.and_then(|id| self.jobs.get(&id)).is_some_and(|job| job.class == class);
            if (held_here && !scan.asked_held && self.ask_held(&mut scan, out))
                || self.scan_class(class, Offer::All, &mut scan, out)
            {
                return true;
            }
        }
        false
    }

    /// Offers the held job its lanes first, and holds them when it still waits for memory.
    fn ask_held(&mut self, scan: &mut Scan, out: &mut Vec<Command>) -> bool {
        scan.asked_held = true;
        let Some(id) = self.held else { return false };
        let Some(job) = self.jobs.get(&id) else { return false };
        let (class, due) = (job.class, job.due);
        if self.queues.head(job.tenant, class, job.route) != Some((job.enqueued, id)) {
            // An older job of its tenant aged or was raised past it and has the turn.
            self.held = None;
            return false;
        }
        match self.offer(id, Offer::All, scan, out) {
            Tried::Started | Tried::Gone => true,
            Tried::Memory(wait) => {
                scan.blocked.push(id);
                scan.hold = Some(Hold { job: id, class: if due { 0 } else { class }, wait });
                false
            }
            Tried::Quota | Tried::NoLane | Tried::Unsuitable => {
                // Nothing is gained by holding lanes for it; its count stays, so it is held again when it must be.
                self.held = None;
                false
            }
        }
    }

    /// A job waits for memory: notes it, and holds lanes for it once it was overtaken too often. There is one hold at
    /// a time; a more urgent job takes it over, since its hold is the wider one.
    fn wait_for_memory(&mut self, id: JobId, wait: Wait, scan: &mut Scan) {
        if !scan.blocked.contains(&id) {
            scan.blocked.push(id);
        }
        let Some(job) = self.jobs.get(&id) else { return };
        let wider = self.held.and_then(|h| self.jobs.get(&h)).is_none_or(|held| job.class < held.class);
        if job.bypassed >= self.config.max_bypass && wider && !self.config.broken(Sabotage::NoHold) {
            self.held = Some(id);
            scan.hold = Some(Hold { job: id, class: if job.due { 0 } else { job.class }, wait });
            scan.asked_held = true;
        }
    }

    fn scan_class(&mut self, class: usize, offer: Offer, scan: &mut Scan, out: &mut Vec<Command>) -> bool {
        if self.queues.len(class) == 0 {
            return false;
        }
        let mut after = None;
        let mut looked_past = 0;
        loop {
            let (lanes, config) = (&self.lanes, &self.config);
            let next = self.queues.next(class, after, |route| {
                lanes.iter().any(|s| {
                    (route.meets(s.spec.executor) || config.broken(Sabotage::SilentFallback))
                        && s.takes(class, config)
                        && s.has_room(config)
                        && (offer == Offer::All || (lanes.owes(s.spec.executor) && !s.spec.realtime_only))
                })
            });
            let Some((_, tenant, route)) = next else { return false };
            after = next;
            let Some(id) = self.first_of(tenant, class, route) else { continue };
            match self.offer(id, offer, scan, out) {
                Tried::Started | Tried::Gone => return true,
                Tried::Quota => self.queues.park(tenant, class, route),
                Tried::Memory(wait) => {
                    self.wait_for_memory(id, wait, scan);
                    looked_past += 1;
                    // Further down are jobs whose overtaking nobody would count.
                    if looked_past >= self.config.max_lookahead {
                        return false;
                    }
                }
                Tried::NoLane | Tried::Unsuitable => {}
            }
        }
    }

    fn first_of(&self, tenant: u32, class: usize, route: Route) -> Option<JobId> {
        let first = if self.config.broken(Sabotage::Lifo) {
            self.queues.last(tenant, class, route)
        } else {
            self.queues.head(tenant, class, route)
        };
        first.map(|(_, id)| id)
    }

    /// Offers a job the lanes it may use, and starts it if the placer takes one.
    fn offer(&mut self, id: JobId, offer: Offer, scan: &mut Scan, out: &mut Vec<Command>) -> Tried {
        let mut offers = std::mem::take(&mut self.offers);
        self.lanes_for(id, offer, scan, false, &mut offers);
        let mut tried = self.place(id, &offers, scan, out);
        if matches!(tried, Tried::Unsuitable) {
            // What failed it may be all that can hold it: its attempts are bounded, so it may try there again.
            self.lanes_for(id, offer, scan, true, &mut offers);
            tried = self.place(id, &offers, scan, out);
        }
        self.offers = offers;
        tried
    }

    fn lanes_for(&self, id: JobId, offer: Offer, scan: &mut Scan, again: bool, offers: &mut Vec<LaneView>) {
        offers.clear();
        let Some(job) = self.jobs.get(&id) else { return };
        let hold = scan.hold.filter(|h| h.job != id && job.class >= h.class);
        let held = hold.and_then(|h| self.jobs.get(&h.job).map(|j| (&j.demand, h.wait)));
        let open = || {
            self.lanes.iter().filter(|s| {
                (job.demand.allows(s.spec.executor) || self.config.broken(Sabotage::SilentFallback))
                    && s.takes(job.class, &self.config)
            })
        };
        // A job that failed everywhere may try again anywhere: its attempts are bounded.
        let elsewhere = !again && open().any(|s| !job.excluded.contains(&s.spec.executor));
        for slot in open() {
            let executor = slot.spec.executor;
            let excluded = elsewhere && job.excluded.contains(&executor);
            let owed = offer == Offer::All || (self.lanes.owes(executor) && !slot.spec.realtime_only);
            let kept = !slot.spec.realtime_only
                && held.is_some_and(|(demand, wait)| match wait {
                    Wait::DeviceBudget => matches!(executor, Executor::Device(_)) && demand.allows(executor),
                    _ => true,
                });
            if !excluded && owed && !kept {
                let fits = slot.has_room_for(&job.demand, &self.config);
                let room = slot.has_depth(&self.config) || (fits && !scan.wanted.contains(&slot.id));
                if !fits && slot.has_room(&self.config) {
                    scan.wanted.push(slot.id);
                }
                offers.push(LaneView {
                    lane: slot.id,
                    executor,
                    room,
                    jobs: slot.jobs.len(),
                    backlog_us: slot.backlog_us(self.now),
                });
            }
        }
    }

    fn place(&mut self, id: JobId, offers: &[LaneView], scan: &Scan, out: &mut Vec<Command>) -> Tried {
        let Some(job) = self.jobs.get(&id) else { return Tried::NoLane };
        if !offers.iter().any(|lane| lane.room) {
            return Tried::NoLane;
        }
        let tenant = &self.tenants[job.tenant as usize];
        let view = JobView {
            job: id,
            tenant: &tenant.id,
            limits: &tenant.limits,
            demand: &job.demand,
            excluded: &job.excluded,
            waited_us: job.choosy_since.map_or(0, |since| self.now - since),
            due: job.due,
        };
        match self.placer.place(&view, offers, self.now) {
            Placement::Lane(lane, fallback) => {
                self.start(id, lane, fallback, scan, out);
                Tried::Started
            }
            Placement::Wait(Wait::TenantQuota) => Tried::Quota,
            Placement::Wait(Wait::DeviceBusy { until }) => {
                if let Some(job) = self.jobs.get_mut(&id) {
                    job.choosy_since.get_or_insert(self.now);
                }
                // A moment that is over would wake the engine again and again.
                let until = until.max(self.now + 1);
                self.look_at = Some(self.look_at.map_or(until, |at| at.min(until)));
                Tried::NoLane
            }
            Placement::Wait(Wait::Unsuitable) => Tried::Unsuitable,
            Placement::Wait(wait) => Tried::Memory(wait),
            Placement::Never(why) => {
                self.dequeue(id);
                self.settle(id, Settlement::Refused(why), out);
                Tried::Gone
            }
        }
    }

    fn start(
        &mut self,
        id: JobId,
        lane: LaneId,
        fallback: Option<String>,
        scan: &Scan,
        out: &mut Vec<Command>,
    ) {
        let Some(executor) = self.lanes.get(lane).map(|s| s.spec.executor) else {
            debug_assert!(false, "the placer chose lane {lane:?}, which was not offered");
            self.placer.release(id);
            return;
        };
        self.count_bypass(id, lane, executor, scan);
        let Some(job) = self.jobs.get(&id) else { return };
        let (tenant, class) = (job.tenant, job.class);
        let expected_us = job.demand.expected_us(executor);
        if !self.config.broken(Sabotage::Unfair) {
            self.queues.charge(tenant, class, micros(expected_us));
        }
        self.lanes.note_start(lane, class, self.due > 0);
        self.dequeue(id);
        self.lanes.take(lane, id, expected_us, self.now);
        self.tenants[tenant as usize].running += 1;
        if let Some(job) = self.jobs.get_mut(&id) {
            job.state = State::Running { lane, executor };
            job.attempts += 1;
            job.bypassed = 0;
            job.choosy_since = None;
            out.push(Command::Start { job: id, lane, attempt: job.attempts, class, fallback });
        }
    }

    /// Counts the start against those that wait for memory and could have used the lane.
    fn count_bypass(&mut self, started: JobId, lane: LaneId, executor: Executor, scan: &Scan) {
        let realtime_lane = self.lanes.get(lane).is_some_and(|s| s.spec.realtime_only);
        if realtime_lane {
            return;
        }
        for &id in scan.blocked.iter().filter(|id| **id != started) {
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            if job.demand.allows(executor) {
                job.bypassed += 1;
            }
        }
    }
}
