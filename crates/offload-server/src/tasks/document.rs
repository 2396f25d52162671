//! What a caller sees of a task: one JSON object, the same for whoever asks, follows, or is called back.

use super::Live;
use crate::config;
use crate::http::BASE;
use offload_pipeline::engine::Standing;
use offload_pipeline::records::{StoreError, Stores, Task, TaskStatus};
use serde_json::{Map, Value as Json, json};

/// How far a task is, for its owner.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Where it is: a task that this process has claimed and not begun is queued.
    pub status: TaskStatus,
    /// 0 to 1.
    pub progress: f64,
    /// Milliseconds until it is expected to end, where there is something to tell from.
    pub remaining_ms: Option<u64>,
    /// Jobs before it, while it is queued here.
    pub ahead: Option<usize>,
}

impl View {
    /// The view of a task and of what this process knows of it.
    pub fn of(task: &Task, live: Option<Live>) -> View {
        let plain = |status, progress| View { status, progress, remaining_ms: None, ahead: None };
        match (task.status, live) {
            (TaskStatus::Completed, _) => plain(TaskStatus::Completed, 1.0),
            (TaskStatus::Running, Some(live)) => running(live),
            (status, _) => plain(status, 0.0),
        }
    }

    /// The event that tells it.
    pub fn event(&self) -> String {
        json!({"status": self.status.name(), "progress": self.progress}).to_string()
    }
}

fn running(live: Live) -> View {
    let elapsed_ms = live.elapsed.as_secs_f64() * 1e3;
    let expected_ms = live.expected_us / 1e3;
    match live.standing {
        Standing::Queued { ahead } => View {
            status: TaskStatus::Queued,
            progress: 0.0,
            remaining_ms: Some(expected_ms.ceil() as u64),
            ahead: Some(ahead),
        },
        Standing::Running(progress) => {
            // What it did so far tells more than what was expected, once it did something.
            let remaining = if progress > 0.05 {
                elapsed_ms * (1.0 - progress) / progress
            } else {
                (expected_ms - elapsed_ms).max(0.0)
            };
            View {
                status: TaskStatus::Running,
                progress: (progress * 1e4).floor() / 1e4,
                remaining_ms: Some(remaining.ceil() as u64),
                ahead: None,
            }
        }
        // Its end is being recorded.
        Standing::Ended => {
            View { status: TaskStatus::Running, progress: 1.0, remaining_ms: Some(0), ahead: None }
        }
    }
}

/// The members of a task without its result.
pub fn head(task: &Task, view: &View) -> Map<String, Json> {
    let mut head = Map::new();
    let mut put = |name: &str, value: Json| {
        head.insert(name.into(), value);
    };
    put("task_id", task.id.clone().into());
    put("status", view.status.name().into());
    put("progress", view.progress.into());
    put("workload_type", task.workload_type.clone().into());
    if task.status != TaskStatus::Completed {
        put("priority", task.priority.name().into());
        put("gpu_time_us", task.gpu_time_us.into());
    }
    put("attempts", task.attempts.into());
    put("created_at_ms", task.created_at_ms.into());
    if let Some(at) = task.started_at_ms {
        put("started_at_ms", at.into());
    }
    if let Some(at) = task.finished_at_ms {
        put("finished_at_ms", at.into());
    }
    if let Some(ms) = view.remaining_ms {
        put("estimated_remaining_ms", ms.into());
    }
    if let Some(ahead) = view.ahead {
        put("position_in_queue", ahead.into());
    }
    if let Some(error) = &task.error {
        put("error", serde_json::from_str(error).unwrap_or(Json::Null));
    }
    head
}

/// The whole document: the result's members in it, or a link to them when they are large.
///
/// # Errors
/// When the store does not answer.
pub fn render(
    settings: &config::Tasks,
    stores: &dyn Stores,
    task: &Task,
    view: &View,
) -> Result<Vec<u8>, StoreError> {
    let mut head = head(task, view);
    if task.status != TaskStatus::Completed {
        return Ok(Json::Object(head).to_string().into_bytes());
    }
    if task.result_bytes > settings.inline_result_bytes {
        head.insert("gpu_time_us".into(), task.gpu_time_us.into());
        head.insert("result_url".into(), format!("{BASE}/tasks/{}/result", task.id).into());
        return Ok(Json::Object(head).to_string().into_bytes());
    }
    let result = stores.tasks().result(&task.tenant_id, &task.id)?.ok_or(StoreError::NotFound)?;
    let mut text = Json::Object(head).to_string().into_bytes();
    // Both are objects, and the head has members: its brace makes room for the rest of the other.
    text.pop();
    if result.len() > 2 {
        text.push(b',');
    }
    text.extend_from_slice(result.get(1..).unwrap_or(b"}"));
    Ok(text)
}

/// The document of a task that is final.
///
/// # Errors
/// When the store does not answer.
pub fn of_end(settings: &config::Tasks, stores: &dyn Stores, task: &Task) -> Result<Vec<u8>, StoreError> {
    render(settings, stores, task, &View::of(task, None))
}
