#!/usr/bin/env python3
"""Writes crates/offload-ops/matrix/data/*.json: NumPy's and SciPy's figures for the worked examples of the matrix family.

Run it in a virtual environment with numpy and scipy, from the repository's root. Inputs are not stored: both sides
compute them from `kind`, `shape` and `seed` alike (see src/reference/generate.rs), rounded to `dtype`. All figures are
computed in f64 from the rounded inputs.
"""
import json
import sys
import zlib
from pathlib import Path

import numpy as np
import scipy
import scipy.linalg as sl

MASK = (1 << 64) - 1
SAMPLES = 24


def splitmix(seed, count):
    state = (np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    z = state
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def uniform(seed, shape):
    u = splitmix(seed, int(np.prod(shape)))
    return ((u >> np.uint64(40)).astype(np.float64) * 2.0**-23 - 1.0).reshape(shape)


def generate(kind, shape, seed, dtype):
    m, n = shape[-2], shape[-1]
    t = np.float32 if dtype == "f32" else np.float64
    i, j = np.arange(m)[:, None], np.arange(n)[None, :]
    if kind == "uniform":
        a = uniform(seed, shape)
    elif kind == "hilbert":
        a = 1.0 / (i + j + 1.0)
    elif kind == "rank2":
        # Small integers, so that both factors and their product are exact in either type.
        p = np.floor(uniform(seed, (m, 2)) * 8)
        q = np.floor(uniform(seed + 1, (2, n)) * 8)
        a = p @ q
    elif kind == "graded":
        # One entry in every row and column: exact powers of two, so the singular values are known.
        span = 498 if dtype == "f64" else 60
        a = np.zeros((m, n))
        k = min(m, n)
        for d in range(k):
            e = span if k == 1 else span - (2 * span * d) // (k - 1)
            a[d, (d * 3 + 1) % n if n % 3 else d] = 2.0**e * (-1) ** d
    elif kind == "dominant":
        a = uniform(seed, shape) + 2 * n * (i == j)
    elif kind == "symmetric":
        u = uniform(seed, shape)
        a = np.where(i >= j, u, np.swapaxes(u, -1, -2))
    elif kind == "definite":
        u = uniform(seed, shape)
        a = np.where(i >= j, u, np.swapaxes(u, -1, -2)) + n * (i == j)
    else:
        raise ValueError(kind)
    return a.astype(t).astype(np.float64)


def sampled(x):
    """All values where there are few; else some of them at places both sides compute, and the norm."""
    x = np.asarray(x, dtype=np.float64)
    flat = x.ravel()
    out = {"shape": list(x.shape), "norm": float(np.linalg.norm(flat)), "largest": float(np.abs(flat).max(initial=0))}
    if flat.size <= SAMPLES:
        out["values"] = flat.tolist()
    else:
        at = splitmix(flat.size, SAMPLES) % np.uint64(flat.size)
        out["values"] = flat[at.astype(np.int64)].tolist()
    return out


def cond1(a):
    try:
        inv = np.linalg.inv(a)
        c = np.abs(a).sum(-2).max(-1) * np.abs(inv).sum(-2).max(-1)
        return float(np.max(c))
    except np.linalg.LinAlgError:
        return float("inf")


def rcond1(a):
    inv = np.linalg.inv(a)
    return 1.0 / (np.abs(a).sum(-2).max(-1) * np.abs(inv).sum(-2).max(-1))


SQUARE = [("uniform", [n, n]) for n in (1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 17, 31, 32, 33, 63, 64, 65, 100, 129, 200)]
SQUARE += [("hilbert", [12, 12]), ("dominant", [300, 300]), ("dominant", [4096, 2, 2]), ("uniform", [6, 33, 33])]
GENERAL = [("uniform", s) for s in ([1, 1], [2, 2], [3, 3], [2, 5], [5, 2], [7, 7], [1, 64], [64, 1], [17, 33], [33, 17],
           [64, 64], [65, 31], [100, 3], [3, 100], [128, 127], [200, 50], [50, 200], [150, 150], [4096, 2], [2, 4096],
           [1, 4096], [5, 40, 30], [257, 120])]
GENERAL += [("hilbert", [12, 12]), ("rank2", [20, 20]), ("rank2", [40, 10]), ("graded", [7, 7]), ("graded", [20, 20])]
PRODUCTS = [([1, 1], [1, 1]), ([2, 2], [2, 2]), ([3, 4], [4, 5]), ([1, 7], [7, 1]), ([7, 1], [1, 7]), ([17, 33], [33, 9]),
            ([64, 64], [64, 64]), ([65, 63], [63, 31]), ([100, 1], [1, 100]), ([128, 128], [128, 128]), ([129, 257], [257, 3]),
            ([2, 4096], [4096, 2]), ([3, 5], [5, 4096]), ([4096, 4], [4, 3]), ([200, 150], [150, 250]), ([31, 31], [31, 31]),
            ([1, 4096], [4096, 1]), ([9, 8, 7], [7, 6]), ([8, 7], [9, 7, 6]), ([100, 8, 8], [100, 8, 8]), ([1, 5, 6], [4, 6, 5]),
            ([300, 300], [300, 300])]


def cases(op, dtype):
    seed = (zlib.crc32(f"{op}".encode()) & 0xFFFF) + 1
    for kind, *shapes in {
        "multiply": [("uniform", a, b) for a, b in PRODUCTS],
        "matvec": [("uniform", a, [a[-1]]) for _, a in GENERAL[:23] if len(a) == 2] + [("uniform", [5, 8, 6], [5, 6]), ("uniform", [8, 6], [3, 6])],
        "inverse": SQUARE, "determinant": [s for s in SQUARE if s[1] != [65, 65]] + [("dominant", [65, 65])],
        "solve": [(k, a, [a[-1]] if i % 2 and len(a) == 2 else (a[:-1] + [3])) for i, (k, a) in enumerate(SQUARE)] + [("uniform", [3, 3], [3, 4096])],
        "transpose": GENERAL, "svd": GENERAL, "qr": GENERAL, "norm": GENERAL,
        "eigenvalues": [(k, s) for k, s in SQUARE if s not in ([4096, 2, 2], [300, 300])] + [("uniform", [300, 300])] + [("symmetric", [n, n]) for n in (2, 3, 6, 20, 50, 128, 130, 256)] + [("uniform", [1024, 2, 2])],
        "cholesky": [("definite", s) for _, s in SQUARE if s != [12, 12]] + [("definite", [500, 500])],
    }[op]:
        seed += 10
        a = generate(kind, shapes[0], seed, dtype)
        case = {"kind": kind, "shape": shapes[0], "seed": seed, "dtype": dtype}
        second = None
        if len(shapes) > 1:
            case["second"] = shapes[1]
            s2 = shapes[1] if len(shapes[1]) > 1 else [1] + shapes[1]
            second = generate("uniform", s2, seed + 5, dtype).reshape(shapes[1])
        for case in figures(op, dict(case), a, second):
            yield case


def figures(op, case, a, second):
    ill = case["kind"] in ("hilbert",)
    if op == "multiply":
        case["result"] = sampled(a @ second)
    elif op == "matvec":
        case["result"] = sampled((a @ second[..., None])[..., 0])
    elif op == "transpose":
        case["result"] = sampled(np.swapaxes(a, -1, -2))
    elif op == "inverse":
        case["cond"] = cond1(a)
        case["rcond"] = sampled(rcond1(a))
        if not ill:
            case["result"] = sampled(np.linalg.inv(a))
    elif op == "solve":
        case["cond"] = cond1(a)
        case["rcond"] = sampled(rcond1(a))
        case["rconds"] = np.ravel(rcond1(a))[:16].tolist()
        case["best_rcond"] = float(np.max(rcond1(a)))
        if not ill:
            b = second if second.ndim > 1 else second[:, None]
            case["x"] = sampled(np.linalg.solve(a, b).reshape(second.shape))
    elif op == "determinant":
        case["cond"] = float(np.max(np.linalg.cond(a)))
        sign, log_abs = np.linalg.slogdet(a)
        if ill:
            return
        case["sign"], case["log_abs"] = sampled(sign), sampled(log_abs)
        if np.max(log_abs) < (85 if case["dtype"] == "f32" else 700):
            case["result"] = sampled(sl.det(a))  # NumPy takes the exponential of a logarithm, which costs digits
    elif op == "cholesky":
        case["cond"] = float(np.max(np.linalg.cond(a)))
        case["result"] = sampled(np.linalg.cholesky(a))
    elif op == "qr":
        q, r = np.linalg.qr(a)
        k = min(a.shape[-2:])
        d = np.where(np.diagonal(r, axis1=-2, axis2=-1) < 0, -1.0, 1.0)
        if case["kind"] in ("uniform",):
            case["cond"] = float(np.max(np.linalg.cond(a[..., :, :k])))
            case["r"] = sampled(d[..., :, None] * r)
            case["q"] = sampled(q * d[..., None, :])
    elif op == "svd":
        case["s"] = sampled(np.linalg.svd(a, compute_uv=False))
    elif op == "norm":
        s = np.linalg.svd(a, compute_uv=False)
        which = {"one": np.abs(a).sum(-2).max(-1), "inf": np.abs(a).sum(-1).max(-1), "max": np.abs(a).max((-1, -2)),
                 "two": s[..., 0], "nuclear": s.sum(-1), "frobenius": sl.norm(a, axis=(-2, -1))}
        if case["kind"] == "graded":
            which["frobenius"] = s[..., 0]  # every other square is below the precision
            which["nuclear"] = s.sum(-1)
        names = list(which)
        for name in (names if a.shape[-1] in (7, 30) else [names[case["seed"] // 10 % 6], names[(case["seed"] // 10 + 3) % 6]]):
            yield {**case, "norm": name, "result": sampled(which[name])}
        return
    elif op == "eigenvalues":
        symmetric = case["kind"] in ("symmetric", "hilbert") or a.shape[-1] == 1
        case["symmetric"] = bool(symmetric)
        if symmetric:
            case["values"] = sampled(np.linalg.eigvalsh(a))
            case["all"] = np.linalg.eigvalsh(a).ravel().tolist()
        else:
            w, v = np.linalg.eig(a)
            case["sensitivity"] = float(np.max(np.linalg.cond(v)))
            first = w.reshape(-1, a.shape[-1])[:40]
            case["all"] = [[float(x.real), float(x.imag)] for x in first.ravel()]
    yield case


def main():
    out = Path("crates/offload-ops/matrix/data")
    out.mkdir(parents=True, exist_ok=True)
    source = f"NumPy {np.__version__}, SciPy {scipy.__version__}"
    for op in ("multiply", "matvec", "inverse", "solve", "transpose", "eigenvalues", "svd", "qr", "cholesky", "determinant", "norm"):
        rows = [c for dtype in ("f32", "f64") for c in cases(op, dtype)]
        text = json.dumps({"source": source, "cases": rows}, separators=(",", ":"), allow_nan=False)
        text = text.replace('{"kind"', '\n{"kind"') + "\n"
        (out / f"{op}.json").write_text(text)
        print(op, len(rows), len(text), file=sys.stderr)


main()
