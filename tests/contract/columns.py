"""Arrow streams that PyArrow writes, and answers that it reads."""

import json

import numpy as np
import pyarrow as pa
import requests

from examples import examples, ranked, same
from service import Service
from tally import Tally

MEDIA = "application/vnd.apache.arrow.stream"
SEED = 20_260_102


def column(array: np.ndarray) -> pa.Array:
    """Rows of the first extent, lists of fixed sizes within them."""
    values = pa.array(array.ravel())
    for axis in range(array.ndim - 1, 0, -1):
        values = pa.FixedSizeListArray.from_arrays(values, array.shape[axis])
    return values


def stream(table: pa.Table, rows: int | None = None) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=rows)
    return sink.getvalue().to_pybytes()


def array(column: pa.ChunkedArray) -> np.ndarray:
    one = column.combine_chunks()
    extents = [len(one)]
    while pa.types.is_fixed_size_list(one.type):
        extents.append(one.type.list_size)
        one = one.flatten()
    if pa.types.is_string(one.type):
        return np.array(one.to_pylist(), dtype=object)
    return one.to_numpy(zero_copy_only=False).reshape(extents)


def read(body: bytes) -> tuple[dict[str, np.ndarray], dict[bytes, bytes]]:
    """The columns of every stream, and the metadata of the first."""
    source, columns, metadata = pa.BufferReader(body), {}, None
    while source.tell() < len(body):
        table = pa.ipc.open_stream(source).read_all()
        metadata = metadata or table.schema.metadata
        columns |= {name: array(table[name]) for name in table.column_names}
    return columns, metadata or {}


def ask(service: Service, path: str, body: bytes, query: dict | None = None, **headers: str) -> requests.Response:
    words = {k: v if isinstance(v, str) else json.dumps(v) for k, v in (query or {}).items()}
    headers = {"X-API-Key": service.key, "Content-Type": MEDIA, "Accept": MEDIA} | headers
    return requests.post(f"{service.base}/workloads/{path}", data=body, params=words, headers=headers, timeout=30)


def answered(response: requests.Response) -> dict[str, np.ndarray]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == MEDIA, response.headers
    return read(response.content)[0]


def run(service: Service, tally: Tally, _root) -> None:
    tally.note(f"pyarrow {pa.__version__}")
    random = np.random.default_rng(SEED)
    a, b = random.standard_normal((40, 30)), random.standard_normal((30, 20))
    parts = [stream(pa.table({name: column(array)})) for name, array in (("a", a), ("b", b))]
    with tally.step("streams behind each other are inputs, and the answer is a stream with its timings"):
        response = ask(service, "matrix/multiply", b"".join(parts), {"cache": False})
        got = answered(response)["result"]
        np.testing.assert_allclose(got, a @ b, rtol=0, atol=1e-12 * 30)
        metadata = read(response.content)[1]
        assert metadata[b"gpu_time_us"] == b"0" and metadata[b"cache_hit"] == b"false", metadata
        assert int(metadata[b"compute_us"]) >= 0, metadata
    with tally.step("several record batches are one tensor"):
        table = pa.table({"a": column(a)})
        got = answered(ask(service, "matrix/transpose", stream(table, rows=7)))["result"]
        np.testing.assert_array_equal(got, a.T)
    with tally.step("lists of equal lengths are as good as lists of a fixed size"):
        lists = pa.table({"a": pa.array(a.tolist(), pa.list_(pa.float64()))})
        large = pa.table({"a": pa.array(a.tolist(), pa.large_list(pa.float64()))})
        for table in (lists, large):
            np.testing.assert_array_equal(answered(ask(service, "matrix/transpose", stream(table)))["result"], a.T)
    with tally.step("a slice of a column is what was sliced"):
        table = pa.table({"a": column(a)}).slice(11, 13)
        np.testing.assert_array_equal(answered(ask(service, "matrix/transpose", stream(table)))["result"], a[11:24].T)
    with tally.step("f32 stays f32, and NaN travels"):
        odd = np.array([[np.nan, -np.inf]], dtype=np.float32)
        got = answered(ask(service, "matrix/transpose", stream(pa.table({"a": column(odd)}))))["result"]
        assert got.dtype == np.float32, got.dtype
        np.testing.assert_array_equal(got, odd.T)
    with tally.step("options may ride in the schema's metadata, beside what others keep there"):
        kept = {"offload:timeout_ms": "20000", "offload:priority": "low", "pandas": "{}"}
        table = pa.table({"a": column(a)}).replace_schema_metadata(kept)
        response = ask(service, "matrix/transpose", stream(table))
        answered(response)
        assert read(response.content)[1][b"priority"] == b"low"
    with tally.step("nulls, dictionaries and texts are refused by the column's name"):
        for wrong in (
            pa.array([[1.0, None]], pa.list_(pa.float64(), 2)),
            pa.array(["x"]).dictionary_encode(),
            pa.array(["x"]),
        ):
            response = ask(service, "matrix/transpose", stream(pa.table({"a": wrong})))
            body = response.json()
            assert response.status_code == 400 and body["error"] == "invalid_request", body
            assert body["details"]["pointer"].startswith("/a") and "a" in body["message"].split(), body
    with tally.step("the file format and compressed buffers are told apart"):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        response = ask(service, "matrix/transpose", sink.getvalue().to_pybytes())
        assert response.status_code == 400 and "send the stream format" in response.json()["message"], response.text
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
            writer.write_table(table)
        response = ask(service, "matrix/transpose", sink.getvalue().to_pybytes())
        assert response.status_code == 400 and "compress" in response.json()["message"], response.text
    seen = 0
    for example in examples(service):
        with tally.step(f"{example.model}: its example is answered as in JSON"):
            body = b"".join(stream(pa.table({n: column(t)})) for n, t in example.tensors.items())
            got = answered(ask(service, f"{example.family}/{example.name}", body, example.scalars))
            for name, wanted in example.outputs.items():
                if f"{name}.indices" in got:
                    rows = [int(i) for i in got[f"{name}.indices"].ravel() if i >= 0]
                    assert rows == ranked(wanted), name
                else:
                    same(got[name], wanted, name)
            seen += 1
    tally.note(f"{seen} operations by their example")
    with tally.step("operations were tried"):
        assert seen >= 10, seen
