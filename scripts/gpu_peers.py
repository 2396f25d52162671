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


# What is there beside matrices: a number of its place alone.
PLAIN = ("uniform", "positive", "reading", "place", "below", "grid_from", "grid_to")


def plain(xp, of, place, number):
    """The elements at these places; `number` gives the number of a place."""
    kind, n = of["kind"], of.get("of")
    if kind == "place":
        return place
    if kind in ("grid_from", "grid_to"):
        across, end = n * (n - 1), int(kind == "grid_to")
        beneath = place - across
        return xp.where(beneath < 0, place // (n - 1) * n + place % (n - 1) + end, beneath + end * n)
    u = number(place)
    if kind == "positive":
        return 0.5 - u / 2.0
    if kind == "reading":
        triangle = abs((place % 2880) / 1440.0 - 1.0)
        return xp.floor(2000.0 + 500.0 * triangle + 25.0 * u) / 100.0
    return xp.floor((u + 1.0) / 2.0 * n) if kind == "below" else u


def places(xp, first, last, kind, shape):
    """Where the numbers of these places come from, and which of the places lie on a diagonal."""
    place = xp.arange(first, last, dtype=xp.int64)
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
        out = xp.empty(size, dtype={"f32": xp.float32, "f64": xp.float64}.get(of["dtype"], xp.int64))
        for first in range(0, size, CHUNK):
            last = min(size, first + CHUNK)
            if of["kind"] in PLAIN:
                place = xp.arange(first, last, dtype=xp.int64)
                out[first:last] = plain(xp, of, place, lambda place: self.numbers(of["seed"], place))
                continue
            source, diagonal = places(xp, first, last, of["kind"], shape)
            part = self.numbers(of["seed"], source)
            if diagonal is not None:
                part = part + diagonal * float(shape[-2])
            out[first:last] = part
        return out.reshape(shape)

    def norm(self, x):
        x = self.xp.asarray(x).ravel().astype(self.xp.float64)
        return float(self.xp.linalg.norm(x[self.xp.isfinite(x)]))


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
        dtype = {"f32": torch.float32, "f64": torch.float64}.get(of["dtype"], torch.int64)
        out = torch.empty(size, dtype=dtype, device=self.on)
        with torch.device(self.on):
            for first in range(0, size, CHUNK):
                last = min(size, first + CHUNK)
                if of["kind"] in PLAIN:
                    place = torch.arange(first, last, dtype=torch.int64)
                    part = plain(torch, of, place, lambda place: self.numbers(of["seed"], place))
                    out[first:last] = part.to(dtype)
                    continue
                source, diagonal = places(torch, first, last, of["kind"], shape)
                part = self.numbers(of["seed"], source)
                if diagonal is not None:
                    part = part + diagonal * float(shape[-2])
                out[first:last] = part.to(dtype)
        return out.reshape(shape)

    def norm(self, x):
        x = x.reshape(-1).to(self.t.float64)
        return float(self.t.linalg.norm(x[self.t.isfinite(x)]))

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
        if operation.startswith("timeseries."):
            return self.series(operation, x, has)
        if operation == "graph.pagerank":
            return self.pagerank(x, has)
        if operation.startswith("graph."):
            raise NotImplementedError("not in this library")
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


    def pagerank(self, x, has):
        """Its steps as products of a sparse matrix, which is made beforehand."""
        torch, n = self.t, x["graph.nodes"].numel()
        src, dst = x["graph.src"], x["graph.dst"]
        leaving = torch.bincount(src, minlength=n).to(torch.float64)
        one = torch.ones(len(src), dtype=torch.float64, device=src.device)
        into = torch.sparse_coo_tensor(torch.stack((dst, src)), one, (n, n)).coalesce().to_sparse_csr()
        share, dangling = torch.where(leaving > 0, 1.0 / leaving, 0.0), leaving == 0

        def steps():
            at = torch.full((n,), 1.0 / n, dtype=torch.float64, device=src.device)
            for _ in range(has["iterations"]):
                jump = at[dangling].sum() / n * 0.85 + 0.15 / n
                new = torch.mv(into, at * share) * 0.85 + jump
                (new - at).abs().sum()
                at = new
            return at

        return steps

    def series(self, operation, x, has):
        torch, pool = self.t, self.t.nn.functional
        if operation == "timeseries.rolling":
            data, window, of = x["data"][:, None, :], has["window"], has["statistics"][0]
            windows = x["data"].unfold(1, window, 1)
            return {
                "mean": lambda: pool.avg_pool1d(data, window, 1),
                "min": lambda: -pool.max_pool1d(-data, window, 1),
                "std": lambda: windows.std(2),
                "median": lambda: windows.median(2).values,
            }[of]
        if operation == "timeseries.anomaly_detection" and has["method"] == "mad" and "window" not in has:

            def robust():
                data = x["data"]
                off = (data - data.quantile(0.5, 1, keepdim=True)).abs()
                return off / (off.quantile(0.5, 1, keepdim=True) * 1.4826022185056018)

            return robust
        if operation == "timeseries.correlate":

            def correlate():
                data = x["a"] - x["a"].mean()
                n, lags = len(data), has["max_lag"] + 1
                along = torch.fft.rfft(data, 1 << (n + lags - 1).bit_length())
                return torch.fft.irfft(along * along.conj())[:lags] / (data * data).sum()

            return correlate
        raise NotImplementedError("not in this library")


class CuPy(Arrays):
    """CuPy on its first device."""

    name = "cupy"

    def __init__(self):
        import cupy

        super().__init__(cupy)
        import cupyx.scipy.sparse

        self.sparse = cupyx.scipy.sparse
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
        return array_call(self.xp, self.xp.linalg, (self.sparse, None), work, x, has)


class SciPy(Arrays):
    """SciPy, and NumPy beneath it, on the CPU."""

    name = "scipy"

    def __init__(self):
        import numpy
        import scipy
        import scipy.linalg

        super().__init__(numpy)
        self.linalg = scipy.linalg
        import scipy.sparse
        import scipy.sparse.csgraph

        self.graphs = scipy.sparse, scipy.sparse.csgraph
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
        return array_call(self.xp, self.xp.linalg if stacked else self.linalg, self.graphs, work, x, has)


def graph_call(xp, sparse, csgraph, work, x, has):
    """A graph as a sparse matrix, made beforehand; repeated edges add up there, so only weights that are one choice of
    several (distances, forests) differ where edges repeat, by less than norms are compared by."""
    n = len(x["graph.nodes"])
    src, dst = x["graph.src"], x["graph.dst"]
    weight = x.get("graph.weight")
    of = xp.ones(len(src)) if weight is None else weight
    operation, directed = work["operation"], bool(has["graph.directed"])
    if operation == "graph.pagerank":
        into = sparse.csr_matrix((of, (dst, src)), shape=(n, n))
        leaving = xp.bincount(src, minlength=n).astype(xp.float64)
        share, dangling = xp.where(leaving > 0, 1.0 / xp.maximum(leaving, 1.0), 0.0), leaving == 0

        def steps():
            at = xp.full(n, 1.0 / n)
            for _ in range(has["iterations"]):
                jump = at[dangling].sum() / n * 0.85 + 0.15 / n
                new = into @ (at * share) * 0.85 + jump
                abs(new - at).sum()
                at = new
            return at

        return steps
    if csgraph is None:
        raise NotImplementedError("not in this library")
    # Of repeated edges the lightest counts.
    order = xp.lexsort((of, dst, src))
    src, dst, of = src[order], dst[order], of[order]
    first = xp.ones(len(src), dtype=bool)
    first[1:] = (src[1:] != src[:-1]) | (dst[1:] != dst[:-1])
    rows = sparse.csr_matrix((of[first], (src[first], dst[first])), shape=(n, n))

    def smallest(labels):
        """The smallest node of each one's component, as ours are named."""
        _, found = xp.unique(labels, return_index=True)
        return found[labels]

    def breadth_first():
        order, before = csgraph.breadth_first_order(rows, 0, directed=directed)

        def levels():
            level = xp.full(n, -1)
            level[0] = 0
            for node in order[1:]:
                level[node] = level[before[node]] + 1
            return level

        return levels

    def components(connection, directed):
        labels = csgraph.connected_components(rows, connection=connection, directed=directed)[1]
        return lambda: smallest(labels)

    return {
        "graph.bfs": breadth_first,
        "graph.shortest_path": lambda: csgraph.dijkstra(rows, directed=directed, indices=0),
        "graph.connected_components": lambda: components("weak", False),
        "graph.strongly_connected": lambda: components("strong", True),
        "graph.minimum_spanning_tree": lambda: csgraph.minimum_spanning_tree(rows).sum(),
        "graph.all_pairs": lambda: csgraph.dijkstra(rows, directed=directed),
    }[operation]


def series_call(xp, work, x, has):
    """Time series by arrays."""
    operation = work["operation"]
    if operation == "timeseries.correlate":

        def correlate():
            data = x["a"] - x["a"].mean()
            n, lags = len(data), has["max_lag"] + 1
            along = xp.fft.rfft(data, 1 << (n + lags - 1).bit_length())
            return xp.fft.irfft(along * along.conj())[:lags] / (data * data).sum()

        return correlate
    if operation == "timeseries.anomaly_detection" and has["method"] == "mad" and "window" not in has:

        def robust():
            data = x["data"]
            off = abs(data - xp.median(data, axis=1, keepdims=True))
            return off / (xp.median(off, axis=1, keepdims=True) * 1.4826022185056018)

        return robust
    raise NotImplementedError("not in this library")


def array_call(xp, linalg, graphs, work, x, has):
    family = work["operation"].split(".")[0]
    if family == "graph":
        return graph_call(xp, *graphs, work, x, has)
    if family == "timeseries":
        return series_call(xp, work, x, has)

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
    # What only the comparison needs is made outside the time.
    norm = library.norm(got() if callable(got) else got)
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
    if any(i.get("kind") == "ready" for i in work["inputs"]):
        return "only we read this format"
    if library.name != "scipy":
        return None
    elements = 0
    for i in work["inputs"]:
        size = 1
        for extent in i.get("shape", [0]):
            size *= extent
        elements += size
    if work["operation"].startswith("graph.") and elements > 8e6:
        return "too large for a CPU here: scripts/graph_peers.py has it"
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
