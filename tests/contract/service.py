"""Starts and stops the service."""

import os
import queue
import signal
import subprocess
import threading
import time
from pathlib import Path

import requests

START_SECONDS = 30
STOP_SECONDS = 60


class Service:
    """A running service with its development key."""

    def __init__(self, binary: Path, folder: Path) -> None:
        self.folder = folder
        self._log = folder / "log"
        words = [binary, "serve", "--dev", "--listen", "127.0.0.1:0", "--data-dir", folder / "data"]
        with self._log.open("wb") as log:
            # Receivers of callbacks speak http here, and a repetition is not to take five seconds.
            settings = {"HELIOSDB_GPU__CALLBACKS__ALLOW_HTTP": "true", "HELIOSDB_GPU__CALLBACKS__FIRST_RETRY_MS": "100"}
            self._process = subprocess.Popen(
                words, stdout=subprocess.PIPE, stderr=log, text=True, env=os.environ | settings
            )
        lines: queue.Queue[str | None] = queue.Queue()
        # Read to its end on a thread, so that a full pipe never holds the service up.
        threading.Thread(target=self._read, args=(lines,), daemon=True).start()
        self.key = self.origin = ""
        end = time.monotonic() + START_SECONDS
        while not (self.key and self.origin):
            try:
                line = lines.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                self._process.kill()
                raise SystemExit(f"the service did not start; its log ends:\n{self.log_tail()}")
            if line.startswith("api key:"):
                self.key = line.split(":", 1)[1].strip()
            elif line.startswith("listening on http://"):
                self.origin = line.split()[2].rstrip("/")
        self.base = f"{self.origin}/api/v1"

    def _read(self, lines: "queue.Queue[str | None]") -> None:
        for line in self._process.stdout or ():
            lines.put(line)
        lines.put(None)

    def log_tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-20:])

    def call(self, method: str, path: str, **rest) -> requests.Response:
        """A request with the development key; `path` is below the base path."""
        return self.call_as(self.key, method, path, **rest)

    def call_as(self, key: str, method: str, path: str, more: dict | None = None, **rest) -> requests.Response:
        """A request with this key, and more headers."""
        headers = {"X-API-Key": key} | (more or {})
        return requests.request(method, self.base + path, headers=headers, timeout=30, **rest)

    @property
    def pid(self) -> int:
        return self._process.pid

    def stop(self) -> int:
        """The exit status after SIGTERM."""
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return -signal.SIGKILL
