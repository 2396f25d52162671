"""NumPy and SciPy on the work that `heliosdb-gpu-offload bench` measures; the faster of the two counts.

Writes {"machine", "threads", "results": [{"name", "unit", "median", "min", "max", "n", "by"}]}. The threads are those
of OPENBLAS_NUM_THREADS, which must be set before NumPy is loaded.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time

THREADS = int(os.environ.setdefault("OPENBLAS_NUM_THREADS", str(len(os.sched_getaffinity(0)))))

import numpy as np  # noqa: E402
import scipy.linalg  # noqa: E402

random = np.random.default_rng(7)


def uniform(*shape, dtype=np.float64):
    """Entries within [-1, 1)."""
    return random.uniform(-1.0, 1.0, shape).astype(dtype)


def work():
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
    for name, ways in work():
        results.append({"name": name, **measure(ways, options.seconds)})
        print(f"{name}: {results[-1]['median']:.3f} ms ({results[-1]['by']})", file=sys.stderr)
    report = {"machine": machine(), "threads": THREADS, "results": results}
    report["versions"] = {"numpy": np.__version__, "scipy": scipy.__version__}
    text = json.dumps(report, indent=1) + "\n"
    if options.json:
        with open(options.json, "w", encoding="utf-8") as out:
            out.write(text)
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
