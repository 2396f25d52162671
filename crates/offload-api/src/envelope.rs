//! The part of a request that is about the job and not about its inputs.

use crate::{Invalid, nearest};
use serde::{Deserialize, Serialize};

/// How urgent a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// P3: bulk work, best effort.
    Low,
    /// P2: within a second.
    Medium,
    /// P1: within 100 ms.
    High,
    /// P0: within 10 ms, on capacity of its own.
    Realtime,
}

impl Priority {
    /// All, most urgent first: the index is the class, so `ALL[0]` is P0.
    pub const ALL: [Priority; 4] = [Priority::Realtime, Priority::High, Priority::Medium, Priority::Low];

    /// 0 for P0 … 3 for P3.
    pub const fn class(self) -> usize {
        match self {
            Priority::Realtime => 0,
            Priority::High => 1,
            Priority::Medium => 2,
            Priority::Low => 3,
        }
    }

    /// The word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Priority::Realtime => "realtime",
            Priority::High => "high",
            Priority::Medium => "medium",
            Priority::Low => "low",
        }
    }

    /// The priority of that name.
    pub fn from_name(name: &str) -> Option<Priority> {
        Priority::ALL.into_iter().find(|p| p.name() == name)
    }
}

/// Where a caller wants a job to run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum DeviceChoice {
    /// Wherever the cost model expects it to end first.
    #[default]
    Auto,
    /// On the CPU.
    Cpu,
    /// On any GPU, or not at all.
    Gpu,
    /// On this device, or not at all.
    Id(u32),
}

impl DeviceChoice {
    /// The choice of that spelling: `auto`, `cpu`, `gpu` or a device id.
    pub fn parse(text: &str) -> Option<DeviceChoice> {
        match text {
            "auto" => Some(DeviceChoice::Auto),
            "cpu" => Some(DeviceChoice::Cpu),
            "gpu" => Some(DeviceChoice::Gpu),
            // `+7` parses as a number and is no id.
            id if id.bytes().all(|b| b.is_ascii_digit()) => id.parse().ok().map(DeviceChoice::Id),
            _ => None,
        }
    }
}

/// A database table that a result depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DependsOn {
    /// The table, schema-qualified.
    pub table: String,
    /// An opaque version token: an integer or a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<serde_json::Value>,
}

/// A time limit in milliseconds, from 1 ms to one day.
pub type TimeoutMs = u64;

/// The two shapes of a request; the answer takes the shape of its request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// Inputs and outputs under `inputs` and `result`.
    #[default]
    Envelope,
    /// Inputs and outputs at the top level.
    Flat,
}

/// What a caller asks of a job beside its inputs. Absent fields leave the choice to the service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// `priority`.
    pub priority: Option<Priority>,
    /// `timeout_ms`, counted from full receipt and including the time in the queue.
    pub timeout_ms: Option<TimeoutMs>,
    /// `cache`: look up and store, or neither.
    pub cache: Option<bool>,
    /// `depends_on`.
    pub depends_on: Vec<DependsOn>,
    /// `device`.
    pub device: DeviceChoice,
    /// `explain`: add the figures behind the placement.
    pub explain: bool,
    /// `workload_type`, which must match the route.
    pub workload_type: Option<String>,
    /// `callback_url`: who is told of the end of a task.
    pub callback_url: Option<String>,
}

/// Words at the top level of a request or an answer that no operation may use as a name.
pub const ENVELOPE_WORDS: &[&str] = &[
    "inputs",
    "priority",
    "timeout_ms",
    "cache",
    "depends_on",
    "device",
    "explain",
    "workload_type",
    "dtype",
    "callback_url",
    "max_staleness_ms",
    "gpu_time_us",
    "total_time_us",
    "cache_hit",
    "device_id",
    "request_id",
    "timings",
    "fallback",
    "computed_on",
    "explanation",
    "stale_risk",
    "task_id",
    "status",
    "progress",
    "result_url",
    "attempts",
    "created_at_ms",
    "started_at_ms",
    "finished_at_ms",
    "estimated_remaining_ms",
    "position_in_queue",
    "error",
    "message",
    "retryable",
    "details",
];

/// The words of [`Options`], for suggestions.
pub(crate) const OPTION_WORDS: &[&str] = &[
    "inputs",
    "priority",
    "timeout_ms",
    "cache",
    "depends_on",
    "device",
    "explain",
    "workload_type",
    "callback_url",
];

const MAX_TIMEOUT_MS: u64 = 86_400_000;
const MAX_DEPENDS_ON: usize = 64;
const MAX_URL_BYTES: usize = 2048;

impl Options {
    /// Sets the option `word` from its JSON text; `false` when there is no such option.
    ///
    /// # Errors
    /// When the value is not one the option takes.
    pub fn set(&mut self, word: &str, text: &[u8]) -> Result<bool, Invalid> {
        let at = |message: String| Invalid::new(format!("/{word}"), message);
        let parse = || {
            crate::json::short(text, word, crate::json::MAX_VALUE_BYTES, &format!("/{word}"))?;
            serde_json::from_slice::<serde_json::Value>(text)
                .map_err(|e| at(format!("{word} is not valid json: {}", crate::json::describe(&e))))
        };
        match word {
            "priority" => {
                let v = parse()?;
                let name = v.as_str().unwrap_or_default();
                self.priority = Some(Priority::from_name(name).ok_or_else(|| {
                    let hint = nearest(name, Priority::ALL.map(Priority::name))
                        .map(|n| format!("; did you mean {n}?"))
                        .unwrap_or_default();
                    at(format!("priority must be one of low, medium, high, realtime{hint}"))
                })?);
            }
            "timeout_ms" => {
                let v = parse()?;
                self.timeout_ms =
                    Some(v.as_u64().filter(|t| (1..=MAX_TIMEOUT_MS).contains(t)).ok_or_else(|| {
                        at(format!("timeout_ms must be an integer from 1 to {MAX_TIMEOUT_MS}"))
                    })?);
            }
            "cache" | "explain" => {
                let v = parse()?;
                let flag = v.as_bool().ok_or_else(|| at(format!("{word} must be true or false")))?;
                if word == "cache" {
                    self.cache = Some(flag);
                } else {
                    self.explain = flag;
                }
            }
            "device" => {
                let v = parse()?;
                let choice = match &v {
                    serde_json::Value::String(s) => DeviceChoice::parse(s),
                    serde_json::Value::Number(n) => {
                        n.as_u64().and_then(|n| u32::try_from(n).ok()).map(DeviceChoice::Id)
                    }
                    _ => None,
                };
                self.device =
                    choice.ok_or_else(|| at("device must be auto, cpu, gpu or a device id".into()))?;
            }
            "depends_on" => {
                let items = parse()?;
                if !items.as_array().is_some_and(|a| a.iter().all(serde_json::Value::is_object)) {
                    return Err(at("depends_on must be a list of objects".into()));
                }
                let list: Vec<DependsOn> = serde_json::from_value(items).map_err(|e| {
                    at(format!(
                        "depends_on must be a list of {{\"table\", \"version\"}}: {}",
                        crate::json::describe(&e)
                    ))
                })?;
                if list.len() > MAX_DEPENDS_ON {
                    return Err(at(format!(
                        "depends_on has {} tables, the limit is {MAX_DEPENDS_ON}",
                        list.len()
                    )));
                }
                if let Some(i) = list.iter().position(|d| {
                    d.table.is_empty()
                        || d.table.len() > 256
                        || !match &d.version {
                            None | Some(serde_json::Value::String(_)) => true,
                            Some(serde_json::Value::Number(n)) => n.is_i64() || n.is_u64(),
                            Some(_) => false,
                        }
                }) {
                    return Err(Invalid::new(
                        format!("/depends_on/{i}"),
                        "a dependency needs a table of 1 to 256 bytes and a version that is an integer or a text",
                    ));
                }
                self.depends_on = list;
            }
            "workload_type" => {
                let v = parse()?;
                self.workload_type =
                    Some(v.as_str().ok_or_else(|| at("workload_type must be a text".into()))?.to_string());
            }
            "callback_url" => {
                let v = parse()?;
                let url = v.as_str().filter(|url| !url.is_empty() && url.len() <= MAX_URL_BYTES);
                self.callback_url = Some(
                    url.ok_or_else(|| {
                        at(format!("callback_url must be a text of 1 to {MAX_URL_BYTES} bytes"))
                    })?
                    .to_string(),
                );
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}
