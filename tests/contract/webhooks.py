"""Callbacks, received and verified by the reference library of Standard Webhooks."""

import importlib.metadata
import json
import queue
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from service import Service
from tally import Tally

TENANT = "webhooks"
SECONDS = 30


class Receiver(HTTPServer):
    """Puts every request it gets into a queue and answers with the next status."""

    def __init__(self, statuses: list[int]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.statuses = statuses
        self.got: queue.Queue[tuple[dict, bytes]] = queue.Queue()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/gpu/callback"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.put((dict(self.headers.items()), body))
        statuses = self.server.statuses
        self.send_response(statuses.pop(0) if len(statuses) > 1 else statuses[0])
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_args) -> None:
        pass


def run(service: Service, tally: Tally, _root) -> None:
    tally.note(f"standardwebhooks {importlib.metadata.version('standardwebhooks')}")
    quota = {"callback_hosts": ["127.0.0.1"]}
    made = service.call("POST", "/tenants", json={"id": TENANT, "quota": quota})
    assert made.status_code == 201, made.text
    key = service.call("POST", f"/tenants/{TENANT}/keys", json={"name": "w", "scopes": ["gpu:matrix"]}).json()
    secret = service.call("POST", f"/tenants/{TENANT}/webhook-secret").json()["secret"]

    def submit(operation: str, inputs: dict, receiver: Receiver) -> str:
        body = {"inputs": inputs, "callback_url": receiver.url()}
        path = f"/workloads/matrix/{operation}/async"
        promise = service.call_as(key["api_key"], "POST", path, json=body)
        assert promise.status_code == 202, promise.text
        return promise.json()["task_id"]

    with tally.step("a completed task is told and its signature verifies"):
        receiver = Receiver([204])
        task = submit("multiply", {"a": [[1, 2], [3, 4]], "b": [[5, 6], [7, 8]]}, receiver)
        headers, body = receiver.got.get(timeout=SECONDS)
        told = Webhook(secret).verify(body, headers)
        assert (told["task_id"], told["status"], told["result"]) == (task, "completed", [[19, 22], [43, 50]]), told
    with tally.step("a body that was changed, another secret and another id do not verify"):
        other = service.call("POST", f"/tenants/{TENANT}/webhook-secret").json()["secret"]
        forged = headers | {"webhook-id": "msg_other"}
        for case in ((secret, body + b" ", headers), (other, body, headers), (secret, body, forged)):
            try:
                Webhook(case[0]).verify(case[1], case[2])
            except WebhookVerificationError:
                continue
            raise AssertionError("it verified")
    with tally.step("a failed task is told, after a receiver that failed, under the same id and the new secret"):
        receiver = Receiver([500, 200])
        task = submit("inverse", {"a": [[1, 2], [2, 4]]}, receiver)
        first, again = receiver.got.get(timeout=SECONDS), receiver.got.get(timeout=SECONDS)
        assert first[0]["webhook-id"] == again[0]["webhook-id"] and first[1] == again[1]
        told = Webhook(other).verify(again[1], again[0])
        assert (told["task_id"], told["status"], told["error"]["error"]) == (task, "failed", "unprocessable"), told
        assert json.loads(first[1]) == told
