"""Every operation's worked example as arrays, and what the service answers to it in JSON."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from service import Service

REAL = {"f32": np.float32, "f64": np.float64}
NUMPY = {"BOOL": np.bool_, "UINT8": np.uint8, "INT32": np.int32, "INT64": np.int64, "UINT64": np.uint64,
         "FP32": np.float32, "FP64": np.float64}  # fmt: skip


@dataclass
class Example:
    """One operation with inputs that are known to work."""

    family: str
    name: str
    tensors: dict[str, np.ndarray] = field(default_factory=dict)
    scalars: dict[str, object] = field(default_factory=dict)
    # What a JSON request of the same inputs is answered with.
    outputs: dict[str, object] = field(default_factory=dict)

    @property
    def model(self) -> str:
        return f"{self.family}.{self.name}"


def examples(service: Service) -> Iterator[Example]:
    """Those whose inputs are arrays and scalars; a structure or a file has no array to be compared."""
    for operation in service.call("GET", "/operations").json()["operations"]:
        given = dict(operation["example"]["inputs"])
        example = Example(operation["type"], operation["operation"])
        real = REAL[given.pop("dtype", "f64")]
        about = service.call("GET", f"/v2/models/{example.model}").json()
        ports = {port["name"]: port for port in about["inputs"]}
        if any(isinstance(value, dict) or name not in ports for name, value in given.items()):
            continue
        for name, value in given.items():
            if not isinstance(value, list):
                example.scalars[name] = value
                continue
            port = ports[name]
            known = port.get("parameters", {}).get("datatypes", [port["datatype"]])
            wanted = "FP32" if real is np.float32 else "FP64"
            dtype = NUMPY[wanted if wanted in known else port["datatype"]]
            example.tensors[name] = np.array(value, dtype=dtype)
        answer = service.call("POST", operation["path"].removeprefix("/api/v1"),
                              json={"inputs": operation["example"]["inputs"]})  # fmt: skip
        assert answer.status_code == 200, f"{example.model}: {answer.text}"
        result = answer.json()["result"]
        # A sole output named result stands by itself.
        example.outputs = result if isinstance(result, dict) else {"result": result}
        yield example


def same(got: np.ndarray, wanted: object, what: str) -> None:
    """The array is what JSON said; ranked answers are not compared here, their JSON leaves the padding out."""
    if isinstance(wanted, str) and got.dtype == np.uint8:
        # Bytes are base64 in JSON.
        assert got.tobytes() == base64.b64decode(wanted), what
        return
    wanted = np.array(wanted)
    assert got.size == wanted.size, f"{what} has {got.shape}, JSON has {wanted.shape}"
    if got.dtype.kind == "O":
        texts = [t.decode() if isinstance(t, bytes) else str(t) for t in got.ravel()]
        assert texts == [str(t) for t in wanted.ravel()], what
        return
    np.testing.assert_allclose(got.ravel().astype(float), wanted.ravel().astype(float), rtol=1e-6, err_msg=what)


def ranked(wanted: object) -> list[int]:
    """The rows of ranked answers, in order."""
    if isinstance(wanted, dict):
        return [wanted["idx"]] if "idx" in wanted else ranked(wanted.get("matches", []))
    return [row for one in wanted for row in ranked(one)] if isinstance(wanted, list) else []
