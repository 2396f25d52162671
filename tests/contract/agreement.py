"""Results over HTTP beside NumPy's."""

from pathlib import Path

import numpy as np

from service import Service
from tally import Tally

SEED = 20240817
REQUESTS = 35
# Of the scale of the result: rounding grows with the size of the matrices, which stays below 20.
TOLERANCE = {"f32": 2e-4, "f64": 1e-11}


def close(got, expected, dtype: str, scale: float = 0.0) -> None:
    got, expected = np.asarray(got, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    assert got.shape == expected.shape, f"shape {got.shape}, expected {expected.shape}"
    worst = float(np.max(np.abs(got - expected), initial=0.0))
    limit = TOLERANCE[dtype] * max(float(np.max(np.abs(expected), initial=0.0)), scale)
    assert worst <= limit, f"differs by {worst:g}, the limit is {limit:g}"


def multiply(ask, random, dtype):
    m, k, n = random.integers(1, 20, 3)
    a, b = random.standard_normal((m, k)), random.standard_normal((k, n))
    close(ask("multiply", a=a, b=b)["result"], a @ b, dtype, scale=1.0)


def conditioned(random, n):
    """A matrix whose condition number is below 10, so that the tolerance is about the service."""
    q, _ = np.linalg.qr(random.standard_normal((n, n)))
    p, _ = np.linalg.qr(random.standard_normal((n, n)))
    return q @ np.diag(random.uniform(0.5, 4.0, n)) @ p


def solve(ask, random, dtype):
    n = int(random.integers(1, 16))
    a, b = conditioned(random, n), random.standard_normal((n, 3))
    close(ask("solve", a=a, b=b)["x"], np.linalg.solve(a, b), dtype)


def inverse(ask, random, dtype):
    a = conditioned(random, int(random.integers(1, 16)))
    close(ask("inverse", a=a)["result"], np.linalg.inv(a), dtype)


def singular_values(ask, random, dtype):
    a = random.standard_normal(random.integers(1, 16, 2))
    answer = ask("svd", a=a)
    close(answer["s"], np.linalg.svd(a, compute_uv=False), dtype)
    close(np.asarray(answer["u"]) * np.asarray(answer["s"]) @ np.asarray(answer["vt"]), a, dtype, scale=10.0)


def eigenvalues(ask, random, dtype):
    n = int(random.integers(1, 16))
    a = random.standard_normal((n, n))
    a = a + a.T
    close(np.sort(ask("eigenvalues", a=a, symmetric=True)["values"]), np.linalg.eigvalsh(a), dtype)


def determinant(ask, random, dtype):
    a = conditioned(random, int(random.integers(1, 9)))
    answer = ask("determinant", a=a)
    close(answer["result"], np.linalg.det(a), dtype)
    sign, log_abs = np.linalg.slogdet(a)
    close(answer["sign"], sign, dtype)
    close(answer["log_abs"], log_abs, dtype, scale=1.0)


def qr(ask, random, dtype):
    m, n = sorted(random.integers(1, 16, 2), reverse=True)
    a = random.standard_normal((m, n))
    answer = ask("qr", a=a)
    q, r = np.asarray(answer["q"]), np.asarray(answer["r"])
    close(q @ r, a, dtype, scale=10.0)
    close(q.T @ q, np.eye(q.shape[1]), dtype)
    close(np.tril(r, -1), np.zeros(r.shape), dtype, scale=1.0)
    # Unique up to the signs of the rows.
    close(np.abs(r), np.abs(np.linalg.qr(a)[1]), dtype, scale=10.0)


OPERATIONS = [multiply, solve, inverse, singular_values, eigenvalues, determinant, qr]


def run(service: Service, tally: Tally, _root: Path) -> None:
    random = np.random.default_rng(SEED)
    tally.note(f"numpy {np.__version__}, seed {SEED}")
    for i in range(REQUESTS):
        operation = OPERATIONS[i % len(OPERATIONS)]
        # Odd and even rounds, so that every operation sees both types and both shapes.
        rounds = i // len(OPERATIONS)
        dtype, flat = ("f32", "f64")[rounds % 2], rounds % 3 == 0

        def ask(name, **inputs):
            inputs = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in inputs.items()} | {"dtype": dtype}
            answer = service.call("POST", f"/workloads/matrix/{name}", json=inputs if flat else {"inputs": inputs})
            assert answer.status_code == 200, answer.text
            if flat:
                return answer.json()
            result = answer.json()["result"]
            return result if isinstance(result, dict) else {"result": result}

        with tally.step(f"request {i}, {operation.__name__} in {dtype}, agrees with NumPy"):
            operation(ask, random, dtype)
