//! Tenants, keys and the audit log.

use super::document::{COMMON, Document, SCOPED, WITH_BODY};
use super::shapes::{
    answer, body, extend, label, long, nullable, page, parameter, reference, request, text, up_to,
};
use offload_api::ErrorCode;
use serde_json::{Value as Json, json};

pub(super) fn admin_schemas(d: &mut Document) {
    let largest = i64::MAX as u64;
    let (bytes, count) = (up_to(largest), up_to(u32::MAX.into()));
    let flag = json!({"type": "boolean"});
    let family = json!({"type": "string", "pattern": "^[a-z0-9_]{1,64}$"});
    let tenant = json!({"id": {"type": "string", "pattern": "^[a-z0-9_-]{1,64}$"}, "name": label(),
                        "suspended": flag, "quota": reference("Quota")});
    let mut stored = request(&["id"], tenant.clone());
    extend(&mut stored, json!({"revision": up_to(largest), "created_at": up_to(largest)}));
    let scope = json!({"type": "string", "enum": crate::auth::known_scopes()});
    let scopes = json!({"type": "array", "maxItems": 64, "items": scope});
    let key = json!({"key_id": text(), "tenant_id": text(), "user_id": text(), "name": text(), "scopes": scopes,
                     "last_four": text(), "created_at": long(), "expires_at": nullable(long()),
                     "revoked_at": nullable(long())});
    let mut created = answer(key.clone(), &[]);
    extend(&mut created, json!({"api_key": text()}));
    let schemas = json!({
        "Quota": request(&[], json!({
            "max_device_memory_bytes": bytes, "max_host_memory_bytes": bytes, "max_concurrent_tasks": count,
            "max_queued_tasks": count, "max_requests_per_minute": count, "max_dataset_bytes": bytes,
            "allowed_families": {"type": "array", "maxItems": 64, "items": family, "nullable": true},
            "callback_hosts": {"type": "array", "maxItems": 256, "nullable": true,
                               "items": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"}},
            "isolation": {"type": "string", "enum": ["shared", "process", "mig"]},
            "max_priority": reference("Priority")})),
        "NewTenant": request(&["id"], tenant),
        "TenantUpdate": stored,
        "Tenant": answer(stored["properties"].clone(), &[]),
        "TenantPage": page("tenants", "Tenant"),
        "Deleted": answer(json!({"deleted": flag}), &[]),
        "NewKey": request(&["name", "scopes"], json!({"name": label(), "user_id": label(), "scopes": scopes,
                                                      "expires_at": nullable(up_to(largest))})),
        "Key": answer(key, &[]),
        "CreatedKey": created,
        "KeyPage": page("keys", "Key"),
        "AuditRecord": answer(json!({"at_us": long(), "request_id": text(), "tenant_id": text(), "user_id": text(),
            "key_id": text(), "workload_type": text(), "workload_hash": text(), "priority": reference("Priority"),
            "status": {"type": "integer"}, "error": nullable(text()), "gpu_time_us": long(),
            "total_time_us": long(), "queue_us": long(), "cache_hit": flag, "device_id": nullable(long()),
            "device": text(), "bytes_in": long(), "bytes_out": long(), "node": text()}), &[]),
        "AuditPage": page("records", "AuditRecord"),
    });
    d.add(schemas);
}

pub(super) fn admin_paths(d: &mut Document) {
    let limit = json!({"type": "integer", "minimum": 0, "description": "taken as 1 to 1000"});
    let time = up_to(i64::MAX as u64);
    let status = json!({"type": "integer", "minimum": 0, "maximum": u16::MAX});
    let paging = [parameter("query", "cursor", &text()), parameter("query", "limit", &limit)];
    let [tenant, key] = ["tenant", "key"].map(|name| parameter("path", name, &text()));
    let one = [tenant.clone()];
    let both = [tenant.clone(), key];
    let listed = [&one[..], &paging].concat();
    let mut filters = vec![
        parameter("query", "tenant_id", &text()),
        parameter("query", "from_us", &time),
        parameter("query", "until_us", &time),
        parameter("query", "workload_type", &text()),
        parameter("query", "status", &status),
    ];
    filters.extend(paging.clone());
    let found: &[ErrorCode] = &[ErrorCode::NotFound];
    let valid: &[ErrorCode] = &[ErrorCode::InvalidRequest];
    let fresh: &[ErrorCode] = &[ErrorCode::Conflict];
    let mut call = |method: &str,
                    path: &str,
                    id: &str,
                    more: (&str, &[Json], &str),
                    status,
                    answered: &str,
                    codes: &[&[ErrorCode]]| {
        let (summary, parameters, asked) = more;
        let mut call = json!({"operationId": id, "tags": ["admin"], "summary": summary});
        if !parameters.is_empty() {
            call["parameters"] = parameters.into();
        }
        if !asked.is_empty() {
            call["requestBody"] = body(&reference(asked));
        }
        d.call((path, method), call, (status, reference(answered)), &[&[COMMON, SCOPED], codes].concat());
    };
    let all = "/tenants";
    call("get", all, "list_tenants", ("The tenants", &paging, ""), 200, "TenantPage", &[valid]);
    let about = ("A new tenant", &[][..], "NewTenant");
    call("post", all, "create_tenant", about, 201, "Tenant", &[WITH_BODY, fresh]);
    let path = "/tenants/{tenant}";
    call("get", path, "get_tenant", ("A tenant", &one, ""), 200, "Tenant", &[found]);
    let about = ("Changes a tenant; the revision must be the one that was read", &one[..], "TenantUpdate");
    call("put", path, "update_tenant", about, 200, "Tenant", &[WITH_BODY, found, fresh]);
    let about = ("Deletes a tenant and its keys", &one[..], "");
    call("delete", path, "delete_tenant", about, 200, "Deleted", &[found, fresh]);
    let path = "/tenants/{tenant}/keys";
    call("get", path, "list_keys", ("A tenant's keys", &listed, ""), 200, "KeyPage", &[found, valid]);
    let about = ("A new key; its text is shown this once", &one[..], "NewKey");
    call("post", path, "create_key", about, 201, "CreatedKey", &[WITH_BODY, found, fresh]);
    let about = ("Revokes a key and its tokens", &both[..], "");
    call("delete", "/tenants/{tenant}/keys/{key}", "revoke_key", about, 200, "Key", &[found]);
    let about = ("The audit log, newest first", &filters[..], "");
    call("get", "/audit", "audit", about, 200, "AuditPage", &[valid]);
    let device = [parameter("path", "device", &long())];
    for (word, about) in [
        ("drain", "Takes a device out of service: it gets no new job, and what runs there ends"),
        ("resume", "Takes a drained device into service again"),
    ] {
        let (path, id) = (format!("/devices/{{device}}/{word}"), format!("{word}_device"));
        call("post", &path, &id, (about, &device, ""), 200, "Device", &[found]);
    }
}
