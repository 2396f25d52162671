"""The API description: valid, and the one that is committed."""

import json
from pathlib import Path

import requests
from openapi_spec_validator import OpenAPIV30SpecValidator

from service import Service
from tally import Tally

NAME = "openapi.json"


def fetched(service: Service) -> dict:
    answer = requests.get(f"{service.origin}/openapi.json", timeout=30)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json", answer.headers
    return answer.json()


def pretty(document: dict) -> str:
    # Sorted, so that a change of order in the code is no change of the file.
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def update(service: Service, root: Path) -> None:
    (root / NAME).write_text(pretty(fetched(service)), encoding="utf-8")
    print(f"wrote {NAME}")


def run(service: Service, tally: Tally, root: Path) -> None:
    document = fetched(service)
    tally.note(f"{len(document['paths'])} paths, {len(document['components']['schemas'])} schemas")
    with tally.step("it is valid OpenAPI 3.0.3"):
        assert document["openapi"] == "3.0.3", document["openapi"]
        errors = [f"{'/'.join(map(str, e.absolute_path))}: {e.message}"
                  for e in OpenAPIV30SpecValidator(document).iter_errors()]
        assert not errors, "\n".join(errors[:20])
    with tally.step("it is the committed one"):
        same = (root / NAME).read_text(encoding="utf-8") == pretty(document)
        assert same, f"{NAME} is not what the service says; write it anew with --update"
    with tally.step("it stands below the base path as well"):
        assert service.call("GET", "/openapi.json").json() == document
    with tally.step("every call has an id of its own and says how it fails"):
        calls = [c for path in document["paths"].values() for c in path.values()]
        ids = [c["operationId"] for c in calls]
        assert len(ids) == len(set(ids)), sorted(ids)
        silent = [c["operationId"] for c in calls if "500" not in c["responses"]]
        assert not silent, silent
