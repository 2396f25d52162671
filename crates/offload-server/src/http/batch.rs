//! `POST /workloads/batch`.

use super::body;
use super::exchange::Exchange;
use super::submit::operation;
use super::{AppState, identify, render};
use actix_web::web::{Bytes, Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use offload_api::json::{decode_inputs, describe};
use offload_api::{ApiError, ErrorCode, Invalid, Options};
use offload_pipeline::admit::Caller;
use offload_pipeline::engine::{BatchItem, BatchRequest, BatchTicket};
use offload_pipeline::settle::Outcome;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::oneshot;

/// What may be asked of a batch as a whole.
const OPTIONS: [&str; 6] = ["priority", "timeout_ms", "cache", "depends_on", "device", "callback_url"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Item<'a> {
    r#type: String,
    operation: String,
    #[serde(borrow)]
    inputs: &'a RawValue,
}

/// The members of an object in their order, as sent: one that is there twice is there twice.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    // One that is there twice or is unknown is named later; a million of them are not kept for that.
                    if members.len() > OPTIONS.len() + 1 {
                        return Err(A::Error::custom("there are more fields than a batch has"));
                    }
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

/// The items of a list, of which no more than so many are kept, and how many there are.
struct UpTo(usize);

impl<'de> DeserializeSeed<'de> for UpTo {
    type Value = (Vec<&'de RawValue>, usize);
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for UpTo {
    type Value = (Vec<&'de RawValue>, usize);
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a sequence")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let (mut items, mut count) = (Vec::new(), 0);
        while let Some(item) = list.next_element()? {
            count += 1;
            if count <= self.0 {
                items.push(item);
            }
        }
        Ok((items, count))
    }
}

/// Handles a batch.
pub async fn submit(request: HttpRequest, payload: Payload, state: Data<AppState>) -> HttpResponse {
    let mut exchange = Exchange::begin(&request);
    match run(&state, &request, payload, &mut exchange).await {
        Ok(body) => exchange.answer(200, "application/json", body),
        Err(e) => exchange.error(e),
    }
}

async fn run(
    state: &Data<AppState>,
    request: &HttpRequest,
    payload: Payload,
    exchange: &mut Exchange,
) -> Result<Vec<u8>, ApiError> {
    let caller = identify::caller(state, request, exchange)?;
    let body = body::read(state, request, payload).await?;
    let received = Instant::now();
    let (id, shared) = (exchange.id.clone(), state.clone());
    let (ticket, outcomes) = state.codec.run(move || start(&shared, caller, &body, id, received)).await??;
    let outcomes = outcomes.await.map_err(|_| ApiError::new(ErrorCode::Internal, "the batch was lost"))?;
    ticket.answered();
    let id = exchange.id.clone();
    state.codec.run(move || render::batch(&outcomes, &id, received)).await
}

fn start(
    state: &AppState,
    caller: Arc<Caller>,
    body: &Bytes,
    id: String,
    received: Instant,
) -> Result<(BatchTicket, oneshot::Receiver<Vec<Outcome>>), ApiError> {
    let (options, items) = parse(state, body)?;
    if options.callback_url.is_some() {
        return Err(super::submit::callback_of_no_task());
    }
    let (sender, outcomes) = oneshot::channel();
    let batch = BatchRequest { id, caller, options, items, received, decode: received.elapsed() };
    // A receiver that is gone belongs to a connection that is gone.
    let ticket = state.pipeline.submit_batch(batch, Box::new(move |o| drop(sender.send(o))));
    Ok((ticket, outcomes))
}

/// What a batch's body asks for as a whole, and its items. An item that cannot be run says so in its place.
///
/// # Errors
/// When the body is no batch.
pub fn parse(state: &AppState, body: &[u8]) -> Result<(Options, Vec<BatchItem>), ApiError> {
    let malformed =
        |e: serde_json::Error| Invalid::new("", format!("the batch is not valid json: {}", describe(&e)));
    let Members(top) = serde_json::from_slice(body).map_err(malformed)?;
    let mut options = Options::default();
    let limit = state.config.server.max_batch_items;
    let mut items: Option<(Vec<&RawValue>, usize)> = None;
    for (i, (key, value)) in top.iter().enumerate() {
        if top[..i].iter().any(|(k, _)| k == key) {
            return Err(Invalid::new(format!("/{key}"), format!("the field {key} is there twice")).into());
        }
        if key == "workloads" {
            let mut list = serde_json::Deserializer::from_str(value.get());
            items = Some(UpTo(limit).deserialize(&mut list).map_err(|e| {
                Invalid::new("/workloads", format!("workloads must be a list: {}", describe(&e)))
            })?);
        } else if !OPTIONS.contains(&key.as_str()) || !options.set(key, value.get().as_bytes())? {
            let known = OPTIONS.iter().copied().chain(["workloads"]);
            let hint =
                offload_api::nearest(key, known).map(|n| format!("; did you mean {n}?")).unwrap_or_default();
            return Err(Invalid::new(format!("/{key}"), format!("unknown field {key}{hint}")).into());
        }
    }
    let (items, count) = items.ok_or_else(|| Invalid::new("", "the field workloads is missing"))?;
    if count > limit {
        return Err(Invalid::new(
            "/workloads",
            format!("the batch has {count} items, the limit is {limit} (server.max_batch_items)"),
        )
        .into());
    }
    let items = items.iter().enumerate().map(|(i, text)| item(state, text.get(), i)).collect();
    Ok((options, items))
}

fn item(state: &AppState, text: &str, index: usize) -> BatchItem {
    let malformed = |why: &str| {
        let shape = "an item is {\"type\", \"operation\", \"inputs\"}";
        Invalid::new(format!("/workloads/{index}"), format!("{shape}: {why}"))
    };
    // Serde would take a list for the fields in order.
    if !text.starts_with('{') {
        return Err(malformed("it is no object").into());
    }
    let item: Item<'_> = serde_json::from_str(text).map_err(|e| malformed(&describe(&e)))?;
    let operation = operation(&state.registry, &item.r#type, &item.operation)?;
    let pointer = format!("/workloads/{index}/inputs");
    Ok((operation, decode_inputs(item.inputs.get().as_bytes(), &operation.schema, &pointer)?))
}
