"""What Schemathesis is told about this service: which tenants it may change, and which failures are promised."""

import schemathesis

# Those that requests may change; the second is there to be deleted.
TENANTS = ("fuzzed", "doomed")
DEVELOPMENT = "dev"

# What the description promises beyond 499: there is no such device here, or the job never fits.
PROMISED = {"backend_unavailable": 501, "no_gpu_available": 503, "out_of_memory": 507}


@schemathesis.hook
def before_call(context, case, kwargs):
    """Names a tenant that is there in every other path, and never the one of the development key; asks for
    failures as RFC 9457 problems in some calls."""
    if len(repr(case.body)) % 4 == 0 and not any(name.lower() == "accept" for name in case.headers):
        case.headers["Accept"] = "application/problem+json, */*;q=0.5"
    tenant = case.path_parameters.get("tenant") if case.path_parameters else None
    if tenant is None:
        return
    words = str(tenant)
    if words == DEVELOPMENT or (words not in TENANTS and sum(words.encode(errors="replace")) % 2 == 0):
        deletes = case.operation.method.lower() == "delete" and "key" not in case.path_parameters
        case.path_parameters["tenant"] = TENANTS[1] if deletes else TENANTS[0]


@schemathesis.check
def promised_failure(ctx, response, case):
    """A failure has its code, its id and a status that fits; beyond 499 only what is promised."""
    if response.status_code < 400:
        return
    body = response.json()
    code = body["error"]
    assert body["message"], "a failure without a message"
    told = response.headers.get("x-request-id", [""])[0]
    assert body["request_id"] == told, f"the id is {body['request_id']}, the header says {told}"
    if response.status_code >= 500:
        assert PROMISED.get(code) == response.status_code, f"{response.status_code} {code}: {body['message']}"
    if response.status_code in (429, 503):
        assert "retry-after" in response.headers, f"{code} without Retry-After"
