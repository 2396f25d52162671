//! Outcomes as JSON, in the shape of their request.

use offload_api::json::{NotFinite, render, write_record, write_string};
use offload_api::{ApiError, ErrorCode, Style};
use offload_pipeline::settle::{Answer, Outcome};
use serde_json::json;
use std::io::Write;
use std::time::Instant;

/// The body of an answer.
///
/// # Errors
/// When an output cannot be carried by JSON.
pub fn answer(
    answer: &Answer,
    outcome: &Outcome,
    style: Style,
    request_id: &str,
    received: Instant,
) -> Result<Vec<u8>, ApiError> {
    let start = Instant::now();
    let mut out = Vec::with_capacity(512 + 8 * usize::try_from(answer.outputs.bytes()).unwrap_or(0) / 4);
    out.push(b'{');
    match style {
        Style::Flat => write_record(&answer.outputs, &mut out).map_err(not_finite)?,
        Style::Envelope => {
            out.extend_from_slice(b"\"result\":");
            result(answer, &mut out)?;
        }
    }
    let t = &answer.timings;
    let us = |d: std::time::Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
    let device_id = answer.device_id.map_or_else(|| "null".to_string(), |id| id.to_string());
    let total_us = us(received.elapsed()).max(answer.total_time_us);
    // Writing to a vector cannot fail.
    let _ = write!(
        out,
        ",\"gpu_time_us\":{},\"total_time_us\":{total_us},\"cache_hit\":{},\"device_id\":{device_id},\"device\":",
        answer.gpu_time_us, answer.cache_hit
    );
    write_string(if answer.cache_hit { "cache" } else { &answer.computed_on }, &mut out);
    if answer.cache_hit {
        out.extend_from_slice(b",\"computed_on\":");
        write_string(&answer.computed_on, &mut out);
    }
    if let Some(reason) = &answer.fallback {
        out.extend_from_slice(b",\"fallback\":{\"reason\":");
        write_string(reason, &mut out);
        out.push(b'}');
    }
    if let Some(priority) = outcome.priority {
        let _ = write!(out, ",\"priority\":\"{}\"", priority.name());
    }
    if let Some(explanation) = &answer.explanation {
        let _ = write!(out, ",\"explanation\":{explanation}");
    }
    out.extend_from_slice(b",\"request_id\":");
    write_string(request_id, &mut out);
    let _ = write!(
        out,
        ",\"timings\":{{\"queue_us\":{},\"decode_us\":{},\"upload_us\":{},\"compute_us\":{},\"download_us\":{},\"encode_us\":{}}}}}",
        t.queue_us,
        t.decode_us,
        t.upload_us,
        t.compute_us,
        t.download_us,
        us(start.elapsed())
    );
    Ok(out)
}

/// The members `"name":value,…` of what an answer says beside its outputs, every value a text, a number or a truth
/// value, as protocols with flat parameters want it. `start` is when encoding began.
pub fn parameters(
    answer: &Answer,
    outcome: &Outcome,
    request_id: &str,
    received: Instant,
    start: Instant,
    out: &mut Vec<u8>,
) {
    let t = &answer.timings;
    let us = |d: std::time::Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
    let total_us = us(received.elapsed()).max(answer.total_time_us);
    // Writing to a vector cannot fail.
    let _ = write!(
        out,
        "\"gpu_time_us\":{},\"total_time_us\":{total_us},\"cache_hit\":{},\"queue_us\":{},\"decode_us\":{},\"upload_us\":{},\"compute_us\":{},\"download_us\":{},\"encode_us\":{}",
        answer.gpu_time_us,
        answer.cache_hit,
        t.queue_us,
        t.decode_us,
        t.upload_us,
        t.compute_us,
        t.download_us,
        us(start.elapsed())
    );
    if let Some(id) = answer.device_id {
        let _ = write!(out, ",\"device_id\":{id}");
    }
    let explanation = answer.explanation.as_ref().map(ToString::to_string);
    let device = if answer.cache_hit { "cache" } else { &answer.computed_on };
    let texts = [
        ("device", Some(device)),
        ("computed_on", answer.cache_hit.then_some(answer.computed_on.as_str())),
        ("fallback", answer.fallback.as_deref()),
        ("priority", outcome.priority.map(offload_api::Priority::name)),
        ("explanation", explanation.as_deref()),
        ("request_id", Some(request_id)),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            let _ = write!(out, ",\"{name}\":");
            write_string(text, out);
        }
    }
}

/// The value of `result`: the object of named outputs, except that a sole output named `result` is unwrapped.
fn result(answer: &Answer, out: &mut Vec<u8>) -> Result<(), ApiError> {
    let mut outputs = answer.outputs.iter();
    if let (Some(("result", value)), None) = (outputs.next(), outputs.next()) {
        return render("result", value, out).map_err(not_finite);
    }
    out.push(b'{');
    write_record(&answer.outputs, out).map_err(not_finite)?;
    out.push(b'}');
    Ok(())
}

/// The body of a batch's answer.
pub fn batch(outcomes: &[Outcome], request_id: &str, received: Instant) -> Vec<u8> {
    let mut out = b"{\"results\":[".to_vec();
    for (index, outcome) in outcomes.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        item(index, outcome, &mut out);
    }
    // Writing to a vector cannot fail.
    let _ = write!(out, "],\"total_time_us\":{},\"request_id\":", received.elapsed().as_micros());
    write_string(request_id, &mut out);
    out.push(b'}');
    out
}

/// One item of a batch's answer.
fn item(index: usize, outcome: &Outcome, out: &mut Vec<u8>) {
    let error = match &outcome.result {
        Err(e) => e.clone(),
        Ok(answer) => {
            let start = out.len();
            let _ = write!(out, "{{\"index\":{index},\"result\":");
            match result(answer, out) {
                Ok(()) => {
                    let _ = write!(
                        out,
                        ",\"gpu_time_us\":{},\"cache_hit\":{},\"device\":",
                        answer.gpu_time_us, answer.cache_hit
                    );
                    write_string(if answer.cache_hit { "cache" } else { &answer.computed_on }, out);
                    if let Some(reason) = &answer.fallback {
                        out.extend_from_slice(b",\"fallback\":{\"reason\":");
                        write_string(reason, out);
                        out.push(b'}');
                    }
                    out.push(b'}');
                    return;
                }
                Err(e) => {
                    out.truncate(start);
                    e
                }
            }
        }
    };
    let _ = write!(out, "{}", json!({"index": index, "error": error}));
}

fn not_finite(e: NotFinite) -> ApiError {
    ApiError::new(ErrorCode::Unprocessable, e.to_string())
        .with_details(json!({"reason": "not_finite", "output": e.output}))
}
