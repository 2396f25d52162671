#!/usr/bin/env python3
"""The work of `bench --gpu`, done by PyTorch, CuPy and SciPy on the same machine.

    gpu_peers.py --works bench.json --json peers.json [--budget-s 120] [--only torch,cupy,scipy]
    gpu_peers.py --works bench.json --json peers.json --table

Reads what was measured (names, shapes, types, seeds) from the document that `heliosdb-gpu-offload bench --gpu --json`
wrote, makes the same inputs, and writes, after each figure again:

    {"kind": "peers", "complete": true, "device": "…", "libraries": {"torch": "2.11.0, CUDA 13.0", "cupy": "absent: …"},
     "results": [{"name": "…", "library": "torch", "ms": {"median": 0.0, "min": 0.0, "p95": 0.0}, "runs": 20,
                  "norm": 0.0, "agrees": true}]}

`agrees` compares the norm of the answer with ours, null where one of the two is not there. A result that could not be
had has an `error` in place of `ms`. A library that is missing is said so; nothing here fails for it. GPU times are by
events of the device with inputs resident, CPU times by the clock.
"""

import argparse
import json
import platform
import statistics
import sys
import time

WARM_UP, MOST_RUNS, LEAST_RUNS, ENOUGH_S, SLOW_S = 2, 20, 5, 0.3, 1.0
CHUNK = 1 << 24
MASK = (1 << 64) - 1
# Norms of f32 answers over a few thousand terms; whoever computed something else is off by far more.
SAME_NORM = 1e-3
# What a CPU is spared.
CPU_FLOPS, CPU_ELEMENTS = 1.5e11, 1.4e8


def places(xp, first, last, kind, shape):
    """Where the numbers of these places come from, and which of the places lie on a diagonal."""
    place = xp.arange(first, last, dtype=xp.int64)
    if kind == "uniform":
        return place, None
    columns, rows = shape[-1], shape[-2]
    i, j = place // columns % rows, place % columns
    source = place
    if kind != "dominant":
        source = xp.where(i < j, place - (i * columns + j) + j * columns + i, place)
    return source, (i == j) if kind != "symmetric" else None


def clocked(call):
    start = time.perf_counter()
    got = call()
    return (time.perf_counter() - start) * 1e3, got


class Arrays:
    """NumPy, or CuPy, which has the same face."""

    def __init__(self, xp):
        self.xp = xp

    def numbers(self, seed, source):
        xp = self.xp
        z = xp.uint64(seed) + (source.astype(xp.uint64) + xp.uint64(1)) * xp.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> xp.uint64(30))) * xp.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> xp.uint64(27))) * xp.uint64(0x94D049BB133111EB)
        return ((z ^ (z >> xp.uint64(31))) >> xp.uint64(40)).astype(xp.float64) / 8388608.0 - 1.0

    def make(self, of):
        xp, shape = self.xp, of["shape"]
        size = 1
        for extent in shape:
            size *= extent
        out = xp.empty(size, dtype=xp.float32 if of["dtype"] == "f32" else xp.float64)
        for first in range(0, size, CHUNK):
            last = min(size, first + CHUNK)
            source, diagonal = places(xp, first, last, of["kind"], shape)
            part = self.numbers(of["seed"], source)
            if diagonal is not None:
                part = part + diagonal * float(shape[-2])
            out[first:last] = part
        return out.reshape(shape)

    def norm(self, x):
        return float(self.xp.linalg.norm(x.ravel().astype(self.xp.float64)))


class Torch:
    """PyTorch on its first CUDA (or ROCm) device; on the CPU only to try this script out."""

    name = "torch"

    def __init__(self, on="cuda"):
        import torch

        self.t, self.on = torch, on
        self.version = f"{torch.__version__}, CUDA {torch.version.cuda}"
        if on == "cpu":
            self.version, self.device = f"{torch.__version__} on the CPU", f"{platform.machine()} CPU"
            return
        if not torch.cuda.is_available():
            raise RuntimeError("it sees no GPU")
        self.device = torch.cuda.get_device_name(0)

    def numbers(self, seed, source):
        def signed(x):
            return x - (1 << 64) if x >> 63 else x

        def shifted(z, by):
            return (z >> by) & ((1 << (64 - by)) - 1)

        z = seed + (source + 1) * signed(0x9E3779B97F4A7C15)
        z = (z ^ shifted(z, 30)) * signed(0xBF58476D1CE4E5B9)
        z = (z ^ shifted(z, 27)) * signed(0x94D049BB133111EB)
        return shifted(z ^ shifted(z, 31), 40).to(self.t.float64) / 8388608.0 - 1.0

    def make(self, of):
        torch, shape = self.t, of["shape"]
        size = 1
        for extent in shape:
            size *= extent
        dtype = torch.float32 if of["dtype"] == "f32" else torch.float64
        out = torch.empty(size, dtype=dtype, device=self.on)
        with torch.device(self.on):
            for first in range(0, size, CHUNK):
                last = min(size, first + CHUNK)
                source, diagonal = places(torch, first, last, of["kind"], shape)
                part = self.numbers(of["seed"], source)
                if diagonal is not None:
                    part = part + diagonal * float(shape[-2])
                out[first:last] = part.to(dtype)
        return out.reshape(shape)

    def norm(self, x):
        return float(self.t.linalg.norm(x.reshape(-1).to(self.t.float64)))

    def timed(self, call):
        if self.on == "cpu":
            return clocked(call)
        start, end = (self.t.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        got = call()
        end.record()
        end.synchronize()
        return start.elapsed_time(end), got

    def forget(self):
        if self.on != "cpu":
            self.t.cuda.empty_cache()

    def call(self, work, x, has):
        torch = self.t
        linalg = torch.linalg
        operation = work["operation"]
        if operation.startswith("vector."):
            return self.search(x, has)
        torch.backends.cuda.matmul.allow_tf32 = has.get("precision") == "tf32"
        return {
            "matrix.multiply": lambda: torch.matmul(x["a"], x["b"]),
            "matrix.matvec": lambda: torch.mv(x["a"], x["x"]),
            "matrix.transpose": lambda: x["a"].mT.contiguous(),
            "matrix.inverse": lambda: linalg.inv(x["a"]),
            "matrix.solve": lambda: linalg.solve(x["a"], x["b"]),
            "matrix.cholesky": lambda: linalg.cholesky(x["a"]),
            "matrix.qr": lambda: linalg.qr(x["a"])[1],
            "matrix.svd": lambda: linalg.svd(x["a"], full_matrices=False)[1],
            "matrix.eigenvalues": lambda: linalg.eigh(x["a"])[0],
        }[operation]

    def search(self, x, has):
        """A product and `topk`. Norms are formed beforehand, which is in the peer's favour."""
        torch = self.t
        torch.backends.cuda.matmul.allow_tf32 = False
        queries, corpus = x.get("queries", x.get("query")), x["corpus"]
        k = has.get("top_k", has.get("k", 10))
        if has.get("metric") == "l2":
            squares = (corpus * corpus).sum(1)
            own = (queries * queries).sum(1, keepdim=True)

            def nearest():
                far = torch.addmm(squares, queries, corpus.T, alpha=-2.0)
                return (far.topk(k, largest=False).values + own).clamp_min(0).sqrt()

            return nearest
        unit, corpus = torch.nn.functional.normalize(queries), torch.nn.functional.normalize(corpus)
        return lambda: (unit @ corpus.T).topk(k).values


class CuPy(Arrays):
    """CuPy on its first device."""

    name = "cupy"

    def __init__(self):
        import cupy

        super().__init__(cupy)
        count = cupy.cuda.runtime.getDeviceCount()
        if count == 0:
            raise RuntimeError("it sees no GPU")
        self.version = f"{cupy.__version__}, CUDA {cupy.cuda.runtime.runtimeGetVersion()}"
        self.device = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()

    def timed(self, call):
        start, end = self.xp.cuda.Event(), self.xp.cuda.Event()
        start.record()
        got = call()
        end.record()
        end.synchronize()
        return self.xp.cuda.get_elapsed_time(start, end), got

    def forget(self):
        self.xp.get_default_memory_pool().free_all_blocks()

    def call(self, work, x, has):
        if has.get("precision") == "tf32":
            raise NotImplementedError("no switch for tf32 per product")
        return array_call(self.xp, self.xp.linalg, work, x, has)


class SciPy(Arrays):
    """SciPy, and NumPy beneath it, on the CPU."""

    name = "scipy"

    def __init__(self):
        import numpy
        import scipy
        import scipy.linalg

        super().__init__(numpy)
        self.linalg = scipy.linalg
        self.version = f"{scipy.__version__}, NumPy {numpy.__version__}"
        self.device = f"{platform.machine()} CPU"

    def timed(self, call):
        return clocked(call)

    def forget(self):
        pass

    def call(self, work, x, has):
        if has.get("precision") == "tf32":
            raise NotImplementedError("no tf32")
        # Stacks are NumPy's.
        stacked = any(v.ndim > 2 for v in x.values())
        return array_call(self.xp, self.xp.linalg if stacked else self.linalg, work, x, has)


def array_call(xp, linalg, work, x, has):
    def search():
        queries, corpus = x.get("queries", x.get("query")), x["corpus"]
        k = has.get("top_k", has.get("k", 10))
        if has.get("metric") == "l2":
            squares, own = (corpus * corpus).sum(1), (queries * queries).sum(1, keepdims=True)

            def nearest():
                far = squares - 2 * (queries @ corpus.T)
                return xp.sqrt(xp.maximum(xp.partition(far, k - 1, axis=1)[:, :k] + own, 0))

            return nearest
        unit, rows = (v / xp.linalg.norm(v, axis=1, keepdims=True) for v in (queries, corpus))
        return lambda: -xp.partition(-(unit @ rows.T), k - 1, axis=1)[:, :k]

    def cholesky():
        return linalg.cholesky(x["a"], lower=True) if linalg is not xp.linalg else linalg.cholesky(x["a"])

    def qr():
        return linalg.qr(x["a"], mode="economic")[1] if linalg is not xp.linalg else linalg.qr(x["a"])[1]

    operation = work["operation"]
    if operation.startswith("vector."):
        return search()
    return {
        "matrix.multiply": lambda: x["a"] @ x["b"],
        "matrix.matvec": lambda: x["a"] @ x["x"],
        "matrix.transpose": lambda: xp.ascontiguousarray(x["a"].T),
        "matrix.inverse": lambda: linalg.inv(x["a"]),
        "matrix.solve": lambda: linalg.solve(x["a"], x["b"]),
        "matrix.cholesky": cholesky,
        "matrix.qr": qr,
        "matrix.svd": lambda: linalg.svd(x["a"], full_matrices=False)[1],
        "matrix.eigenvalues": lambda: linalg.eigh(x["a"])[0],
    }[operation]


def measure(library, work, made, until):
    tensors = {i["name"]: i for i in work["inputs"] if "shape" in i}
    has = {i["name"]: i["value"] for i in work["inputs"] if "value" in i}
    keys = {n: (i["kind"], i["dtype"], tuple(i["shape"]), i["seed"]) for n, i in tensors.items()}
    # Inputs of the work before that this one does not need go first: a corpus takes gigabytes.
    for key in set(made) - set(keys.values()):
        del made[key]
    library.forget()
    for name, of in tensors.items():
        if keys[name] not in made:
            made[keys[name]] = library.make(of)
    x = {n: made[keys[n]] for n in tensors}
    if "query" in x and x["query"].ndim == 1:
        x["query"] = x["query"][None, :]
    call = library.call(work, x, has)
    for _ in range(WARM_UP):
        took, got = library.timed(call)
        if took > 1e3 * SLOW_S:
            break
    norm = library.norm(got)
    del got
    times = []
    least = 2 if took > 1e3 * SLOW_S else LEAST_RUNS
    start = time.monotonic()
    while len(times) < MOST_RUNS and (len(times) < least or time.monotonic() - start < ENOUGH_S):
        if times and time.monotonic() > until:
            break
        times.append(library.timed(call)[0])
    times.sort()
    p95 = times[min(len(times) - 1, -(-(len(times) - 1) * 95 // 100))]
    ms = {"median": statistics.median(times), "min": times[0], "p95": p95}
    return {"ms": ms, "runs": len(times), "norm": norm}


def same(ours, theirs):
    if ours is None or theirs is None:
        return None
    return abs(ours - theirs) <= SAME_NORM * abs(theirs)


def spared(library, work):
    if library.name != "scipy":
        return None
    elements = 0
    for i in work["inputs"]:
        size = 1
        for extent in i.get("shape", [0]):
            size *= extent
        elements += size
    # Vectors of large matrices take a CPU minutes.
    slow = 4.0 if work["operation"] in ("matrix.svd", "matrix.eigenvalues") else 1.0
    if work["flops"] * slow > CPU_FLOPS or elements > CPU_ELEMENTS:
        return "too large for a CPU here"
    return None


def run(works, path, budget_s, only, torch_on):
    until = time.monotonic() + budget_s
    document = {"kind": "peers", "complete": False, "python": platform.python_version(), "device": None,
                "libraries": {}, "results": []}

    def write():
        with open(path, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
            file.write("\n")

    write()
    for kind in (Torch, CuPy, SciPy):
        if only and kind.name not in only:
            continue
        try:
            library = kind(torch_on) if kind is Torch else kind()
        except Exception as why:  # noqa: BLE001 - a missing library fails in many ways
            document["libraries"][kind.name] = f"absent: {why}"
            print(f"{kind.name}: absent: {why}", flush=True)
            write()
            continue
        document["libraries"][kind.name] = library.version
        document["device"] = document["device"] or library.device
        print(f"{kind.name} {library.version} on {library.device}", flush=True)
        made = {}
        for work in works["works"]:
            result = {"name": work["name"], "library": kind.name}
            why = "no time" if time.monotonic() > until else spared(library, work)
            if why is None:
                try:
                    result |= measure(library, work, made, until)
                    result["agrees"] = same(work.get("norm"), result["norm"])
                except Exception as error:  # noqa: BLE001 - one that fails must not end the others
                    why = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            if why is not None:
                result["error"] = why
            document["results"].append(result)
            said = result.get("error") or f"{result['ms']['median']:.3f} ms, agrees: {result['agrees']}"
            print(f"  {work['name']}: {said}", flush=True)
            write()
        made.clear()
        library.forget()
    document["complete"] = True
    write()


def table(ours, peers):
    by = {(r["name"], r["library"]): r for r in peers["results"]}
    print(f"{'median ms of computing':<58} {'ours':>10} {'torch':>10} {'cupy':>10} {'scipy':>10}  goal")
    for work in ours["works"]:
        name = work["name"]
        own = work["compute_ms"]["median"] if work["status"] == "measured" else None
        cells = [f"{own:.3f}" if own is not None else work["status"]]
        differ = []
        for library in ("torch", "cupy", "scipy"):
            result = by.get((name, library), {})
            cells.append(f"{result['ms']['median']:.3f}" if "ms" in result else "–")
            if result.get("agrees") is False:
                differ.append(library)
        goal = work.get("goal") or {}
        said = ""
        if "compute_ms_at_most" in goal and own is not None:
            said = f"≤ {goal['compute_ms_at_most']} ms: {'met' if work['goal_met'] else 'NOT MET'}"
        elif "peer" in goal and own is not None:
            peer = by.get((name, goal["peer"]), {})
            if "ms" in peer:
                share = peer["ms"]["median"] / own
                met = "met" if share >= goal["speed_at_least"] else "NOT MET"
                said = f"{share:.2f} × {goal['peer']}, ≥ {goal['speed_at_least']}: {met}"
        if differ:
            said += f"  ANSWERS DIFFER from {', '.join(differ)}"
        print(f"{name:<58} " + " ".join(f"{c:>10}" for c in cells) + f"  {said}")


def read(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--works", required=True, help="the document of bench --gpu")
    parser.add_argument("--json", required=True, help="where figures go (or come from, with --table)")
    parser.add_argument("--budget-s", type=float, default=120.0)
    parser.add_argument("--only", default="", help="libraries, by commas")
    parser.add_argument("--torch-on", default="cuda", choices=("cuda", "cpu"), help="cpu: to try this script out")
    parser.add_argument("--table", action="store_true", help="print ours beside theirs and stop")
    flags = parser.parse_args()
    if flags.table:
        try:
            peers = read(flags.json)
        except OSError as why:
            print(f"peers: {why}")
            peers = {"results": []}
        return table(read(flags.works), peers)
    run(read(flags.works), flags.json, flags.budget_s, [n for n in flags.only.split(",") if n], flags.torch_on)
    return None


if __name__ == "__main__":
    sys.exit(main())
