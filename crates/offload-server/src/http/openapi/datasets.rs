//! The datasets' part of `openapi.json`.

use super::document::{COMMON, Document, SCOPED, WITH_BODY};
use super::shapes::{answer, body, list, long, nullable, parameter, reference, request, text, up_to};
use offload_api::ErrorCode;
use serde_json::{Value as Json, json};

const FOUND: &[ErrorCode] = &[ErrorCode::NotFound];
const FRESH: &[ErrorCode] = &[ErrorCode::Conflict];
const ROOM: &[ErrorCode] = &[ErrorCode::QuotaExceeded, ErrorCode::StorageFull];
const VALID: &[ErrorCode] = &[ErrorCode::InvalidRequest];
const KEPT: &[ErrorCode] = &[ErrorCode::StaleVersion];

fn name() -> Json {
    json!({"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,128}$"})
}

fn schemas(d: &mut Document) {
    let columns = json!({"type": "object", "minProperties": 1,
        "additionalProperties": {"type": "array", "items": {}},
        "description": "A value per row: numbers, arrays of numbers of one shape, texts, or truth values."});
    let types = json!({"type": "object",
        "additionalProperties": {"type": "string", "enum": ["f32", "f64", "i32", "i64", "u8", "u64", "text"]},
        "description": "Types by column. Without one, texts are text, truth values u8, whole numbers i64, arrays f32, other numbers f64."});
    let version = up_to(i64::MAX as u64);
    let key = json!({"type": "string", "description": "The column of integers or texts whose values name the rows."});
    let mode = json!({"type": "string", "enum": ["append", "upsert", "delete"],
        "description": "upsert where the dataset has a key, else append, when absent; delete takes the key column alone"});
    let mut expected = version.clone();
    expected["description"] = "The version that the dataset must be at.".into();
    let residency = json!({"type": "string", "enum": ["memory", "mapped", "disk"]});
    let column = json!({"name": text(), "type": text(), "shape": list(&long()), "residency": residency});
    d.add(json!({
        "DatasetRows": request(&["columns"], json!({"columns": columns, "dtypes": types, "key": key, "version": expected})),
        "DatasetChange": request(&["columns"], json!({"columns": columns, "mode": mode, "version": expected})),
        "DatasetColumn": answer(column, &["residency"]),
        "Dataset": answer(json!({"name": text(), "version": long(), "rows": long(), "bytes": long(),
            "schema": list(&reference("DatasetColumn")), "key": nullable(text()), "segments": long(),
            "created_at": long(), "updated_at": long()}), &[]),
        "DatasetPage": answer(json!({"datasets": list(&reference("Dataset")), "next": nullable(text()),
            "used_bytes": long(), "limit_bytes": long()}), &[]),
    }));
}

/// Adds the datasets' calls.
pub fn add(d: &mut Document) {
    schemas(d);
    let one = parameter("path", "name", &name());
    let version = parameter("query", "version", &up_to(i64::MAX as u64));
    let if_match = parameter("header", "If-Match", &text());
    let limit = json!({"type": "integer", "minimum": 0, "description": "taken as 1 to 1000"});
    let paging = json!([parameter("query", "cursor", &text()), parameter("query", "limit", &limit)]);
    let call = |id: &str, summary: &str, about: &str, parameters: Json| {
        let mut call =
            json!({"operationId": id, "tags": ["datasets"], "summary": summary, "parameters": parameters});
        if !about.is_empty() {
            call["description"] = format!("{about}\n\nScope: `gpu:datasets`.").into();
        }
        call
    };
    let page = call("list_datasets", "The tenant's datasets", "", paging);
    d.call(("/datasets", "get"), page, (200, reference("DatasetPage")), &[COMMON, SCOPED, VALID]);
    let path = "/datasets/{name}";
    let described = call("get_dataset", "A dataset, and where its columns are", "", json!([one, version]));
    d.call((path, "get"), described, (200, reference("Dataset")), &[COMMON, SCOPED, VALID, FOUND, KEPT]);
    let about = "The rows are on the disk before the answer. A dataset that is there is replaced and its version rises.";
    let key = parameter("query", "key", &text());
    let mut put = call(
        "put_dataset",
        "Makes a dataset, or replaces its rows",
        about,
        json!([one, key, version, if_match]),
    );
    put["requestBody"] = body(&reference("DatasetRows"));
    d.call((path, "put"), put, (201, reference("Dataset")), &[COMMON, SCOPED, WITH_BODY, FOUND, FRESH, ROOM]);
    let about = "Each change makes a version; jobs that read an earlier one end on that. Replacing and removing rows writes the dataset anew, and both versions count against the quota until the earlier is read no more.";
    let mode = parameter("query", "mode", &text());
    let mut change = call(
        "change_dataset",
        "Adds, replaces or removes rows",
        about,
        json!([one, mode, version, if_match]),
    );
    change["requestBody"] = body(&reference("DatasetChange"));
    d.call(
        (path, "patch"),
        change,
        (200, reference("Dataset")),
        &[COMMON, SCOPED, WITH_BODY, FOUND, FRESH, ROOM],
    );
    let delete = call("delete_dataset", "Deletes a dataset", "", json!([one, version, if_match]));
    d.call((path, "delete"), delete, (200, reference("Deleted")), &[COMMON, SCOPED, VALID, FOUND, FRESH]);
}
