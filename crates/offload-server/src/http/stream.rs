//! Following a task: server-sent events, and the same over a web socket.

use super::AppState;
use super::exchange::Exchange;
use super::identify::caller;
use super::tasks::{document, find, ticket_holder};
use crate::tasks::document::View;
use actix_web::web::{Bytes, Data, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::StreamExt;
use offload_api::{ApiError, ErrorCode, Invalid};
use offload_pipeline::records::{Task, TaskStatus};
use serde::Deserialize;
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The least time between two events.
const STEP: Duration = Duration::from_millis(100);
/// How often the store is asked about a task that another process has, or nobody yet.
const LOOK: Duration = Duration::from_millis(500);
/// The longest silence.
const SILENCE: Duration = Duration::from_secs(15);
/// The id of the last event.
const END: &str = "end";

/// Streams that are open.
static OPEN: AtomicUsize = AtomicUsize::new(0);

/// A place among the open streams, given back on drop.
struct Place;

impl Place {
    fn take(limit: usize) -> Result<Place, ApiError> {
        if OPEN.fetch_add(1, Ordering::Relaxed) < limit {
            return Ok(Place);
        }
        OPEN.fetch_sub(1, Ordering::Relaxed);
        Err(ApiError::new(ErrorCode::Overloaded, "too many tasks are being followed")
            .with_details(json!({"limit": limit, "raised_by": "tasks.max_streams"}))
            .retry_after_ms(1000))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a follower is told.
enum Told {
    /// Where the task is now.
    Step { id: String, text: String },
    /// How it ended, and nothing after it.
    End { text: String },
    /// That it is still followed.
    Alive,
}

/// A task being followed.
struct Follower {
    state: Data<AppState>,
    task: Task,
    /// Attempt and progress of the last event, in units of its id.
    last: Option<(u32, u64)>,
    spoke: Instant,
    looked: Instant,
    done: bool,
    _place: Place,
}

/// Attempt and progress: what has begun is further than what waits, though neither has done anything.
fn position(task: &Task, view: &View) -> (u32, u64) {
    (task.attempts, (view.progress * 1e4) as u64 + u64::from(view.status == TaskStatus::Running))
}

impl Follower {
    /// The next thing to tell; nothing after the end, nor when the service stops.
    async fn next(&mut self) -> Option<Told> {
        while !self.done && !self.state.draining.load(Ordering::Relaxed) {
            let live = self.state.tasks.live(&self.task.id);
            // What this process does not run may have changed anywhere.
            if live.is_none() && (self.looked.elapsed() >= LOOK || self.task.status == TaskStatus::Running) {
                let (tenant, id) = (self.task.tenant_id.clone(), self.task.id.clone());
                match find(&self.state, &tenant, &id).await {
                    Ok(task) => self.task = task,
                    Err(e) if e.error == ErrorCode::NotFound => return None,
                    Err(_) => {}
                }
                self.looked = Instant::now();
            }
            if self.task.status.is_final() {
                self.done = true;
                let text = document(&self.state, self.task.clone()).await.ok()?;
                return Some(Told::End { text: String::from_utf8(text).ok()? });
            }
            if live.is_some() && self.task.status == TaskStatus::Queued {
                // It was claimed since.
                self.task.status = TaskStatus::Running;
                self.task.attempts += 1;
            }
            let view = View::of(&self.task, live.as_ref().map(|(live, _)| *live));
            let now = position(&self.task, &view);
            if self.last.is_none_or(|last| now > last) {
                self.last = Some(now);
                self.spoke = Instant::now();
                return Some(Told::Step { id: format!("{}-{}", now.0, now.1), text: view.event() });
            }
            if self.spoke.elapsed() >= SILENCE {
                self.spoke = Instant::now();
                return Some(Told::Alive);
            }
            wait(live.map(|(_, done)| done)).await;
        }
        None
    }
}

/// Until the task ends, or it is time for another look.
async fn wait(done: Option<watch::Receiver<bool>>) {
    let pause = tokio::time::sleep(STEP);
    match done {
        Some(mut done) => tokio::select! { _ = done.wait_for(|done| *done) => {}, () = pause => {} },
        None => pause.await,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    ticket: Option<String>,
}

/// The task to follow, for a ticket's holder or a caller with credentials.
async fn follow(
    state: &Data<AppState>,
    request: &HttpRequest,
    exchange: &mut Exchange,
    id: &str,
) -> Result<Follower, ApiError> {
    let asked = Query::<Asked>::from_query(request.query_string())
        .map_err(|_| Invalid::new("", "the query takes ticket"))?
        .into_inner();
    let tenant = match asked.ticket {
        Some(text) => ticket_holder(state, &text, id).ok_or_else(|| {
            ApiError::new(ErrorCode::Unauthenticated, "the ticket is for another task, or over")
        })?,
        None => caller(state, request, exchange)?.tenant.to_string(),
    };
    let task = find(state, &tenant, id).await?;
    let place = Place::take(state.config.tasks.max_streams)?;
    let now = Instant::now();
    Ok(Follower {
        state: state.clone(),
        task,
        last: None,
        spoke: now,
        looked: now,
        done: false,
        _place: place,
    })
}

/// `GET /tasks/{task}/stream`: server-sent events; `Last-Event-ID` goes on where a broken connection left off.
pub async fn events(request: HttpRequest, path: Path<String>, state: Data<AppState>) -> HttpResponse {
    let mut exchange = Exchange::begin(&request);
    let mut follower = match follow(&state, &request, &mut exchange, &path).await {
        Ok(follower) => follower,
        Err(e) => return exchange.error(e),
    };
    match request.headers().get("last-event-id").and_then(|v| v.to_str().ok()) {
        // It has heard everything; this answer tells an EventSource not to come back.
        Some(END) => return exchange.empty(204),
        Some(text) => {
            follower.last = text.split_once('-').and_then(|(a, p)| Some((a.parse().ok()?, p.parse().ok()?)));
        }
        None => {}
    }
    let stream = futures_util::stream::unfold(follower, |mut follower| async move {
        let text = match follower.next().await? {
            Told::Step { id, text } => format!("id: {id}\ndata: {text}\n\n"),
            Told::End { text } => format!("id: {END}\ndata: {text}\n\n"),
            Told::Alive => ": still here\n\n".to_string(),
        };
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(text)), follower))
    });
    exchange.stream("text/event-stream", stream)
}

/// `GET /tasks/{task}/ws`: the data of the same events, one text message each; closed after the last.
pub async fn socket(
    request: HttpRequest,
    path: Path<String>,
    payload: Payload,
    state: Data<AppState>,
) -> HttpResponse {
    let mut exchange = Exchange::begin(&request);
    let mut follower = match follow(&state, &request, &mut exchange, &path).await {
        Ok(follower) => follower,
        Err(e) => return exchange.error(e),
    };
    let (answer, mut session, messages) = match actix_ws::handle(&request, payload) {
        Ok(parts) => parts,
        Err(_) => {
            let why = "this path takes a web socket's handshake (RFC 6455)";
            return exchange.error(Invalid::new("", why).into());
        }
    };
    // Nothing is expected but pings and the other side's going.
    let mut messages = messages.max_frame_size(4096);
    actix_web::rt::spawn(async move {
        loop {
            tokio::select! {
                told = follower.next() => {
                    let sent = match told {
                        Some(Told::Step { text, .. }) => session.text(text).await,
                        Some(Told::End { text }) => session.text(text).await,
                        Some(Told::Alive) => session.ping(b"").await,
                        None => {
                            let _ = session.close(None).await;
                            return;
                        }
                    };
                    if sent.is_err() {
                        return;
                    }
                }
                message = messages.next() => match message {
                    Some(Ok(actix_ws::Message::Ping(bytes))) => {
                        if session.pong(&bytes).await.is_err() {
                            return;
                        }
                    }
                    Some(Ok(actix_ws::Message::Close(reason))) => {
                        let _ = session.close(reason).await;
                        return;
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return,
                },
            }
        }
    });
    answer
}
