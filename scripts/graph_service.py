#!/usr/bin/env python3
"""Runs the graph operations over HTTP on graphs that are resident datasets, and holds every answer against SciPy.

    cargo build --release && python scripts/graph_service.py target/release/heliosdb-gpu-offload [--small]

The graphs: the dependencies of Debian's packages (`apt-cache dumpavail`; one node a name, one edge for each alternative of
Depends, Pre-Depends, Recommends and Suggests), a random one of a million nodes and ten million edges, and a grid of
1000 x 1000, whose diameter is long; --small makes the last two a hundred times smaller. Needs numpy, scipy, pyarrow, requests,
and apt for the first. Prints the time of the first request, in which the rows are made, and of the second. The second asks for
the same with the cache off.
"""
import argparse
import io
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import requests
import scipy.sparse as sp
from scipy.sparse import csgraph

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests/contract"))
from service import Service  # noqa: E402

MEDIA = "application/vnd.apache.arrow.stream"
FIELDS = re.compile(r"^(Depends|Pre-Depends|Recommends|Suggests): (.*)$")


def debian():
    """Edges between names of packages, numbered in the order they come up."""
    text = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, text=True, check=True).stdout
    numbers, edges, package = {}, [], None
    number = lambda name: numbers.setdefault(name, len(numbers))
    for line in text.splitlines():
        if line.startswith("Package: "):
            package = number(line[9:])
        elif found := FIELDS.match(line):
            for alternative in re.split(r"[,|]", found.group(2)):
                edges.append((package, number(re.split(r"[ (:]", alternative.strip(), maxsplit=1)[0])))
    return np.array(edges, dtype=np.uint64).T


def random(nodes, edges):
    rng = np.random.default_rng(5)
    return rng.integers(0, nodes, (2, edges), dtype=np.uint64)


def grid(side):
    at = np.arange(side * side, dtype=np.uint64).reshape(side, side)
    right = np.stack([at[:, :-1].ravel(), at[:, 1:].ravel()])
    down = np.stack([at[:-1].ravel(), at[1:].ravel()])
    return np.concatenate([right, down], axis=1)


class Graph:
    """A graph as SciPy has it: by index, in the order of the ids."""

    def __init__(self, src, dst, weight):
        self.ids, at = np.unique(np.concatenate([src, dst]), return_inverse=True)
        self.n = len(self.ids)
        self.u, self.v = at[: len(src)], at[len(src) :]
        self.w = weight
        self.loops = bool((self.u == self.v).any())

    def least(self, u, v, kept=slice(None)):
        """A matrix whose entries are the least weights of parallel edges; SciPy would add them up."""
        u, v, w = u[kept], v[kept], self.w[kept]
        order = np.lexsort((w, v, u))
        u, v, w = u[order], v[order], w[order]
        first = np.ones(len(u), dtype=bool)
        first[1:] = (u[1:] != u[:-1]) | (v[1:] != v[:-1])
        return sp.csr_array((w[first], (u[first], v[first])), shape=(self.n, self.n))

    def ones(self):
        return sp.csr_array((np.ones(len(self.u)), (self.u, self.v)), shape=(self.n, self.n))


def partition(labels):
    """The least index of each node's part."""
    labels = np.asarray(labels)
    _, first, back = np.unique(labels, return_index=True, return_inverse=True)
    return first[back]


def pagerank(matrix, damping=0.85, steps=200):
    """The power iteration to machine precision, with jumps from nodes without edges to all."""
    n = matrix.shape[0]
    out = np.asarray(matrix.sum(axis=1)).ravel()
    back = sp.csr_array(matrix.T)
    share = np.divide(1.0, out, out=np.zeros(n), where=out > 0)
    x = np.full(n, 1 / n)
    for _ in range(steps):
        new = damping * (back @ (x * share) + x[out == 0].sum() / n) + (1 - damping) / n
        done = np.abs(new - x).sum() < 1e-14
        x = new
        if done:
            break
    return x


class Checks:
    def __init__(self, service, name, g):
        self.service, self.name, self.g, self.bad = service, name, g, 0

    def ask(self, operation, directed=True, **inputs):
        body = {"inputs": {"graph": {"dataset": self.name, "directed": directed}, **inputs}, "cache": False, "timeout_ms": 120_000}
        took = []
        for _ in range(2):
            start = time.perf_counter()
            path = f"{self.service.base}/workloads/graph/{operation}"
            answer = requests.post(path, json=body, headers={"X-API-Key": self.service.key}, timeout=300)
            took.append(time.perf_counter() - start)
            if answer.status_code != 200:
                raise SystemExit(f"{self.name}: {operation}: {answer.status_code} {answer.text[:500]}")
        answer = answer.json()
        computed = answer["timings"]["compute_us"] / 1e3
        self.took = f"{took[0] * 1e3:7.0f} {took[1] * 1e3:7.0f} ms, of it computed {computed:6.0f}"
        return answer["result"]

    def holds(self, what, is_right):
        self.bad += not is_right
        print(f"  {what:44} {'equal' if is_right else 'DIFFERENT'}  {self.took}", flush=True)

    def run(self):
        g, ask = self.g, self.ask
        start = int(g.ids[g.u[0]])
        at = int(g.u[0])
        ones, least = g.ones(), g.least(g.u, g.v)

        got = ask("bfs", start=start)
        want = csgraph.dijkstra(ones, indices=at, unweighted=True)
        self.holds("bfs: levels", np.array_equal(np.asarray(got["levels"]), np.where(np.isinf(want), -1, want)))

        got = ask("shortest_path", start=start)
        want = csgraph.dijkstra(least, indices=at)
        reached = np.isfinite(want)
        same = np.array_equal(np.asarray(got["nodes"], dtype=np.uint64), g.ids[reached])
        self.holds("shortest_path: distances", same and np.allclose(got["distances"], want[reached], rtol=1e-12))

        for name, connection, directed in (("connected_components", "weak", False), ("strongly_connected", "strong", True)):
            got = ask(name, directed=directed)
            count, labels = csgraph.connected_components(ones, directed=True, connection=connection)
            same = got["count"] == count
            same &= np.array_equal(np.asarray(got["labels"], dtype=np.uint64), g.ids[partition(labels)])
            self.holds(f"{name}: {count}", same)
        is_acyclic = count == g.n and not g.loops

        got = ask("detect_cycles")
        self.holds(f"detect_cycles: {'no' if is_acyclic else 'a'} cycle", got["acyclic"] == is_acyclic)

        got = ask("pagerank", tolerance=1e-15, iterations=300, ignore_weights=True)
        apart = np.abs(np.asarray(got["scores"]) - pagerank(ones)).sum()
        self.holds(f"pagerank: {apart:.1e} apart in sum", apart < 1e-6)

        got = ask("minimum_spanning_tree", directed=False)
        low, high = np.minimum(g.u, g.v), np.maximum(g.u, g.v)
        apart = low != high
        half = g.least(low, high, kept=apart)
        tree = csgraph.minimum_spanning_tree(half)
        self.holds(f"minimum_spanning_tree: weight {got['weight']:.6g}", np.isclose(got["weight"], tree.sum(), rtol=1e-12))


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("binary", type=Path)
    arguments.add_argument("--small", action="store_true")
    given = arguments.parse_args()
    size = 100 if given.small else 1
    graphs = {"debian": debian, "random": lambda: random(10**6 // size, 10**7 // size), "grid": lambda: grid(100 if given.small else 1000)}
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        service = Service(given.binary, Path(folder))
        try:
            for name, make in graphs.items():
                src, dst = make()
                weight = (np.arange(len(src)) * 7 % 13 + 1).astype(np.float64)
                table = pa.table({"src": src, "dst": dst, "weight": weight})
                body = io.BytesIO()
                with pa.ipc.new_stream(body, table.schema) as stream:
                    stream.write_table(table)
                start = time.perf_counter()
                answer = put(service, f"/datasets/{name}", body.getvalue())
                if answer.status_code != 201:
                    raise SystemExit(f"{name}: {answer.status_code} {answer.text[:500]}")
                stored = time.perf_counter() - start
                g = Graph(src, dst, weight)
                print(f"{name}: {g.n} nodes, {len(src)} edges, stored in {stored:.2f} s", flush=True)
                checks = Checks(service, name, g)
                checks.run()
                bad += checks.bad
        finally:
            service.stop()
    sys.exit(f"{bad} answers differ" if bad else 0)


def put(service, path, body):
    headers = {"X-API-Key": service.key, "Content-Type": MEDIA}
    return requests.put(service.base + path, data=body, headers=headers, timeout=120)


if __name__ == "__main__":
    main()
