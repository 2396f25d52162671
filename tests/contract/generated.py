"""A client that openapi-generator makes from the description, used as its users would."""

import importlib
import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

from service import Service
from tally import Tally

PACKAGE = "offload_client"
# What generated code imports, beside what the suites need themselves.
NEEDED = {"python-dateutil": "2.9.0.post0", "pydantic": "2.14.3", "urllib3": "2.8.0", "typing-extensions": "4.16.0"}


def generate(service: Service) -> Path:
    """The folder that holds the generated package."""
    out = service.folder / "generated"
    words = [
        Path(sys.executable).with_name("openapi-generator-cli"), "generate", "-g", "python", "-o", out,
        "-i", f"{service.origin}/openapi.json", "--additional-properties", f"packageName={PACKAGE}",
    ]  # fmt: skip
    environment = os.environ | {"JAVA_OPTS": "-Dlog.level=warn"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    errors = [line for line in (done.stdout + done.stderr).splitlines() if " ERROR " in line]
    assert not errors, "\n".join(errors)
    return out


def install_missing() -> None:
    missing = []
    for name, version in NEEDED.items():
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(f"{name}=={version}")
    if missing:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
        subprocess.run([*pip, *missing], check=True, timeout=120)
        importlib.invalidate_caches()


def run(service: Service, tally: Tally, _root: Path) -> None:
    folder = generate(service)
    install_missing()
    sys.path.insert(0, str(folder))
    client = importlib.import_module(PACKAGE)
    models = list((folder / PACKAGE / "models").glob("*.py"))
    tally.note(f"{len(models) - 1} models, generator {importlib.metadata.version('openapi-generator-cli')}")

    with client.ApiClient(client.Configuration(host=service.base)) as connection:
        token = None
        with tally.step("it gets a token"):
            answer = client.AuthApi(connection).token(client.TokenRequest(api_key=service.key))
            token = answer.token
            assert answer.expires_in == 3600, answer

    configuration = client.Configuration(host=service.base, access_token=token)
    with client.ApiClient(configuration) as connection:
        matrix, about = client.MatrixApi(connection), client.ServiceApi(connection)
        stack = client.MatrixOrStack
        inputs = {"a": stack([[1, 2], [3, 4]]), "b": stack([[5, 6], [7, 8]]), "dtype": "f32"}

        with tally.step("it multiplies with the inputs at the top level"):
            asked = client.MatrixMultiplyFlat(**inputs, priority="high")
            answer = matrix.matrix_multiply(client.MatrixMultiplyRequest(asked))
            assert answer.result.actual_instance == [[19, 22], [43, 50]], answer
            assert answer.gpu_time_us == 0 and answer.device in ("cpu", "cache"), answer
        with tally.step("it multiplies with an envelope"):
            asked = client.MatrixMultiplyEnvelope(inputs=client.MatrixMultiplyInputs(**inputs), cache=False, device="cpu")
            answer = matrix.matrix_multiply(client.MatrixMultiplyRequest(asked))
            assert answer.result.actual_instance == [[19, 22], [43, 50]], answer
            assert answer.cache_hit is False and answer.timings.compute_us >= 0, answer
        with tally.step("it takes a request as a dictionary"):
            plain = {"a": [[[1, 2], [3, 4]]], "b": [[5, 6], [7, 8]]}
            answer = matrix.matrix_multiply(client.MatrixMultiplyRequest.from_dict(plain))
            assert answer.result.actual_instance == [[[19, 22], [43, 50]]], answer
        with tally.step("several outputs come in the shape of the request"):
            a = stack([[3, 0], [0, 2]])
            answer = matrix.matrix_svd(client.MatrixSvdRequest(client.MatrixSvdFlat(a=a))).actual_instance
            assert isinstance(answer, client.MatrixSvdFlatAnswer), type(answer)
            assert answer.s.actual_instance == [3, 2], answer
            asked = client.MatrixSvdEnvelope(inputs=client.MatrixSvdInputs(a=a))
            answer = matrix.matrix_svd(client.MatrixSvdRequest(asked)).actual_instance
            assert isinstance(answer, client.MatrixSvdEnvelopeAnswer), type(answer)
            assert answer.result.s.actual_instance == [3, 2], answer
        with tally.step("a batch answers each item"):
            items = [client.BatchItem(type="matrix", operation="multiply", inputs=plain),
                     client.BatchItem(type="matrix", operation="inverse", inputs={"a": [[1, 1], [1, 1]]})]
            answer = client.WorkloadsApi(connection).batch(client.BatchRequest(workloads=items))
            assert answer.results[0].result == [[[19, 22], [43, 50]]], answer
            assert answer.results[1].error.error == "unprocessable", answer
        with tally.step("it is told that the service is ready"):
            assert about.ready().status == "ready"
        with tally.step("it lists the operations"):
            names = [f"{o.type}/{o.operation}" for o in about.operations().operations]
            assert "matrix/multiply" in names, names
        with tally.step("a singular matrix is a 422 whose body is an object"):
            asked = client.MatrixInverseRequest(client.MatrixInverseFlat(a=stack([[1, 2], [2, 4]])))
            try:
                answer = matrix.matrix_inverse(asked)
            except client.ApiException as why:
                assert why.status == 422, why
                assert isinstance(why.data, client.Error), repr(why.data)
                assert why.data.error == "unprocessable" and why.data.retryable is False, why.data
                assert why.data.message and why.data.details.get("reason"), why.data
                assert why.data.request_id == why.headers["x-request-id"], why.data
            else:
                raise AssertionError(answer)
        with tally.step("without a token it is a 401"):
            try:
                configuration.access_token = None
                about.devices()
            except client.ApiException as why:
                assert why.status == 401 and why.data.error == "unauthenticated", why
            else:
                raise AssertionError("it was answered")
