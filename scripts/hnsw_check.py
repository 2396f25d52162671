#!/usr/bin/env python3
"""Loads indexes of vector.build_hnsw with hnswlib, and holds recall and build time against hnswlib's own.

    cargo build --release -p offload-ops-vector --example index
    python scripts/hnsw_check.py target/release/examples/index

Needs numpy, hnswlib and scikit-learn. Both sides use two threads. Fails when hnswlib cannot load a file, or finds fewer of
the ten nearest neighbours with it than with its own index by more than 0.01.
"""
import os
import statistics
import subprocess
import sys
import tempfile
import time

import hnswlib
import numpy as np
from sklearn.datasets import load_digits

THREADS = 2
RUNS = 3


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


def check(binary, name, x, q, metric, m, ef):
    space = {"l2": "l2", "cosine": "cosine", "dot": "ip"}[metric]
    truth = exact(metric, x, q)
    ours, peers = [], []
    with tempfile.TemporaryDirectory() as folder:
        vectors, file = os.path.join(folder, "vectors"), os.path.join(folder, "index")
        x.astype("<f4").tofile(vectors)
        for _ in range(RUNS):
            peer = hnswlib.Index(space=space, dim=x.shape[1])
            peer.init_index(max_elements=len(x), M=m, ef_construction=ef, random_seed=100)
            start = time.perf_counter()
            peer.add_items(x, num_threads=THREADS)
            peers.append(time.perf_counter() - start)
            environment = {**os.environ, "RAYON_NUM_THREADS": str(THREADS)}
            out = subprocess.run([binary, vectors, str(x.shape[1]), file, metric, str(m), str(ef)], env=environment,
                                 check=True, capture_output=True, text=True)
            ours.append(float(out.stdout))
        index = hnswlib.Index(space=space, dim=x.shape[1])
        index.load_index(file)
        assert index.get_current_count() == len(x) and index.M == m and index.ef_construction == ef
        kept = np.asarray(index.get_items(range(min(len(x), 100))))
        want = x[:100] / (np.linalg.norm(x[:100], axis=1, keepdims=True) + 1e-30 if metric == "cosine" else 1)
        assert np.allclose(kept, want, atol=1e-6)
        ok = True
        for at in (10, 50, ef):
            own, theirs = recall(index, q, truth, at), recall(peer, q, truth, at)
            ok &= own >= theirs - 0.01
            print(f"{name:22} {metric:6} M={m} ef={at:4}: recall@10 {own:.4f}, hnswlib {theirs:.4f}")
        mine, peer_s = statistics.median(ours), statistics.median(peers)
        print(f"{name:22} {metric:6} M={m} build {mine:.2f} s, hnswlib {peer_s:.2f} s: {peer_s / mine:.2f}x")
    return ok


def main():
    binary = sys.argv[1]
    rng = np.random.default_rng(1)
    x = rng.standard_normal((20_000, 64), dtype=np.float32)
    q = rng.standard_normal((500, 64), dtype=np.float32)
    digits = load_digits().data.astype(np.float32)
    noisy = digits[::7] + rng.standard_normal((len(digits[::7]), 64), dtype=np.float32)
    centres = rng.standard_normal((200, 32), dtype=np.float32) * 4
    clustered = np.repeat(centres, 50, axis=0) + rng.standard_normal((10_000, 32), dtype=np.float32)
    ok = True
    for metric in ("l2", "cosine", "dot"):
        ok &= check(binary, "normal 20000x64", x, q, metric, 16, 200)
    ok &= check(binary, "digits 1797x64", digits, noisy, "l2", 16, 200)
    ok &= check(binary, "digits 1797x64", digits, noisy, "cosine", 16, 200)
    ok &= check(binary, "clusters 10000x32", clustered, clustered[::20] + 0.1, "l2", 12, 100)
    sys.exit(0 if ok else "recall is below hnswlib's")


main()
