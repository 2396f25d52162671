"""Requests derived from the API description, right ones and wrong ones, by Schemathesis.

Tenants, keys and the cache are changed by these requests as well. What must outlive them is the tenant of the
development key: requests that name it in their path are turned to another one (promises.py), and the last step
asks whether the key still works.
"""

import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import requests

import promises
from service import Service
from tally import Tally

EXAMPLES = "20"
SECONDS = 600
HERE = Path(__file__).resolve().parent

CONFIG = """
[warnings]
enabled = false

[checks]
# Replaced by `promised_failure` of promises.py, which lets the 5xx of the description through and no other.
not_a_server_error.enabled = false
# Inputs of the right form may still have no answer: shapes that do not match, a table that is not there.
positive_data_acceptance.enabled = false
# promises.py may turn a request to another tenant than the one just made; `lifecycle` below asks the same.
ensure_resource_availability.enabled = false
use_after_free.enabled = false

[[operations]]
include-operation-id = "batch"
# A wrong item fails alone, within an answer of 200.
checks.negative_data_rejection.enabled = false
"""


def run(service: Service, tally: Tally, _root: Path) -> None:
    for tenant in promises.TENANTS:
        made = service.call("POST", "/tenants", json={"id": tenant})
        assert made.status_code == 201, made.text
    folder = service.folder / "fuzz"
    folder.mkdir()
    (folder / "schemathesis.toml").write_text(CONFIG, encoding="utf-8")
    words = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", folder / "schemathesis.toml",
        "run", f"{service.origin}/openapi.json", "--url", service.base,
        "--header", f"X-API-Key:{service.key}", "--generation-with-security-parameters", "false",
        "--mode", "all", "--phases", "examples,coverage,fuzzing,stateful", "--max-examples", EXAMPLES,
        "--generation-deterministic",
        "--suppress-health-check", "all", "--request-timeout", "20", "--continue-on-failure", "--no-color",
        "--warnings", "off",
    ]  # fmt: skip
    environment = os.environ | {"SCHEMATHESIS_HOOKS": "promises", "PYTHONPATH": str(HERE)}
    done = subprocess.run(
        [str(w) for w in words], cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS
    )
    cases = re.search(r"(\d+) generated", done.stdout)
    tally.note(f"{cases[1] if cases else 'no'} requests, schemathesis {importlib.metadata.version('schemathesis')}")
    with tally.step("no request breaks a promise of the description"):
        # Long values would bury what matters.
        assert done.returncode == 0, "\n".join(line[:400] for line in (done.stdout + done.stderr).splitlines())
    with tally.step("the requests were many"):
        assert cases and int(cases[1]) > 1000, done.stdout[-4_000:]
    with tally.step("the development key has outlived them"):
        answer = service.call("GET", "/tenants/dev")
        assert answer.status_code == 200, answer.text
    lifecycle(service, tally)


def lifecycle(service: Service, tally: Tally) -> None:
    """What is made is there, and what is deleted or revoked is not."""

    def status(method: str, path: str, **more) -> int:
        return service.call(method, path, **more).status_code

    def allowed(key: str) -> int:
        return requests.get(f"{service.base}/devices", headers={"X-API-Key": key}, timeout=30).status_code

    with tally.step("a tenant that was made is there until it is deleted"):
        assert status("POST", "/tenants", json={"id": "brief"}) == 201
        assert status("POST", "/tenants", json={"id": "brief"}) == 409
        assert status("GET", "/tenants/brief") == 200
    with tally.step("a key works until it is revoked, and its tokens as long"):
        wanted = {"name": "a key", "scopes": ["gpu:matrix"]}
        key = service.call("POST", "/tenants/brief/keys", json=wanted).json()
        answer = requests.post(f"{service.base}/auth/token", json={"api_key": key["api_key"]}, timeout=30)
        bearer = {"Authorization": f"Bearer {answer.json()['token']}"}
        assert allowed(key["api_key"]) == 200
        assert requests.get(f"{service.base}/devices", headers=bearer, timeout=30).status_code == 200
        assert status("DELETE", f"/tenants/brief/keys/{key['key_id']}") == 200
        assert allowed(key["api_key"]) == 401
        assert requests.get(f"{service.base}/devices", headers=bearer, timeout=30).status_code == 401
    with tally.step("a deleted tenant is gone, its keys with it"):
        key = service.call("POST", "/tenants/brief/keys", json=wanted).json()
        assert status("DELETE", "/tenants/brief") == 200
        assert status("GET", "/tenants/brief") == 404
        assert status("DELETE", "/tenants/brief") == 404
        assert allowed(key["api_key"]) == 401
