//! The devices: how they are, and the operator's wish to keep one out of service.

use super::AppState;
use super::exchange::Exchange;
use super::identify::{caller, caller_with};
use super::submit::blocking;
use crate::auth::ADMIN;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use offload_api::{ApiError, ErrorCode};
use offload_pipeline::engine::{DeviceState, DeviceView};
use serde_json::{Value as Json, json};

/// What a caller without the scope of administration is told.
const FOR_OPERATORS: &str = "not used; the service's log has the reason";

/// `GET /devices`.
pub async fn list(request: HttpRequest, state: Data<AppState>) -> HttpResponse {
    let mut exchange = Exchange::begin(&request);
    let caller = match caller(&state, &request, &mut exchange) {
        Ok(caller) => caller,
        Err(e) => return exchange.error(e),
    };
    // A loader's reasons name files of this machine, which are the operator's business.
    let told = caller.has(ADMIN);
    // Each device is asked how it is, and one that is ill takes its time.
    let shared = state.clone();
    let listed = blocking(move || shared.pipeline.devices().iter().map(shown).collect::<Vec<_>>()).await;
    match listed {
        Ok(devices) => {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            let absent = state.devices.absent();
            let searching = absent.is_none();
            let absent: Vec<Json> = absent
                .unwrap_or_default()
                .iter()
                .map(|a| json!({"what": a.what, "reason": if told { a.reason.as_str() } else { FOR_OPERATORS }}))
                .collect();
            let body = json!({"devices": devices, "absent": absent, "searching": searching,
                              "cpu": {"cores": cores}});
            exchange.json(200, &body)
        }
        Err(e) => exchange.error(e),
    }
}

fn shown(device: &DeviceView) -> Json {
    let d = device.host.descriptor();
    let health = if device.state == DeviceState::Up { device.host.health().ok() } else { None };
    let slices: Vec<Json> = device
        .host
        .slices()
        .into_iter()
        .map(|s| {
            json!({"uuid": s.slice.uuid, "memory_total_bytes": s.slice.memory_bytes,
                   "memory_used_bytes": s.memory_used_bytes, "units": s.slice.units, "use": s.used.name()})
        })
        .collect();
    json!({
        "id": d.id, "name": d.name, "backend": d.backend.name(), "architecture": d.architecture,
        "status": device.state.name(), "is_cpu": d.is_cpu, "software": d.software,
        "memory_total_bytes": d.memory_bytes,
        "memory_used_bytes": health.map(|h| h.memory_used_bytes),
        "utilization_percent": health.and_then(|h| h.utilization_percent),
        "temperature_celsius": health.and_then(|h| h.temperature_celsius),
        "power_watts": health.and_then(|h| h.power_watts),
        "mig": d.slices.is_some(), "slices": slices,
        "running_jobs": device.jobs, "faults": device.faults, "restarts": device.host.restarts(),
    })
}

/// `POST /devices/{device}/drain`: no new job goes there.
pub async fn drain(request: HttpRequest, path: Path<String>, state: Data<AppState>) -> HttpResponse {
    change(request, path, state, true).await
}

/// `POST /devices/{device}/resume`.
pub async fn resume(request: HttpRequest, path: Path<String>, state: Data<AppState>) -> HttpResponse {
    change(request, path, state, false).await
}

async fn change(
    request: HttpRequest,
    path: Path<String>,
    state: Data<AppState>,
    drain: bool,
) -> HttpResponse {
    let mut exchange = Exchange::begin(&request);
    let outcome = async {
        caller_with(&state, &request, &mut exchange, ADMIN)?;
        let missing =
            || ApiError::new(ErrorCode::NotFound, "there is no such device; see GET /api/v1/devices");
        let id: u32 = path.parse().map_err(|_| missing())?;
        let shared = state.clone();
        blocking(move || {
            let pipeline = &shared.pipeline;
            let known = if drain { pipeline.drain_device(id) } else { pipeline.resume_device(id) };
            let devices = pipeline.devices();
            let device = devices.iter().find(|d| known && d.host.descriptor().id == id);
            device.map(shown).ok_or_else(missing)
        })
        .await?
    }
    .await;
    match outcome {
        Ok(device) => exchange.json(200, &device),
        Err(e) => exchange.error(e),
    }
}
