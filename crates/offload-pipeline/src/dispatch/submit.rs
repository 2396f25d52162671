//! Submissions: join, run inline, queue or refuse.

use super::job::{Route, State};
use super::{
    Command, Dispatcher, Executor, Job, JobId, JobView, LaneId, LaneView, NoExecutor, Placement, Placer,
    Refusal, Sabotage, Submission, Tenant, Waiter,
};
use offload_api::DeviceChoice;

impl<P: Placer> Dispatcher<P> {
    pub(super) fn submit(&mut self, submission: Submission, out: &mut Vec<Command>) {
        let waiter = submission.waiter;
        if let Err(why) = self.admit(submission, out) {
            let full = matches!(
                why,
                Refusal::QueueFull { .. } | Refusal::TenantQueueFull { .. } | Refusal::TooManyWaiters { .. }
            );
            self.counts.sheds += u64::from(full);
            out.push(Command::Refused { waiter, why });
        }
    }

    fn admit(&mut self, submission: Submission, out: &mut Vec<Command>) -> Result<(), Refusal> {
        if self.draining && !self.config.broken(Sabotage::IgnoreDrain) {
            return Err(Refusal::Draining);
        }
        if submission.deadline.is_some_and(|at| at <= self.now) {
            return Err(Refusal::DeadlinePassed);
        }
        let tenant = self.tenant(&submission);
        if let Some(key) = submission.flight
            && let Some(&job) = self.flights.get(&(tenant, key))
            && !self.config.broken(Sabotage::NoJoin)
        {
            return self.join(job, &submission, out);
        }
        let job = JobId(self.next_job);
        self.ever_fits(job, &submission)?;
        let class = submission.priority.class();
        let inline = submission.inline && self.reserve_inline(job, class, &submission);
        if !inline {
            self.queue_slot(tenant, class)?;
        }

        self.next_job += 1;
        let waiter = submission.waiter;
        let cpu_us = submission.demand.cpu_us;
        if let Some(key) = submission.flight {
            self.flights.insert((tenant, key), job);
        }
        let made = Job {
            tenant,
            enqueued: self.now,
            class,
            entered: self.now,
            due: false,
            route: Route::of(&submission.demand),
            flight: submission.flight,
            demand: submission.demand,
            waiters: Vec::with_capacity(1),
            attempts: u32::from(inline),
            excluded: Vec::new(),
            bypassed: 0,
            choosy_since: None,
            state: State::Running { lane: LaneId::INLINE, executor: Executor::Cpu },
        };
        self.jobs.insert(job, made);
        self.add_waiter(waiter, job, class, submission.deadline);
        if inline {
            self.inline += 1;
            self.tenants[tenant as usize].running += 1;
            self.queues.charge(tenant, class, super::lanes::micros(cpu_us));
            out.push(Command::RunInline { waiter, job });
        } else {
            let position = (0..=class).map(|c| self.queues.len(c)).sum();
            self.enqueue(job);
            out.push(Command::Queued { waiter, job, position });
        }
        Ok(())
    }

    /// The index of the submission's tenant, whose limits it brings up to date.
    fn tenant(&mut self, submission: &Submission) -> u32 {
        if let Some(&index) = self.tenant_index.get(&submission.tenant) {
            let tenant = &mut self.tenants[index as usize];
            if tenant.limits != submission.limits {
                tenant.limits = submission.limits.clone();
                self.queues.unpark_tenant(index);
            }
            return index;
        }
        let index = self.tenants.len() as u32;
        let (id, limits) = (submission.tenant.clone(), submission.limits.clone());
        self.tenants.push(Tenant { id, limits, queued: 0, running: 0 });
        self.tenant_index.insert(submission.tenant.clone(), index);
        self.queues.add_tenant();
        index
    }

    fn join(&mut self, id: JobId, submission: &Submission, out: &mut Vec<Command>) -> Result<(), Refusal> {
        let Some(job) = self.jobs.get(&id) else { return Ok(()) };
        let limit = self.config.max_waiters_per_job;
        if job.waiters.len() >= limit {
            return Err(Refusal::TooManyWaiters { limit });
        }
        let class = submission.priority.class();
        if job.state == State::Queued && class < job.class && !self.config.broken(Sabotage::NoRaise) {
            self.reclass(id, |job, now| {
                job.raise(class, now);
            });
        }
        self.counts.joins += 1;
        self.add_waiter(submission.waiter, id, class, submission.deadline);
        out.push(Command::Joined { waiter: submission.waiter, job: id });
        Ok(())
    }

    fn add_waiter(&mut self, id: super::WaiterId, job: JobId, class: usize, deadline: Option<super::Time>) {
        let deadline = deadline.map(|at| self.ring_at(at));
        if let Some(at) = deadline {
            self.timers.set_deadline(at, id);
        }
        let old = self.waiters.insert(id, Waiter { job, submitted: self.now, class, deadline });
        debug_assert!(old.is_none(), "waiter {id:?} was submitted twice");
        if let Some(job) = self.jobs.get_mut(&job) {
            job.waiters.push(id);
        }
    }

    /// Whether the job could run if nothing else did.
    fn ever_fits(&self, job: JobId, submission: &Submission) -> Result<(), Refusal> {
        let demand = &submission.demand;
        if demand.is_explicit() {
            if demand.device_bytes.is_none() {
                return Err(Refusal::NoExecutor(NoExecutor::NoDevicePath));
            }
            if let DeviceChoice::Id(id) = demand.choice {
                if !self.lanes.exists(Executor::Device(id)) {
                    return Err(Refusal::NoExecutor(NoExecutor::NoSuchDevice));
                }
                if !demand.allows(Executor::Device(id)) {
                    return Err(Refusal::NoExecutor(NoExecutor::NoDevicePath));
                }
            }
            if !self.reachable(demand, submission.priority.class()) {
                return Err(Refusal::NoExecutor(NoExecutor::NoGpu));
            }
        }
        if self.config.broken(Sabotage::AdmitOversized) {
            return Ok(());
        }
        self.placer.admit(&JobView {
            job,
            tenant: &submission.tenant,
            limits: &submission.limits,
            demand,
            excluded: &[],
            waited_us: 0,
            due: false,
        })
    }

    /// Whether an open lane is there that the job may use. A job that may use the CPU can wait for one: CPU lanes
    /// come and go with the configuration, and a caller who asked for no device cannot do anything about it.
    pub(super) fn reachable(&self, demand: &super::Demand, class: usize) -> bool {
        demand.allows(Executor::Cpu)
            || self.config.broken(Sabotage::KeepStranded)
            || self.lanes.iter().any(|s| demand.allows(s.spec.executor) && s.open(class))
    }

    /// Runs inline only past an empty queue, so that it overtakes nobody.
    fn reserve_inline(&mut self, job: JobId, class: usize, submission: &Submission) -> bool {
        let ahead = (0..=class).any(|c| self.queues.len(c) > 0);
        if (ahead && !self.config.broken(Sabotage::EagerInline))
            || self.lanes.is_down(Executor::Cpu)
            || !submission.demand.allows(Executor::Cpu)
        {
            return false;
        }
        let view = JobView {
            job,
            tenant: &submission.tenant,
            limits: &submission.limits,
            demand: &submission.demand,
            excluded: &[],
            waited_us: 0,
            due: true,
        };
        let here =
            LaneView { lane: LaneId::INLINE, executor: Executor::Cpu, room: true, jobs: 0, backlog_us: 0.0 };
        matches!(self.placer.place(&view, &[here], self.now), Placement::Lane(..))
    }

    fn queue_slot(&self, tenant: u32, class: usize) -> Result<(), Refusal> {
        if self.config.broken(Sabotage::NoShed) {
            return Ok(());
        }
        let tenant = &self.tenants[tenant as usize];
        if tenant.queued >= tenant.limits.max_queued_tasks {
            return Err(Refusal::TenantQueueFull { limit: tenant.limits.max_queued_tasks });
        }
        let limit = self.config.class_limit(class);
        if self.queues.total() >= limit {
            return Err(Refusal::QueueFull { limit });
        }
        Ok(())
    }
}
