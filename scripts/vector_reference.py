#!/usr/bin/env python3
"""Writes crates/offload-ops/vector/data/*.json: NumPy's and faiss's figures for the worked examples of the vector family.

Run it in a virtual environment with numpy and faiss-cpu, from the repository's root. Inputs are not stored: both sides
compute them from `kind`, `shape` and `seed` alike (see src/reference.rs), rounded to `dtype`. NumPy's figures are computed
in f64 from the rounded inputs.
"""
import json
import sys
from pathlib import Path

import faiss
import numpy as np

OUT = Path("crates/offload-ops/vector/data")


def splitmix(seed, count):
    z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def vectors(kind, seed, shape, dtype):
    """Rows of numbers that are exact in f32 where they are not meant to be rounded."""
    n = int(np.prod(shape))
    if dtype == "u8":
        return (splitmix(seed, n) >> np.uint64(56)).astype(np.uint8).reshape(shape)
    u = (splitmix(seed, n) >> np.uint64(40)).astype(np.float64) * 2.0**-23 - 1.0
    a = u.reshape(shape)
    if kind == "whole":  # small whole numbers: many exact ties
        a = np.floor(a * 4)
    elif kind == "offset":  # far from the origin, close together
        a = 10_000.0 + a * 2.0**-7
    elif kind == "graded":  # norms over sixty powers of ten
        i = np.arange(shape[0])[:, None] if len(shape) == 2 else 0
        a = a * 2.0 ** (100 - (i * 7) % 200)
    elif kind != "uniform":
        raise ValueError(kind)
    return a.astype(np.float32 if dtype == "f32" else np.float64)


def pair(op, a, b):
    a, b = a.astype(np.float64), b.astype(np.float64)
    if op == "dot_product":
        return np.sum(a * b, axis=-1)
    if op == "euclidean_distance":
        return np.linalg.norm(a - b, axis=-1)
    return np.sum(a * b, axis=-1) / (np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))


def ranked(metric, q, x, k, keep):
    """The k best rows for each query, and one more: stable, so ties go to the lower row."""
    out = []
    for v in q:
        if metric == "hamming" and q.dtype == np.uint8:
            s = np.unpackbits(x ^ v, axis=1).sum(axis=1).astype(np.float64)
        elif metric == "hamming":
            s = (x != v).sum(axis=1).astype(np.float64)
        else:
            s = pair({"cosine": "cosine_similarity", "l2": "euclidean_distance", "dot": "dot_product"}[metric], x, v)
        cost = s if metric in ("l2", "hamming") else -s
        order = np.argsort(cost, kind="stable")
        order = order[keep[order]][: k + 1]
        out.append((order.tolist(), s[order].tolist()))
    return {"idx": [i for i, _ in out], "score": [s for _, s in out]}


PAIR_SHAPES = [([1], [1]), ([2], [2]), ([3], [3]), ([7], [7]), ([8], [8]), ([15], [15]), ([16], [16]), ([17], [17]), ([100], [100]),
               ([1000], [1000]), ([65536], [65536]), ([4, 5], [5]), ([5], [4, 5]), ([3, 16], [3, 16]), ([1, 3], [1, 3]), ([200, 33], [200, 33])]
SEARCHES = [(1, 1, 1, 1), (1, 5, 1, 3), (2, 7, 3, 10), (3, 40, 8, 5), (5, 300, 17, 10), (8, 1000, 130, 10), (16, 5000, 16, 20),
            (4, 2500, 128, 100), (64, 400, 64, 1)]


def write(name, rows, source):
    text = json.dumps({"source": source, "cases": rows}, separators=(",", ":"), allow_nan=False)
    (OUT / name).write_text(text.replace('{"kind"', '\n{"kind"') + "\n")
    print(name, len(rows), len(text), file=sys.stderr)


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    numpy = f"NumPy {np.__version__}"
    rows, seed = [], 40
    for dtype in ("f32", "f64"):
        for a_shape, b_shape in PAIR_SHAPES:
            for kind in ("uniform", "offset") if len(a_shape) == 1 and a_shape[0] in (3, 100) else ("uniform",):
                seed += 10
                a, b = vectors(kind, seed, a_shape, dtype), vectors(kind, seed + 1, b_shape, dtype)
                row = {"kind": kind, "dtype": dtype, "seed": seed, "a": a_shape, "b": b_shape}
                for op in ("cosine_similarity", "euclidean_distance", "dot_product"):
                    row[op] = np.ravel(pair(op, a, b)).tolist()
                rows.append(row)
    write("pairs.json", rows, numpy)
    rows = []
    for dtype in ("f32", "f64", "u8"):
        for i, (q, n, d, k) in enumerate(SEARCHES):
            for metric in ("hamming",) if dtype == "u8" else ("cosine", "l2", "dot", "hamming"):
                kinds = ("uniform",) if dtype == "u8" else ("whole",) if metric == "hamming" else ("uniform", "offset", "graded")
                kind = kinds[i % len(kinds)]
                if kind == "offset" and metric != "l2":
                    kind = "uniform"  # scores that differ by less than f64 resolves rank by rounding
                seed += 10
                qs, x = vectors(kind, seed, [q, d], dtype), vectors(kind, seed + 1, [n, d], dtype)
                masked = i % 2 == 1
                keep = (splitmix(seed + 2, n) >> np.uint64(63)) == 1 if masked else np.ones(n, dtype=bool)
                rows.append({"kind": kind, "dtype": dtype, "seed": seed, "q": q, "n": n, "d": d, "k": k, "metric": metric,
                             "masked": masked, **ranked(metric, qs, x, k, keep)})
    write("search.json", rows, numpy)
    rows = []
    for dtype in ("f32", "f64"):
        for kind, n, d, m in (("uniform", 1, 1, 1), ("uniform", 2, 3, 3), ("uniform", 100, 8, 2), ("offset", 500, 16, 4), ("uniform", 3000, 24, 4)):
            seed += 10
            x = vectors(kind, seed, [n, d], dtype)
            low, high = x.min(axis=0), x.max(axis=0)
            scale = ((high.astype(np.float64) - low) / 255).astype(x.dtype)
            wide = x.astype(np.float64)
            s = np.where(scale > 0, scale, 1).astype(np.float64)
            codes = np.where(scale > 0, np.rint((wide - low) / s), 0).clip(0, 255)
            error = ((wide - (low + scale.astype(np.float64) * codes)) ** 2).sum() / n
            row = {"kind": kind, "dtype": dtype, "seed": seed, "n": n, "d": d, "m": m, "int8_sum": int(codes.sum()), "int8_error": float(error)}
            bits = np.packbits(x > 0, axis=1, bitorder="little")
            row["binary"] = bits[:8].ravel().tolist()
            means = [np.where(x > 0, wide if b else 0, 0 if b else wide).sum(axis=0) / np.maximum(((x > 0) == b).sum(axis=0), 1) for b in (False, True)]
            row["binary_error"] = float(((wide - np.where(x > 0, means[1], means[0])) ** 2).sum() / n)
            if n >= 256 and dtype == "f32":
                pq = faiss.ProductQuantizer(d, m, 8)
                centred = (wide - wide.mean(axis=0)).astype(np.float32)
                pq.train(centred)
                off = pq.decode(pq.compute_codes(centred)) - centred
                row["pq_error"] = float((off.astype(np.float64) ** 2).sum() / n)
            rows.append(row)
    write("quantize.json", rows, f"{numpy}, faiss {faiss.__version__}")


main()
