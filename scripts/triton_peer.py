#!/usr/bin/env python3
"""A Triton server with the model `dot`, as the peer of `heliosdb-gpu-offload bench --only service --triton ADDRESS`.

    python -m venv target/triton && target/triton/bin/pip install "numpy<2"   # the stub reads NumPy 1 arrays
    target/triton/bin/pip install --no-deps nvidia-pytriton==0.7.0
    target/triton/bin/python scripts/triton_peer.py

Prints `listening on ADDRESS` and serves until it is ended. The wheel holds NVIDIA's own server with its Python backend; the
published image needs a container registry. The model multiplies [1, 128] by [128, 1] in NumPy, one instance of it, no batching.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.request
from importlib.util import find_spec
from pathlib import Path

MODEL = '''
import sys

sys.path.insert(0, PACKAGES)  # the backend's Python does not look there
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        answers = []
        for request in requests:
            a, b = (pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in ("a", "b"))
            answers.append(pb_utils.InferenceResponse([pb_utils.Tensor("result", a @ b)]))
        return answers
'''
CONFIG = '''
name: "dot"
backend: "python"
max_batch_size: 0
input [ { name: "a" data_type: TYPE_FP64 dims: [ 1, 128 ] }, { name: "b" data_type: TYPE_FP64 dims: [ 128, 1 ] } ]
output [ { name: "result" data_type: TYPE_FP64 dims: [ 1, 1 ] } ]
instance_group [ { count: 1 kind: KIND_CPU } ]
'''
START_SECONDS = 60


def prepared(folder: Path, server: Path, packages: Path) -> None:
    """The model's repository, and the backend with the stub of this Python."""
    model = folder / "models/dot"
    (model / "1").mkdir(parents=True)
    (model / "1/model.py").write_text(MODEL.replace("PACKAGES", repr(str(packages))))
    (model / "config.pbtxt").write_text(CONFIG)
    shutil.copytree(server / "backends", folder / "backends")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for stub in (server / "python_backend_stubs" / version).iterdir():
        shutil.copy(stub, folder / "backends/python" / stub.name)


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def main() -> None:
    package = Path(find_spec("pytriton").origin).parent
    server, port = package / "tritonserver", free_port()
    with tempfile.TemporaryDirectory(prefix="triton-") as name:
        folder = Path(name)
        prepared(folder, server, package.parent)
        libraries = [package.parent / "nvidia_pytriton.libs", sysconfig.get_config_var("LIBDIR")]
        environment = os.environ | {"LD_LIBRARY_PATH": ":".join(map(str, libraries))}
        words = [server / "bin/tritonserver", f"--model-repository={folder / 'models'}", f"--backend-directory={folder / 'backends'}",
                 f"--http-port={port}", "--http-address=127.0.0.1", "--allow-grpc=false", "--allow-metrics=false",
                 "--disable-auto-complete-config"]  # fmt: skip
        process = subprocess.Popen(words, env=environment)
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        try:
            end = time.monotonic() + START_SECONDS
            while True:
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/models/dot/ready", timeout=1):
                        break
                except OSError:
                    if process.poll() is not None or time.monotonic() > end:
                        raise SystemExit("Triton did not start; its log is above") from None
                    time.sleep(0.2)
            print(f"listening on 127.0.0.1:{port}", flush=True)
            process.wait()
        except KeyboardInterrupt:
            pass
        finally:
            process.terminate()
            process.wait()


main()
