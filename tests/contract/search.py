"""Exact searches by binary tensors over HTTP, beside a brute force in f64.

A ranking is right when its scores are the best scores there are, each is that of its row, and rows of one score come in
their order. Every set is asked by cosine, l2 and dot, with filters that remove nothing, half, all but a thousandth and
all, with the vectors in the request and as columns of a resident dataset.

Sets: scikit-learn's digits (1,797 images of 64 pixels, as the demo keeps them), MiniLM's embeddings of 256 sentences of
Python's manual (data/minilm.npy: all-MiniLM-L6-v2, Apache-2.0, rounded to int8; texts `pydoc_data.topics`, PSF licence;
made by scripts/minilm.py), 100,000 random rows, and hostile ones. `scripts/search_check.py` asks more queries.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from service import Service
from tally import Tally

SEED = 20_260_103
METRICS = ("cosine", "l2", "dot")
HEAD = "Inference-Header-Content-Length"
NUMPY = {"FP32": np.float32, "FP64": np.float64, "UINT8": np.uint8, "INT64": np.int64}
NAMES = {np.dtype(t): n for n, t in NUMPY.items()}
# Vectors of more bytes are sent with a request only without a filter, for the time it takes.
LARGE_BYTES = 32 << 20
# Of rows that a filter leaves, in parts of one.
LEFT = {"removes nothing": 1.0, "removes half": 0.5, "removes 99.9 %": 0.001, "removes all": 0.0}


@dataclass
class Set:
    name: str
    queries: np.ndarray
    corpus: np.ndarray
    k: int = 10


def random_set(random: np.random.Generator, rows: int, queries: int) -> Set:
    x = random.standard_normal((rows + queries, 128), dtype=np.float32)
    return Set(f"random {rows} x 128", x[rows:], x[:rows])


def digits(root: Path) -> np.ndarray:
    """A line of 64 pixels for each image, a pixel from 0 to g."""
    lines = (root / "src/demo/data/digits.txt").read_text().split()
    return np.array([[int(c, 17) for c in line] for line in lines], dtype=np.float32)


def sets(random: np.random.Generator, root: Path) -> Iterator[Set]:
    x = digits(root)
    yield Set("digits", x[::60], np.delete(x, np.s_[::60], axis=0))
    x = np.load(root / "tests/contract/data/minilm.npy").astype(np.float32) / 438.4383
    yield Set("MiniLM", x[::16], np.delete(x, np.s_[::16], axis=0))
    yield random_set(random, 100_000, 4)
    yield from hostile(random)


def hostile(random: np.random.Generator) -> Iterator[Set]:
    def uniform(*shape: int) -> np.ndarray:
        return random.uniform(-1, 1, shape).astype(np.float32)

    near = (1e4 + 1e-3 * random.uniform(-1, 1, (2012, 64))).astype(np.float32)
    yield Set("offset 1e4, spread 1e-3", near[2000:], near[:2000])
    far = 1e4 + 1e-3 * random.uniform(-1, 1, (2012, 64))
    yield Set("offset 1e4, spread 1e-3, f64", far[2000:], far[:2000])
    for dtype in (np.float32, np.float64):
        size = 10.0 ** random.choice([-30, 0, 30], (2012, 1))
        wide = (random.uniform(-1, 1, (2012, 48)) * size).astype(dtype)
        yield Set(f"norms 1e-30, 1 and 1e30, {np.dtype(dtype)}", wide[2000:], wide[:2000])
    yield Set("exact duplicates", uniform(9, 32), np.repeat(uniform(40, 32), 50, axis=0)[random.permutation(2000)])
    yield Set("all equal", uniform(9, 32), np.full((2000, 32), 0.25, dtype=np.float32))
    zeros = uniform(2012, 32)
    zeros[::3] = 0
    yield Set("zero vectors", zeros[2000:], zeros[:2000])
    odd = uniform(2012, 32)
    odd[::7, 3], odd[1::11, 0], odd[2::13, 31] = np.nan, np.inf, -np.inf
    yield Set("NaN and infinity", odd[2000:], odd[:2000])
    yield Set("k > n", uniform(9, 16), uniform(30, 16), k=100)
    yield Set("n = 1", uniform(9, 16), uniform(1, 16), k=3)


def scores(metric: str, q: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What each row scores, and how far sums of the same terms in other orders may be from it."""
    q, x = q.astype(np.float64), x.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        if metric == "l2":
            found = np.sqrt(((x - q) ** 2).sum(axis=1))
            size = np.abs(found)
        else:
            found = (x * q).sum(axis=1)
            size = np.abs(x * q).sum(axis=1)
            if metric == "cosine":
                length = np.sqrt((x**2).sum(axis=1)) * np.sqrt((q**2).sum())
                found = np.where((length > 0) | np.isnan(found), found / np.where(length > 0, length, 1), 0.0)
                size = np.ones_like(found)
    return found, np.where(np.isfinite(size), 4e-16 * (len(q) + 8) * size, 0.0)


# The scores of every query, and how far they may be off.
Truth = list[tuple[np.ndarray, np.ndarray]]


def judge(metric: str, s: Set, truth: Truth, keep: np.ndarray | None, indices: np.ndarray, got: np.ndarray) -> float:
    """Raises unless the ranking is right; the largest share of what rounding may do that was used."""
    assert indices.shape == got.shape == (len(s.queries), s.k), (indices.shape, got.shape)
    worst = 0.0
    sign = 1 if metric == "l2" else -1
    for i, (score, off) in enumerate(truth):
        ranked = ~np.isnan(score) if keep is None else ~np.isnan(score) & (keep != 0)
        rows = np.flatnonzero(ranked)
        # Ties by the lower row: a stable sort keeps them.
        best = rows[np.argsort(sign * score[rows], kind="stable")][: s.k]
        at = f"{s.name} {metric}, query {i}"
        n = len(best)
        assert (indices[i, n:] == -1).all() and np.isnan(got[i, n:]).all(), f"{at}: more than {n} answers"
        mine = indices[i, :n]
        assert (mine >= 0).all() and len(set(mine)) == n and ranked[mine].all(), f"{at}: {mine}"
        slack = np.maximum(off[mine] + off[best], 5e-324)
        for what, other in (("the best", score[best]), ("its row's", score[mine])):
            with np.errstate(invalid="ignore"):
                # Infinite scores of one sign agree.
                used = np.where(got[i, :n] == other, 0.0, np.abs(got[i, :n] - other) / slack)
            assert not (used > 1).any(), f"{at}: scores {got[i, :n]} are not {what} {other}"
            worst = max(worst, float(used.max(initial=0.0)))
        twins = (s.corpus[mine[1:]] == s.corpus[mine[:-1]]).all(axis=1)
        assert (mine[1:][twins] > mine[:-1][twins]).all(), f"{at}: equal rows out of order, {mine}"
    return worst


def infer(
    service: Service, model: str, inputs: dict[str, object], **parameters: object
) -> tuple[dict[str, np.ndarray], dict[str, object]]:
    """A model's outputs and what is said beside them; an input is an array, or the dataset's name and column."""
    about, tail = [], []
    for name, value in inputs.items():
        if isinstance(value, np.ndarray):
            tail.append(np.ascontiguousarray(value).tobytes())
            about.append({"name": name, "datatype": NAMES[value.dtype], "shape": value.shape,
                          "parameters": {"binary_data_size": len(tail[-1])}})  # fmt: skip
        else:
            about.append({"name": name, "parameters": {"dataset": value[0], "column": value[1]}})
    head = json.dumps({"inputs": about, "parameters": parameters | {"binary_data_output": True, "cache": False}})
    answer = service.call("POST", f"/v2/models/{model}/infer", data=head.encode() + b"".join(tail),
                          more={HEAD: str(len(head)), "Content-Type": "application/octet-stream"})  # fmt: skip
    assert answer.status_code == 200, answer.text
    length = int(answer.headers[HEAD])
    outputs, at, head = {}, length, json.loads(answer.content[:length])
    for output in head["outputs"]:
        size = output["parameters"]["binary_data_size"]
        values = np.frombuffer(answer.content[at : at + size], dtype=NUMPY[output["datatype"]])
        outputs[output["name"]] = values.reshape(output["shape"])
        at += size
    return outputs, head["parameters"]


def resident(service: Service, name: str, columns: dict[str, np.ndarray]) -> None:
    """Makes a dataset of binary columns."""
    about = [{"name": n, "datatype": NAMES[c.dtype], "shape": c.shape, "parameters": {"binary_data_size": c.nbytes}}
             for n, c in columns.items()]  # fmt: skip
    head = json.dumps({"inputs": about})
    body = head.encode() + b"".join(np.ascontiguousarray(c).tobytes() for c in columns.values())
    answer = service.call("PUT", f"/datasets/{name}", data=body,
                          more={HEAD: str(len(head)), "Content-Type": "application/octet-stream"})  # fmt: skip
    assert answer.status_code == 201, answer.text


def ask(service: Service, s: Set, metric: str, corpus: object, keep: object) -> tuple[np.ndarray, np.ndarray]:
    """One search for all queries; the filter's operation is knn."""
    knn = keep is not None
    inputs = {"query" if knn else "queries": s.queries, "corpus": corpus} | ({"filter": keep} if knn else {})
    model, k, name = ("knn", "k", "matches") if knn else ("similarity", "top_k", "results")
    got, _ = infer(service, f"vector.{model}", inputs, metric=metric, **{k: s.k})
    return got[f"{name}.indices"], got[f"{name}.scores"]


def compare(service: Service, tally: Tally, s: Set, random: np.random.Generator) -> float:
    """Every metric and filter over a set, both ways; the worst of them."""
    columns, worst = {"v": s.corpus}, [0.0]
    for left in LEFT.values():
        columns[f"mask{len(columns)}"] = (random.random(len(s.corpus)) < left).astype(np.uint8)
    resident(service, "searched", columns)
    names = list(columns)[1:]
    for metric in METRICS:
        truth = [scores(metric, q, s.corpus) for q in s.queries]
        for where in ("in the request", "resident"):
            sent = where == "in the request"
            corpus = s.corpus if sent else ("searched", "v")
            with tally.step(f"{s.name}, {metric}, vectors {where}: the best {s.k} of all"):
                worst.append(judge(metric, s, truth, None, *ask(service, s, metric, corpus, None)))
            if sent and s.corpus.nbytes > LARGE_BYTES:
                continue
            for what, column in zip(LEFT, names):
                mask = columns[column] if sent else ("searched", column)
                with tally.step(f"{s.name}, {metric}, vectors {where}: a filter that {what}"):
                    worst.append(judge(metric, s, truth, columns[column], *ask(service, s, metric, corpus, mask)))
    answer = service.call("DELETE", "/datasets/searched")
    assert answer.status_code == 200, answer.text
    return max(worst)


def run(service: Service, tally: Tally, root: Path) -> None:
    random = np.random.default_rng(SEED)
    tally.note(f"numpy {np.__version__}, seed {SEED}")
    for s in sets(random, root):
        compare(service, tally, s, random)
