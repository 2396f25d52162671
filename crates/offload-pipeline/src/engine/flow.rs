//! From the dispatcher's commands to lanes and callers, and back.

use super::errors;
use super::{Pipeline, Reply, State, micros};
use crate::admit::{AdmitConfig, Admitted, Caller, Request};
use crate::cache::{CacheKey, Missed, Results};
use crate::dispatch::{Command, Demand, End, Event, Executor, JobId, LaneId, Settlement};
use crate::records::AuditRecord;
use crate::run::{Report, RunFailure, Task};
use crate::settle::{Answer, Outcome, Settled, Timings};
use offload_api::{ApiError, Priority, Record, Style, Tensor};
use offload_core::device::{DeviceError, Isolation};
use offload_core::{Cancel, Failure, Plan, Progress, Registered, TenantId};
use serde_json::json;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// One caller that waits.
pub(super) struct Waiter {
    reply: Reply,
    request_id: String,
    caller: Arc<Caller>,
    operation: &'static Registered,
    style: Style,
    pub(super) explain: bool,
    pub(super) received: Instant,
    pub(super) decode_us: u64,
    timeout_ms: u64,
    asked: Priority,
    priority: Option<Priority>,
    pub(super) looked_up: bool,
}

impl Waiter {
    pub(super) fn of(request: &Request, config: &AdmitConfig, reply: Reply) -> Waiter {
        Waiter {
            reply,
            request_id: request.id.clone(),
            caller: Arc::clone(&request.caller),
            operation: request.operation,
            style: request.style,
            explain: request.options.explain,
            received: request.received,
            decode_us: micros(request.decode),
            timeout_ms: request.options.timeout_ms.unwrap_or(config.default_timeout_ms),
            asked: request.options.priority.unwrap_or(request.operation.about.default_priority),
            priority: None,
            looked_up: false,
        }
    }

    pub(super) fn admitted(mut self, admitted: &Admitted) -> Waiter {
        self.priority = Some(admitted.priority());
        self
    }
}

/// One computation: what it runs on, and what is known of its run.
pub(super) struct Job {
    operation: &'static Registered,
    tenant: TenantId,
    isolation: Isolation,
    inputs: Record<Tensor>,
    plan: Plan,
    key: Option<CacheKey>,
    generation: u64,
    cancel: Cancel,
    progress: Progress,
    cpu_us: f64,
    device_us: Vec<(u32, f64)>,
    /// Why no device takes it.
    declined: Option<String>,
    run: Option<Run>,
    report: Option<Report>,
}

struct Run {
    lane: LaneId,
    executor: Executor,
    started: Instant,
    attempt: u32,
    fallback: Option<String>,
}

impl Job {
    pub(super) fn of(missed: Missed, results: &Results, demand: &Demand, declined: Option<String>) -> Job {
        let (admitted, key) = missed.into_parts();
        let (request, inputs, plan) = admitted.into_parts();
        Job {
            operation: request.operation,
            generation: results.current_generation(&request.caller.tenant),
            tenant: request.caller.tenant.clone(),
            isolation: request.caller.quota.isolation,
            inputs,
            plan,
            key,
            cancel: Cancel::new(),
            progress: Progress::new(),
            cpu_us: demand.cpu_us,
            device_us: demand.device_us.clone(),
            declined,
            run: None,
            report: None,
        }
    }

    /// Microseconds it is expected to take on the CPU.
    pub(super) fn expected_us(&self) -> f64 {
        self.cpu_us
    }

    /// The fraction of its work that is done; `None` before it starts.
    pub(super) fn progress(&self) -> Option<f64> {
        self.run.as_ref().map(|_| self.progress.get())
    }

    fn hash(&self) -> String {
        self.key.map(CacheKey::to_hex).unwrap_or_default()
    }

    fn task(&self, job: JobId) -> Task {
        Task {
            job,
            operation: self.operation,
            inputs: self.inputs.clone(),
            tenant: self.tenant.clone(),
            device_bytes: match self.plan.device {
                offload_core::DeviceNeed::Bytes(b) => b,
                offload_core::DeviceNeed::CpuOnly(_) => 0,
            },
            isolation: self.isolation,
            cancel: self.cancel.clone(),
            progress: self.progress.clone(),
        }
    }

    /// The figures behind the placement.
    fn explanation(&self) -> serde_json::Value {
        let mut candidates = vec![json!({"device": "cpu", "expected_us": self.cpu_us.round()})];
        for (id, us) in &self.device_us {
            candidates.push(json!({"device": format!("gpu:{id}"), "expected_us": us.round()}));
        }
        let run = self.run.as_ref();
        let chosen = run.map_or_else(|| "none".to_string(), |r| name(r.executor));
        let why = match (run.and_then(|r| r.fallback.clone()), self.plan.device) {
            (Some(reason), _) => reason,
            (None, offload_core::DeviceNeed::CpuOnly(reason)) => reason.to_string(),
            (None, _) if self.device_us.is_empty() => "no gpu is present".into(),
            (None, _) => "least expected completion time".into(),
        };
        json!({"chosen": chosen, "why": why, "candidates": candidates, "work": self.plan.work,
               "work_unit": self.operation.about.work_unit, "bytes_in": self.plan.bytes_in,
               "bytes_out": self.plan.bytes_out, "host_bytes": self.plan.peak_host_bytes(),
               "attempts": run.map_or(0, |r| r.attempt)})
    }
}

fn name(executor: Executor) -> String {
    match executor {
        Executor::Cpu => "cpu".into(),
        Executor::Device(id) => format!("gpu:{id}"),
    }
}

/// What is left to do once the lock is gone. Few live at once, and not for long.
#[allow(clippy::large_enum_variant)]
pub(super) enum After {
    Finish {
        waiter: Box<Waiter>,
        cache_hit: Option<bool>,
        bytes_in: u64,
        hash: String,
        result: Result<Answer, ApiError>,
    },
    RunInline(Box<Task>),
}

impl Pipeline {
    /// One step of the dispatcher, and everything of its commands that needs the lock.
    pub(super) fn step(&self, state: &mut State, event: Event) -> Vec<After> {
        let now = self.now();
        let mut commands = std::mem::take(&mut state.commands);
        state.dispatcher.step(now, event, &mut commands);
        let mut after = Vec::new();
        let mut lost: Vec<(JobId, LaneId)> = Vec::new();
        for command in commands.drain(..) {
            self.obey(state, command, &mut after, &mut lost);
        }
        state.commands = commands;
        for (job, lane) in lost {
            // The lane's thread is gone, which only a panic outside of every operation can cause.
            after.extend(self.step(state, Event::Ended { job, lane, end: End::Faulted }));
        }
        if let Some(at) = state.dispatcher.next_wakeup()
            && state.clock_wakes_at.is_none_or(|wakes| at < wakes)
        {
            self.clock.notify_one();
        }
        after
    }

    fn obey(
        &self,
        state: &mut State,
        command: Command,
        after: &mut Vec<After>,
        lost: &mut Vec<(JobId, LaneId)>,
    ) {
        match command {
            Command::Queued { job, .. } => {
                if let Some(arriving) = state.arriving.take() {
                    state.jobs.insert(job, arriving);
                }
            }
            Command::RunInline { job, .. } => {
                if let Some(mut arriving) = state.arriving.take() {
                    arriving.run = Some(Run {
                        lane: LaneId::INLINE,
                        executor: Executor::Cpu,
                        started: Instant::now(),
                        attempt: 1,
                        fallback: None,
                    });
                    after.push(After::RunInline(Box::new(arriving.task(job))));
                    state.jobs.insert(job, arriving);
                }
            }
            Command::Joined { .. } => {}
            Command::Refused { waiter, why } => {
                if let Some(waiter) = state.waiters.remove(&waiter) {
                    let error = errors::refusal(&why, waiter.timeout_ms);
                    after.push(finish(waiter, 0, String::new(), Err(error)));
                }
            }
            Command::Start { job, lane, attempt, fallback, .. } => {
                let Some(entry) = state.jobs.get_mut(&job) else { return };
                let executor = self.executor_of(&state.cpu, lane);
                // What the device said is more than that it did not take the job.
                let declined = entry.declined.clone().filter(|_| executor == Executor::Cpu);
                let fallback = declined.or(fallback);
                if fallback.is_some() {
                    self.observer.fell_back(&entry.operation.workload_type);
                }
                entry.run = Some(Run { lane, executor, started: Instant::now(), attempt, fallback });
                let task = entry.task(job);
                if self.hand_over(&state.cpu, lane, task).is_err() {
                    lost.push((job, lane));
                }
            }
            Command::Abort { job } => {
                if let Some(entry) = state.jobs.get(&job) {
                    entry.cancel.cancel();
                    if let Some(run) = &entry.run
                        && run.lane != LaneId::INLINE
                        && run.executor == Executor::Cpu
                    {
                        state.cpu.watch(job, run.lane);
                        self.clock.notify_one();
                    }
                }
            }
            Command::Requeued { job, attempts } => {
                if let Some(entry) = state.jobs.get_mut(&job) {
                    let report = entry.report.take();
                    if let Some(Err(RunFailure::Failed(Failure::Fault(DeviceError::NoPlace(why))))) =
                        report.as_ref().map(|r| &r.result)
                    {
                        entry.declined = Some(why.clone());
                    }
                    tracing::info!(job = job.0, attempts, "a job goes back to its queue");
                }
            }
            Command::Dropped { job } => {
                state.jobs.remove(&job);
            }
            Command::Settled { job, waiters, end } => {
                let entry = state.jobs.remove(&job);
                let waiters: Vec<_> = waiters.iter().filter_map(|w| state.waiters.remove(w)).collect();
                if let Some(entry) = entry {
                    self.settle(entry, waiters, &end, after);
                }
            }
            Command::TimedOut { waiter, .. } => {
                if let Some(waiter) = state.waiters.remove(&waiter) {
                    let error = errors::timeout(waiter.timeout_ms);
                    after.push(finish(waiter, 0, String::new(), Err(error)));
                }
            }
            Command::Cancelled { waiter, .. } => {
                if let Some(waiter) = state.waiters.remove(&waiter) {
                    after.push(finish(waiter, 0, String::new(), Err(errors::cancelled())));
                }
            }
            Command::SlaMissed { class, .. } => self.observer.sla_missed(class),
        }
    }

    /// Answers everybody who waited for a job that ended.
    fn settle(&self, mut job: Job, waiters: Vec<Waiter>, end: &Settlement, after: &mut Vec<After>) {
        let bytes_in = job.plan.bytes_in;
        let report = job.report.take();
        let hash = job.hash();
        let (result, busy, gpu) = match report {
            Some(r) => (Some(r.result), r.busy, r.gpu),
            None => (None, std::time::Duration::ZERO, None),
        };
        let run = job.run.as_ref();
        let outcome = match (end, result) {
            (Settlement::Done, Some(Ok(outputs))) => {
                let outputs = Arc::new(outputs);
                let device_id = run.and_then(|r| match r.executor {
                    Executor::Cpu => None,
                    Executor::Device(id) => Some(id),
                });
                if device_id.is_none() {
                    self.prices.teach(job.operation, &job.plan, micros(busy) as f64);
                }
                if let Some(key) = job.key {
                    self.results.store(
                        key,
                        &job.tenant,
                        &job.operation.workload_type,
                        Arc::clone(&outputs),
                        device_id,
                        job.generation,
                    );
                }
                Ok((outputs, device_id))
            }
            (end, result) => Err(errors::settlement(end, result.and_then(Result::err))),
        };
        for waiter in waiters {
            let result = match &outcome {
                Err(error) => Err(errors::in_style(error.clone(), waiter.style)),
                Ok((outputs, device_id)) => {
                    let started = run.map_or(waiter.received, |r| r.started);
                    // A caller that joined a running job did not wait in the queue for it.
                    let queue = started.saturating_duration_since(waiter.received);
                    let gpu = gpu.unwrap_or_default();
                    let compute_us = if device_id.is_some() { micros(gpu.compute) } else { micros(busy) };
                    Ok(Answer {
                        outputs: Arc::clone(outputs),
                        gpu_time_us: if device_id.is_some() { compute_us } else { 0 },
                        total_time_us: micros(waiter.received.elapsed()),
                        cache_hit: false,
                        device_id: *device_id,
                        computed_on: name(device_id.map_or(Executor::Cpu, Executor::Device)),
                        fallback: run.and_then(|r| r.fallback.clone()),
                        explanation: waiter.explain.then(|| job.explanation()),
                        timings: Timings {
                            queue_us: micros(queue).saturating_sub(waiter.decode_us),
                            decode_us: waiter.decode_us,
                            upload_us: micros(gpu.upload),
                            compute_us,
                            download_us: micros(gpu.download),
                        },
                    })
                }
            };
            after.push(finish(waiter, bytes_in, hash.clone(), result));
        }
    }

    /// An executor reports that a job has really ended.
    pub(super) fn ended(&self, job: JobId, lane: LaneId, report: Report) {
        let mut state = self.lock();
        // The lane may have gone meanwhile, with the worker that its device had then.
        let started =
            state.jobs.get(&job).and_then(|entry| entry.run.as_ref()).filter(|run| run.lane == lane);
        let executor = match started {
            Some(run) => run.executor,
            None => self.executor_of(&state.cpu, lane),
        };
        let end = match (&report.result, executor) {
            (Ok(_), _) => End::Done,
            (Err(RunFailure::Failed(Failure::Cancelled)), _) => End::Cancelled,
            (Err(RunFailure::Failed(Failure::Fault(_))), Executor::Device(_)) => End::Faulted,
            (Err(_), _) => End::Failed,
        };
        if let Err(RunFailure::Panicked(text)) = &report.result {
            tracing::error!(job = job.0, panic = %text, "an operation panicked");
        }
        let tenant = state.jobs.get(&job).map(|entry| entry.tenant.as_str()).unwrap_or_default();
        let fault = match (&report.result, executor) {
            // Nothing is wrong with a device whose places are taken.
            (Err(RunFailure::Failed(Failure::Fault(DeviceError::NoPlace(why)))), Executor::Device(id)) => {
                tracing::info!(device = id, tenant, job = job.0, why, "the device has no place for a job");
                None
            }
            (Err(RunFailure::Failed(Failure::Fault(error))), Executor::Device(id)) => {
                tracing::warn!(device = id, tenant, job = job.0, %error, "the device failed a job");
                Some((id, error.clone()))
            }
            _ => None,
        };
        if let Some(entry) = state.jobs.get_mut(&job) {
            entry.report = Some(report);
        }
        let mut after = Vec::new();
        if let Some((id, error)) = fault {
            self.observer.device_faulted(id);
            if let Some(slot) = self.slot(id) {
                slot.faulted();
            }
            if error.is_sticky() {
                after.extend(self.quarantine(&mut state, (id, lane), &error));
            }
        }
        after.extend(self.step(&mut state, Event::Ended { job, lane, end }));
        state.cpu.ended(job, lane);
        drop(state);
        self.perform(after);
    }

    /// Tells everybody how a request ended: metrics and audit first, because they only enqueue.
    pub(super) fn finish(
        &self,
        waiter: Waiter,
        cache_hit: Option<bool>,
        bytes_in: u64,
        hash: String,
        result: Result<Answer, ApiError>,
    ) {
        let result = result.map_err(|mut e| {
            e.request_id.clone_from(&waiter.request_id);
            e
        });
        let total_us = micros(waiter.received.elapsed());
        let answer = result.as_ref().ok();
        let queue_us = answer.map_or(0, |a| a.timings.queue_us);
        let error = result.as_ref().err().map(|e| e.error);
        self.observer.settled(&Settled {
            workload_type: &waiter.operation.workload_type,
            priority: waiter.priority,
            error,
            cache_hit,
            total_us,
            queue_us,
            gpu_time_us: answer.map_or(0, |a| a.gpu_time_us),
        });
        (self.audit)(AuditRecord {
            at_us: micros(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()),
            request_id: waiter.request_id,
            tenant_id: waiter.caller.tenant.to_string(),
            user_id: waiter.caller.user.clone(),
            key_id: waiter.caller.key.clone(),
            workload_type: waiter.operation.workload_type.clone(),
            workload_hash: hash,
            priority: waiter.priority.unwrap_or(waiter.asked),
            status: error.map_or(200, |e| e.status()),
            error: error.map(|e| e.name().to_string()),
            gpu_time_us: answer.map_or(0, |a| a.gpu_time_us),
            total_time_us: total_us,
            queue_us,
            cache_hit: cache_hit == Some(true),
            device_id: answer.and_then(|a| a.device_id),
            device: answer.map(|a| a.computed_on.clone()).unwrap_or_default(),
            bytes_in,
            bytes_out: answer.map_or(0, |a| a.outputs.bytes()),
            node: self.config.node.clone(),
        });
        let lowered = waiter.priority.is_some_and(|p| p < waiter.asked);
        (waiter.reply)(Outcome { priority: waiter.priority, lowered, result });
    }
}

fn finish(waiter: Waiter, bytes_in: u64, hash: String, result: Result<Answer, ApiError>) -> After {
    let cache_hit = waiter.looked_up.then_some(false);
    After::Finish { waiter: Box::new(waiter), cache_hit, bytes_in, hash, result }
}
