"""Triton's own client, unmodified, over the Open Inference Protocol."""

import importlib.metadata

import numpy as np
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from examples import Example, examples, ranked, same
from service import Service
from tally import Tally

SEED = 20_260_101
MODEL = "matrix.multiply"


def sent(name: str, array: np.ndarray, binary: bool) -> InferInput:
    tensor = InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
    return tensor.set_data_from_numpy(array, binary_data=binary)


def agrees(result, example: Example) -> None:
    for name, wanted in example.outputs.items():
        indices = result.as_numpy(f"{name}.indices")
        if indices is not None:
            assert [int(i) for i in indices.ravel() if i >= 0] == ranked(wanted), f"{example.model}: {name}"
            assert result.as_numpy(f"{name}.scores").shape == indices.shape, f"{example.model}: {name}"
        else:
            got = result.as_numpy(name)
            assert got is not None, f"{example.model}: {name} is missing"
            same(got, wanted, f"{example.model}: {name}")


def products(client: InferenceServerClient, headers: dict, tally: Tally) -> None:
    random = np.random.default_rng(SEED)
    for dtype, tolerance in ((np.float32, 1e-5), (np.float64, 1e-12)):
        a, b = (random.standard_normal(shape).astype(dtype) for shape in ((70, 90), (90, 50)))
        for packed in (None, "gzip", "deflate"):
            for binary in (True, False):
                with tally.step(f"{dtype.__name__}, compression {packed}, binary {binary}: agrees with NumPy"):
                    result = client.infer(
                        MODEL, [sent("a", a, binary), sent("b", b, binary)], headers=dict(headers),
                        outputs=[InferRequestedOutput("result", binary_data=binary)],
                        request_compression_algorithm=packed, response_compression_algorithm=packed,
                    )  # fmt: skip
                    got = result.as_numpy("result")
                    assert got.dtype == dtype and got.shape == (70, 50), (got.dtype, got.shape)
                    np.testing.assert_allclose(got, a @ b, rtol=0, atol=tolerance * 90)
    with tally.step("without outputs, all come as binary data, with what the service says of them"):
        result = client.infer(MODEL, [sent("a", a, True), sent("b", b, True)], request_id="7", headers=dict(headers))
        response = result.get_response()
        assert response["id"] == "7" and response["model_name"] == MODEL, response
        assert response["parameters"]["gpu_time_us"] == 0, response
        assert "binary_data_size" in response["outputs"][0]["parameters"], response
    with tally.step("priority and timeout are the client's own arguments"):
        result = client.infer(MODEL, [sent("a", a, True), sent("b", b, True)], priority=1, timeout=30_000_000,
                              parameters={"cache": False, "device": "cpu"}, headers=dict(headers))  # fmt: skip
        assert result.get_response()["parameters"]["priority"] == "realtime", result.get_response()
    with tally.step("NaN and infinity travel as binary data"):
        odd = np.array([[np.nan, np.inf, -0.0]])
        result = client.infer("matrix.transpose", [sent("a", odd, True)], headers=dict(headers))
        np.testing.assert_array_equal(result.as_numpy("result"), odd.T)
    with tally.step("empty tensors travel"):
        result = client.infer("matrix.transpose", [sent("a", np.empty((0, 3)), True)], headers=dict(headers))
        assert result.as_numpy("result").shape == (3, 0)
    with tally.step("eight at once on as many connections"):
        asked = [client.async_infer(MODEL, [sent("a", a + i, True), sent("b", b, True)], headers=dict(headers))
                 for i in range(8)]  # fmt: skip
        for i, one in enumerate(asked):
            np.testing.assert_allclose(one.get_result().as_numpy("result"), (a + i) @ b, rtol=1e-9, atol=1e-9)


def faults(client: InferenceServerClient, headers: dict, tally: Tally) -> None:
    def refused(model: str, inputs: list, **more) -> InferenceServerException:
        try:
            client.infer(model, inputs, **({"headers": dict(headers)} | more))
        except InferenceServerException as why:
            return why
        raise AssertionError("it was answered")

    square = np.eye(2)
    with tally.step("an exception has the status and the code"):
        why = refused(MODEL, [sent("a", square, True)])
        assert (why.status(), why.message()) == ("400", "invalid_request"), why
        why = refused("matrix.inverse", [sent("a", np.ones((2, 2)), True)])
        assert (why.status(), why.message()) == ("422", "unprocessable"), why
        why = refused("matrix.multipl", [sent("a", square, True)])
        assert (why.status(), why.message()) == ("404", "unknown_operation"), why
        why = refused("matrix.transpose", [sent("a", square, True)], headers={})
        assert (why.status(), why.message()) == ("401", "unauthenticated"), why
    with tally.step("a type that no operation takes is refused"):
        why = refused("matrix.transpose", [sent("a", square.astype(np.float16), True)])
        assert why.status() == "400", why


def run(service: Service, tally: Tally, _root) -> None:
    tally.note(f"tritonclient {importlib.metadata.version('tritonclient')}")
    headers = {"X-API-Key": service.key}
    with InferenceServerClient(service.origin.removeprefix("http://"), concurrency=8) as client:
        with tally.step("the server is live and ready without a key"):
            assert client.is_server_live() and client.is_server_ready()
            assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
        models = client.get_model_repository_index(headers=dict(headers))
        with tally.step("every model has metadata and a configuration, and is ready"):
            assert models
            for model in models:
                name, version = model["name"], model["version"]
                about = client.get_model_metadata(name, headers=dict(headers))
                assert about["name"] == name and version in about["versions"], about
                assert client.is_model_ready(name, headers=dict(headers))
                assert client.is_model_ready(name, version, headers=dict(headers))
                assert client.get_model_config(name, headers=dict(headers))["name"] == name
            assert not client.is_model_ready("matrix.none", headers=dict(headers))
        products(client, headers, tally)
        faults(client, headers, tally)
        seen = 0
        for example in examples(service):
            for packed in (None, "gzip", "deflate"):
                with tally.step(f"{example.model}, compression {packed}: its example is answered as in JSON"):
                    inputs = [sent(name, array, True) for name, array in example.tensors.items()]
                    result = client.infer(
                        example.model, inputs, parameters=example.scalars, headers=dict(headers),
                        request_compression_algorithm=packed, response_compression_algorithm=packed,
                    )  # fmt: skip
                    agrees(result, example)
            seen += 1
        tally.note(f"{seen} of {len(models)} models by their example")
        with tally.step("most operations were tried"):
            assert seen * 2 > len(models), seen
