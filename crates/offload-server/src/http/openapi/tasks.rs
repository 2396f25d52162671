//! Tasks and callbacks.

use super::document::{COMMON, Document, SCOPED, SUBMISSION, WITH_BODY};
use super::shapes::{answer, body, long, page, parameter, reference, text};
use offload_api::ErrorCode;
use serde_json::{Value as Json, json};

fn schemas(d: &mut Document) {
    let status = json!({"type": "string",
                        "enum": ["queued", "running", "completed", "failed", "cancelled", "dead_letter"]});
    let fraction = json!({"type": "number", "minimum": 0, "maximum": 1});
    let task = answer(
        json!({"task_id": text(), "status": status, "progress": fraction, "workload_type": text(),
               "priority": reference("Priority"), "gpu_time_us": long(), "attempts": long(),
               "created_at_ms": long(), "started_at_ms": long(), "finished_at_ms": long(),
               "estimated_remaining_ms": long(), "position_in_queue": long(), "error": reference("Error"),
               "result_url": text(),
               "result": {"description": "a completed envelope's result; other shapes have their own fields"},
               "results": {"type": "array", "items": reference("BatchOutcome")}}),
        &[
            "priority",
            "gpu_time_us",
            "started_at_ms",
            "finished_at_ms",
            "estimated_remaining_ms",
            "position_in_queue",
            "error",
            "result_url",
            "result",
            "results",
        ],
    );
    let promise = json!({"task_id": text(), "status": status, "estimated_completion_ms": long(),
                         "position_in_queue": long(), "priority": reference("Priority"), "request_id": text()});
    d.add(json!({
        "Submission": {"type": "object",
                       "properties": {"callback_url": {"type": "string", "minLength": 1, "maxLength": 2048}},
                       "description": "what the operation, or a batch, takes; and where its end is to be told"},
        "Promise": answer(promise, &[]),
        "Task": task,
        "TaskPage": page("tasks", "Task"),
        "Ticket": answer(json!({"ticket": text(), "expires_in": long()}), &[]),
        "DeadCallback": answer(json!({"webhook_id": text(), "tenant_id": text(), "task_id": text(),
                                      "attempts": long(), "at_ms": long(), "error": text()}), &[]),
        "DeadCallbackPage": page("callbacks", "DeadCallback"),
        "WebhookSecret": answer(json!({"secret": text()}), &[]),
    }));
}

pub(super) fn paths(d: &mut Document) {
    schemas(d);
    let key = json!({"type": "string", "minLength": 1, "maxLength": 256, "pattern": "^[ -~]+$"});
    let idempotency = parameter("header", "Idempotency-Key", &key);
    let word = json!({"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[a-z0-9_]+$"});
    let (family, operation) = (parameter("path", "type", &word), parameter("path", "operation", &word));
    let unknown: &[ErrorCode] = &[ErrorCode::UnknownOperation, ErrorCode::StorageFull];
    for (path, id, about, parameters) in [
        (
            "/workloads/{type}/{operation}/async",
            "submit_task",
            "Runs an operation as a task",
            json!([family, operation, idempotency]),
        ),
        ("/workloads/batch/async", "submit_batch_task", "Runs a batch as a task", json!([idempotency])),
    ] {
        let call = json!({"operationId": id, "tags": ["tasks"], "summary": about, "parameters": parameters,
            "description": "The body is the same as without `/async`, in JSON; an operation also takes an inference request with \
                binary tensors (`Inference-Header-Content-Length`), and answers it in JSON. With `callback_url` the end is told there, signed \
                            as Standard Webhooks has it. The same `Idempotency-Key` with the same body is the same task.",
            "requestBody": body(&reference("Submission"))});
        d.call(
            (path, "post"),
            call,
            (202, reference("Promise")),
            &[COMMON, SCOPED, WITH_BODY, SUBMISSION, unknown],
        );
    }
    let one = json!([parameter("path", "task", &text())]);
    let limit = json!({"type": "integer", "minimum": 0, "description": "taken as 1 to 1000"});
    let paging = [parameter("query", "cursor", &text()), parameter("query", "limit", &limit)];
    let status = json!({"type": "string",
                        "enum": ["queued", "running", "completed", "failed", "cancelled", "dead_letter"]});
    let mut filters = vec![parameter("query", "status", &status), parameter("query", "type", &text())];
    filters.extend(paging.clone());
    let invalid: &[ErrorCode] = &[ErrorCode::InvalidRequest];
    let found: &[ErrorCode] = &[ErrorCode::NotFound];
    let conflict: &[ErrorCode] = &[ErrorCode::Conflict];
    let stored: &[ErrorCode] = &[ErrorCode::StorageFull];
    let mut call = |method: &str,
                    path: &str,
                    id: &str,
                    about: &str,
                    parameters: &Json,
                    answered: Json,
                    codes: &[&[ErrorCode]]| {
        let call = json!({"operationId": id, "tags": ["tasks"], "summary": about, "parameters": parameters});
        d.call((path, method), call, (200, answered), &[&[COMMON], codes].concat());
    };
    call(
        "get",
        "/tasks",
        "list_tasks",
        "One's own tasks, newest first",
        &json!(filters),
        reference("TaskPage"),
        &[invalid],
    );
    let path = "/tasks/{task}";
    call("get", path, "get_task", "A task as it is now", &one, reference("Task"), &[found]);
    call(
        "delete",
        path,
        "cancel_task",
        "Cancels a task",
        &one,
        reference("Task"),
        &[found, conflict, stored],
    );
    let any = json!({"type": "object"});
    call(
        "get",
        "/tasks/{task}/result",
        "task_result",
        "A task's result, however large",
        &one,
        any,
        &[found, conflict],
    );
    let path = "/tasks/{task}/retry";
    call(
        "post",
        path,
        "retry_task",
        "Queues a dead letter again",
        &one,
        reference("Task"),
        &[found, conflict, stored],
    );
    let about = "What a browser follows a task with, as its EventSource and WebSocket send no headers";
    call("post", "/tasks/{task}/ticket", "task_ticket", about, &one, reference("Ticket"), &[found]);
    let about = "Callbacks that were given up: of all tenants for an administrator, else one's own";
    call(
        "get",
        "/dead-letters",
        "dead_letters",
        about,
        &json!(paging),
        reference("DeadCallbackPage"),
        &[invalid],
    );
    let followed =
        json!([one[0], parameter("query", "ticket", &text()), parameter("header", "Last-Event-ID", &text())]);
    let about = "A task's progress and end as server-sent events";
    let path = "/tasks/{task}/stream";
    call("get", path, "follow_task", about, &followed, text(), &[found, invalid]);
    d.paths[path]["get"]["responses"]["200"]["content"] = json!({"text/event-stream": {"schema": text()}});
    d.paths[path]["get"]["responses"]["204"] =
        json!({"description": "Everything was told before `Last-Event-ID`"});
    let path = "/tasks/{task}/ws";
    let call = json!({"operationId": "task_socket", "tags": ["tasks"], "summary": "The same over a web socket",
                      "parameters": [one[0], parameter("query", "ticket", &text())]});
    d.call((path, "get"), call, (101, text()), &[COMMON, found, invalid]);
    let responses = &mut d.paths[path]["get"]["responses"];
    responses["101"] = json!({"description": "The protocol is switched; each message is an event's data"});
    let call = json!({"operationId": "webhook_secret", "tags": ["admin"],
        "summary": "A new secret for a tenant's callbacks, shown this once", "parameters": [parameter("path", "tenant", &text())]});
    d.call(
        ("/tenants/{tenant}/webhook-secret", "post"),
        call,
        (201, reference("WebhookSecret")),
        &[COMMON, SCOPED, found, stored],
    );
}
