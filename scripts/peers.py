"""NumPy, SciPy, faiss and PyArrow on the work that `heliosdb-gpu-offload bench` measures; the faster way counts.

Writes {"machine", "threads", "results": [{"name", "unit", "median", "min", "max", "n", "by"}]}. The threads are those
of OPENBLAS_NUM_THREADS, which must be set before NumPy is loaded.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

THREADS = int(os.environ.setdefault("OPENBLAS_NUM_THREADS", str(len(os.sched_getaffinity(0)))))

# Threads of faiss that wait take no time from others on a busy machine.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import faiss  # noqa: E402
import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
import scipy.linalg  # noqa: E402

faiss.omp_set_num_threads(THREADS)

random = np.random.default_rng(7)


def uniform(*shape, dtype=np.float64):
    """Entries within [-1, 1)."""
    return random.uniform(-1.0, 1.0, shape).astype(dtype)


def searches():
    """faiss's exact index over vectors that lie in it; lengths for cosine are made one beforehand."""
    queries, corpus = uniform(1000, 128, dtype=np.float32), uniform(100_000, 128, dtype=np.float32)
    for metric, index in (("l2", faiss.IndexFlatL2(128)), ("cosine", faiss.IndexFlatIP(128)), ("dot", faiss.IndexFlatIP(128))):
        q, x = queries.copy(), corpus.copy()
        if metric == "cosine":
            faiss.normalize_L2(q)
            faiss.normalize_L2(x)
        index.add(x)
        # Bound now, because the loop goes on.
        yield f"vector.similarity 1000x100000x128 f32 {metric}", {"faiss": lambda index=index, q=q: index.search(q, 10)}


def loads(folder):
    """PyArrow's reading of the stream that the service gets, from a file in the page cache, and the same kept on the disk."""
    values = pa.array(np.arange(131_072 * 128, dtype=np.float32))
    table = pa.table({"v": pa.FixedSizeListArray.from_arrays(values, 128)})
    source, target = folder / "stream", folder / "kept"
    with pa.OSFile(str(source), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)

    def read():
        with pa.OSFile(str(source)) as file:
            return pa.ipc.open_stream(file).read_all()

    def kept():
        found = read()
        with pa.OSFile(str(target), "wb") as file:
            with pa.ipc.new_stream(file, found.schema) as writer:
                writer.write_table(found)
            file.flush()
        descriptor = os.open(target, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)

    yield "dataset of 64 MiB from an Arrow stream", {"pyarrow, reading alone": read}
    yield "the same, and written to a synced file", {"pyarrow": kept}


def work(folder):
    """Name and, by library, what to time."""
    a32, b32 = uniform(1024, 1024, dtype=np.float32), uniform(1024, 1024, dtype=np.float32)
    a64, b64 = uniform(1024, 1024), uniform(1024, 1024)
    yield "matrix.multiply 1024 f32", {"numpy": lambda: a32 @ b32}
    yield "matrix.multiply 1024 f64", {"numpy": lambda: a64 @ b64}

    square = uniform(512, 512)
    symmetric = square + square.T
    yield "matrix.inverse 512 f64", {
        "numpy": lambda: np.linalg.inv(square),
        "scipy": lambda: scipy.linalg.inv(square, check_finite=False),
    }
    yield "matrix.svd 512 f64", {
        "numpy": lambda: np.linalg.svd(square, full_matrices=False),
        "scipy": lambda: scipy.linalg.svd(square, full_matrices=False, check_finite=False),
    }
    yield "matrix.eigenvalues 512 f64", {
        "numpy": lambda: np.linalg.eigvals(square),
        "scipy": lambda: scipy.linalg.eigvals(square, check_finite=False),
    }
    yield "matrix.eigenvalues 512 f64 symmetric", {
        "numpy": lambda: np.linalg.eigh(symmetric),
        "scipy": lambda: scipy.linalg.eigh(symmetric, check_finite=False),
    }
    yield "matrix.qr 512 f64", {
        "numpy": lambda: np.linalg.qr(square),
        "scipy": lambda: scipy.linalg.qr(square, mode="economic", check_finite=False),
    }

    a, b = uniform(1000, 32, 32), uniform(1000, 32, 32)
    yield "matrix.multiply 1000x32 f64", {"numpy": lambda: a @ b}
    yield from searches()
    yield from loads(folder)


def milliseconds(run):
    """One run."""
    start = time.perf_counter_ns()
    run()
    return (time.perf_counter_ns() - start) / 1e6


def measure(ways, seconds):
    """The faster way, run for about `seconds`, at least 5 times and at most 200."""
    first = {by: min(milliseconds(run) for _ in range(3)) for by, run in ways.items()}
    by = min(first, key=first.get)
    n = max(5, min(200, int(seconds * 1e3 / max(first[by], 1e-3))))
    times = [milliseconds(ways[by]) for _ in range(n)]
    return {
        "unit": "ms",
        "median": statistics.median(times),
        "min": min(times),
        "max": max(times),
        "n": n,
        "by": by,
    }


def machine():
    """The processor's name."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as info:
            for line in info:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", help="file to write; standard output when it is left out")
    parser.add_argument("--seconds", type=float, default=2.0, help="about how long each figure is measured")
    options = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory(prefix="peers-") as folder:
        for name, ways in work(Path(folder)):
            results.append({"name": name, **measure(ways, options.seconds)})
            print(f"{name}: {results[-1]['median']:.3f} ms ({results[-1]['by']})", file=sys.stderr)
    report = {"machine": machine(), "threads": THREADS, "results": results}
    report["versions"] = {m.__name__: m.__version__ for m in (np, scipy, faiss, pa)}
    text = json.dumps(report, indent=1) + "\n"
    if options.json:
        with open(options.json, "w", encoding="utf-8") as out:
            out.write(text)
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
