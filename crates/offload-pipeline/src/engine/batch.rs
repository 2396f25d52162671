//! Batches: items run in parallel, an item may use the outputs of earlier ones, and one failure does not spoil
//! the others.

use super::{Pipeline, Reply, Ticket};
use crate::admit::{Caller, Request};
use crate::settle::Outcome;
use offload_api::{ApiError, ErrorCode, Options, Record, Source, Style, Tensor, Value};
use offload_core::Registered;
use serde_json::json;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// One item: what to run, or why it cannot be run.
pub type BatchItem = Result<(&'static Registered, Record<Source>), ApiError>;

/// A decoded batch.
pub struct BatchRequest {
    /// Its id; items get it with their index behind.
    pub id: String,
    /// Who asks.
    pub caller: Arc<Caller>,
    /// How; the time limit is the batch's as a whole.
    pub options: Options,
    /// The items in order.
    pub items: Vec<BatchItem>,
    /// When it had fully arrived.
    pub received: Instant,
    /// How long decoding took.
    pub decode: Duration,
}

/// Who gets the outcomes, in the order of the items. Called exactly once; it must not block.
pub type BatchReply = Box<dyn FnOnce(Vec<Outcome>) + Send>;

struct Batch {
    pipeline: Arc<Pipeline>,
    id: String,
    caller: Arc<Caller>,
    options: Options,
    received: Instant,
    decode: Duration,
    state: Mutex<BatchState>,
}

struct BatchState {
    waiting: Vec<Option<(&'static Registered, Record<Source>)>>,
    outcomes: Vec<Option<Outcome>>,
    tickets: Vec<Option<Ticket>>,
    left: usize,
    reply: Option<BatchReply>,
    abandoned: bool,
    /// A thread is starting items; it will see whatever becomes ready meanwhile. Without this, a chain of
    /// items that run inline would recurse once per item.
    advancing: bool,
}

/// A caller's hold on its batch: dropping it without [`answered`](BatchTicket::answered) cancels every item.
pub struct BatchTicket(Option<Arc<Batch>>);

impl BatchTicket {
    /// The outcomes have arrived; there is nothing left to cancel.
    pub fn answered(mut self) {
        self.0 = None;
    }
}

impl Drop for BatchTicket {
    fn drop(&mut self) {
        if let Some(batch) = self.0.take() {
            let mut state = batch.lock();
            state.abandoned = true;
            let tickets = std::mem::take(&mut state.tickets);
            drop(state);
            drop(tickets);
        }
    }
}

/// The earlier items that an item refers to.
fn parents(inputs: &Record<Source>) -> impl Iterator<Item = usize> + '_ {
    inputs.iter().filter_map(|(_, v)| match v {
        Value::Tensor(Source::Output(r)) => Some(r.index),
        _ => None,
    })
}

impl Pipeline {
    /// Takes every item of a batch through the stages. `reply` gets all outcomes once the last is there.
    pub fn submit_batch(&self, request: BatchRequest, reply: BatchReply) -> BatchTicket {
        let Some(pipeline) = self.me.upgrade() else { return BatchTicket(None) };
        let n = request.items.len();
        let mut outcomes: Vec<Option<Outcome>> = vec![None; n];
        let mut waiting = Vec::with_capacity(n);
        for (index, item) in request.items.into_iter().enumerate() {
            let item = item.and_then(|(operation, inputs)| {
                let later = parents(&inputs).find(|p| *p >= index);
                later.map_or(Ok((operation, inputs)), |p| {
                    Err(offload_api::Invalid::new(
                        format!("/workloads/{index}/inputs"),
                        format!("$result names item {p}; it must be an item before this one, {index}"),
                    )
                    .into())
                })
            });
            match item {
                Ok(item) => waiting.push(Some(item)),
                Err(mut e) => {
                    e.request_id = format!("{}-{index}", request.id);
                    waiting.push(None);
                    outcomes[index] = Some(Outcome { priority: None, lowered: false, result: Err(e) });
                }
            }
        }
        let left = waiting.iter().flatten().count();
        let batch = Arc::new(Batch {
            pipeline,
            id: request.id,
            caller: request.caller,
            options: request.options,
            received: request.received,
            decode: request.decode,
            state: Mutex::new(BatchState {
                waiting,
                outcomes,
                tickets: (0..n).map(|_| None).collect(),
                left,
                reply: Some(reply),
                abandoned: false,
                advancing: false,
            }),
        });
        batch.clone().advance();
        BatchTicket(Some(batch))
    }
}

impl Batch {
    fn lock(&self) -> MutexGuard<'_, BatchState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts every item whose parents have ended; answers when nothing is left.
    fn advance(self: Arc<Self>) {
        let mut state = self.lock();
        if std::mem::replace(&mut state.advancing, true) {
            return;
        }
        loop {
            if state.left == 0 {
                if let Some(reply) = state.reply.take() {
                    let outcomes = state.outcomes.drain(..).flatten().collect();
                    drop(state);
                    reply(outcomes);
                }
                return;
            }
            let ready = (0..state.waiting.len()).find(|i| {
                state.waiting[*i]
                    .as_ref()
                    .is_some_and(|(_, inputs)| parents(inputs).all(|p| state.outcomes[p].is_some()))
            });
            let next = ready.filter(|_| !state.abandoned).and_then(|i| Some((i, state.waiting[i].take()?)));
            let Some((index, (operation, inputs))) = next else {
                state.advancing = false;
                return;
            };
            let inputs = inputs.try_map(|name, source| fill(&state, index, name, source));
            match inputs {
                Err(mut e) => {
                    e.request_id = format!("{}-{index}", self.id);
                    state.outcomes[index] = Some(Outcome { priority: None, lowered: false, result: Err(e) });
                    state.left -= 1;
                }
                Ok(inputs) => {
                    drop(state);
                    self.start(index, operation, inputs);
                    state = self.lock();
                }
            }
        }
    }

    fn start(self: &Arc<Self>, index: usize, operation: &'static Registered, inputs: Record<Source>) {
        let request = Request {
            id: format!("{}-{index}", self.id),
            caller: Arc::clone(&self.caller),
            operation,
            options: self.options.clone(),
            style: Style::Envelope,
            inputs,
            received: self.received,
            decode: self.decode,
        };
        let batch = Arc::clone(self);
        let reply: Reply = Box::new(move |mut outcome| {
            if let Err(e) = &mut outcome.result {
                point_at_item(e, index);
            }
            let mut state = batch.lock();
            state.outcomes[index] = Some(outcome);
            state.left -= 1;
            if let Some(ticket) = state.tickets.get_mut(index).and_then(Option::take) {
                ticket.answered();
            }
            drop(state);
            batch.advance();
        });
        let ticket = self.pipeline.submit(request, reply);
        let mut state = self.lock();
        if state.outcomes.get(index).is_none_or(Option::is_some) {
            ticket.answered();
        } else if !state.abandoned {
            state.tickets[index] = Some(ticket);
        }
        // An abandoned batch drops the ticket here, which cancels the item, after the lock is gone.
    }
}

/// Errors of an item point at it within the batch.
fn point_at_item(e: &mut ApiError, index: usize) {
    if let Some(pointer) = e.details.get_mut("pointer")
        && let Some(text) = pointer.as_str()
    {
        *pointer = format!("/workloads/{index}{text}").into();
    }
}

fn fill(state: &BatchState, index: usize, name: &str, source: Source) -> Result<Source, ApiError> {
    let Source::Output(wanted) = source else { return Ok(source) };
    let pointer = format!("/workloads/{index}/inputs/{name}");
    let parent = state.outcomes[wanted.index].as_ref();
    let Some(Ok(answer)) = parent.map(|o| &o.result) else {
        return Err(ApiError::new(
            ErrorCode::Unprocessable,
            format!("item {}, whose output this item needs, failed", wanted.index),
        )
        .with_details(json!({"reason": "dependency_failed", "index": wanted.index, "pointer": pointer})));
    };
    match answer.outputs.get(&wanted.output) {
        Some(Value::Tensor(t)) => Ok(Source::Inline(t.clone())),
        Some(Value::Bytes(b)) => Ok(Source::Inline(Tensor::from_bytes(b.clone()))),
        _ => {
            let names: Vec<_> = answer.outputs.iter().map(|(n, _)| n).collect();
            Err(offload_api::Invalid::new(
                pointer,
                format!(
                    "item {} has no tensor output {}; it has {}",
                    wanted.index,
                    wanted.output,
                    names.join(", ")
                ),
            )
            .into())
        }
    }
}
