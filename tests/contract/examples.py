"""Every operation's worked example as arrays, and what the service answers to it in JSON."""

import base64
import json
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
        if any(name not in ports or is_structure(value, ports[name]) for name, value in given.items()):
            continue
        for name, value in given.items():
            port = ports[name]
            if isinstance(value, str) and port["datatype"] == "UINT8":
                example.tensors[name] = np.frombuffer(base64.b64decode(value), dtype=np.uint8)
                continue
            if not isinstance(value, list):
                example.scalars[name] = value
                continue
            known = port.get("parameters", {}).get("datatypes", [port["datatype"]])
            wanted = "FP32" if real is np.float32 else "FP64"
            dtype = NUMPY[wanted if wanted in known else port["datatype"]]
            example.tensors[name] = np.array(value, dtype=dtype)
        answer = service.call("POST", operation["path"].removeprefix("/api/v1"),
                              json={"inputs": operation["example"]["inputs"]})  # fmt: skip
        assert answer.status_code == 200, f"{example.model}: {answer.text}"
        result = answer.json()["result"]
        # A sole output named result stands by itself.
        outputs = result if isinstance(result, dict) else {"result": result}
        # What an answer does not have is null in JSON and absent elsewhere.
        example.outputs = {name: value for name, value in outputs.items() if value is not None}
        yield example


def is_structure(value: object, port: dict) -> bool:
    """Whether a value is JSON that no array is made of: an object, or a list of words."""
    return isinstance(value, dict) or (isinstance(value, list) and port["datatype"] == "BYTES")


def same(got: np.ndarray, wanted: object, what: str) -> None:
    """The array is what JSON said; ranked answers are not compared here, their JSON leaves the padding out."""
    if isinstance(wanted, str) and got.dtype == np.uint8:
        # Bytes are base64 in JSON.
        assert got.tobytes() == base64.b64decode(wanted), what
        return
    if got.dtype.kind == "O":
        texts = [t.decode() if isinstance(t, bytes) else str(t) for t in got.ravel()]
        # A text, texts, or the JSON of a structure as one text.
        is_text = texts == ([wanted] if isinstance(wanted, str) else wanted)
        assert is_text or (len(texts) == 1 and json.loads(texts[0]) == wanted), what
        return
    wanted = np.array(wanted)
    assert got.size == wanted.size, f"{what} has {got.shape}, JSON has {wanted.shape}"
    np.testing.assert_allclose(got.ravel().astype(float), wanted.ravel().astype(float), rtol=1e-6, err_msg=what)


def ranked(wanted: object) -> list[int]:
    """The rows of ranked answers, in order."""
    if isinstance(wanted, dict):
        return [wanted["idx"]] if "idx" in wanted else ranked(wanted.get("matches", []))
    return [row for one in wanted for row in ranked(one)] if isinstance(wanted, list) else []
