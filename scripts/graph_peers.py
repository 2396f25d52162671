#!/usr/bin/env python3
"""Times scipy.sparse.csgraph and networkx's PageRank on the graphs of crates/offload-ops/graph/examples/time.rs.

Run it in a virtual environment with numpy, scipy and networkx: `graph_peers.py [nodes edges]`. Two figures each: from the columns of
edges (as a request has them, so with the conversion to rows), and from rows that exist already. networkx's own graph of ten million edges takes
minutes and many gigabytes to build, so its PageRank is timed on the SciPy matrix that it makes of such a graph: the loop is
networkx's, line by line in meaning.
"""
import statistics
import sys
import time

import numpy as np
import scipy
import scipy.sparse as sp
from scipy.sparse import csgraph


def mixed(i):
    z = i * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def weights(m):
    return ((mixed(3 * np.arange(m, dtype=np.uint64) + np.uint64(3)) >> np.uint64(40)) + np.uint64(1)).astype(np.float64) / 2**24


def random(n, m):
    i = 3 * np.arange(m, dtype=np.uint64)
    return (mixed(i + np.uint64(1)) % np.uint64(n)).astype(np.int32), (mixed(i + np.uint64(2)) % np.uint64(n)).astype(np.int32)


def grid(side):
    at = np.arange(side * side, dtype=np.int64).reshape(side, side)
    edges = []
    # In the order of the Rust program: right, then down, node by node.
    right = np.full((side, side), -1)
    right[:, :-1] = at[:, 1:]
    down = np.full((side, side), -1)
    down[:-1] = at[1:]
    both = np.stack([right, down], axis=2).reshape(-1)
    u = np.repeat(at.reshape(-1), 2)
    keep = both >= 0
    return u[keep].astype(np.int32), both[keep].astype(np.int32)


def timed(name, f, runs=3):
    t, c = [], []
    for _ in range(runs):
        s, p = time.perf_counter(), time.process_time()
        f()
        t.append(time.perf_counter() - s)
        c.append(time.process_time() - p)
    print(f"{name:44} {statistics.median(t) * 1e3:9.1f} ms, least {min(t) * 1e3:9.1f}, of the processors {statistics.median(c) * 1e3:9.1f}", flush=True)


def both(name, rows, f, runs=3):
    timed(f"{name}, from columns", lambda: f(rows()), runs)
    a = rows()
    timed(f"{name}, from rows", lambda: f(a), runs)


def pagerank(a, alpha=0.85, max_iter=100, tol=1e-6):
    n = a.shape[0]
    s = a.sum(axis=1)
    s[s != 0] = 1.0 / s[s != 0]
    a = sp.dia_array((s, 0), shape=a.shape).tocsr() @ a
    x = np.repeat(1.0 / n, n)
    p = np.repeat(1.0 / n, n)
    dangling = np.where(s == 0)[0]
    for i in range(max_iter):
        last = x
        x = alpha * (x @ a + sum(x[dangling]) * p) + (1 - alpha) * p
        if np.absolute(x - last).sum() < n * tol:
            return x, i + 1
    raise RuntimeError("no convergence")


def main():
    n, m = (int(sys.argv[1]), int(sys.argv[2])) if len(sys.argv) > 2 else (1_000_000, 10_000_000)
    print("numpy", np.__version__, "scipy", scipy.__version__)
    u, v = random(n, m)
    ones = np.ones(m)
    plain = lambda: sp.csr_array((ones, (u, v)), shape=(n, n))
    both("bfs, directed", plain, lambda a: csgraph.breadth_first_order(a, 0))
    both("connected_components", plain, lambda a: csgraph.connected_components(a, directed=False))
    both("strongly_connected", plain, lambda a: csgraph.connected_components(a, connection="strong"))
    both("pagerank", plain, pagerank)
    both("bfs, no directions", plain, lambda a: csgraph.breadth_first_order(a, 0, directed=False))
    w = weights(m)
    weighted = lambda: sp.csr_array((w, (u, v)), shape=(n, n))
    both("shortest_path (dijkstra)", weighted, lambda a: csgraph.dijkstra(a, indices=0, return_predecessors=True))
    both("minimum_spanning_tree", weighted, csgraph.minimum_spanning_tree)
    u, v = grid(1000)
    w = weights(len(u))
    rows = lambda: sp.csr_array((w, (u, v)), shape=(1000000, 1000000))
    both("grid: bfs", rows, lambda a: csgraph.breadth_first_order(a, 0, directed=False))
    both("grid: shortest_path (dijkstra)", rows, lambda a: csgraph.dijkstra(a, directed=False, indices=0, return_predecessors=True))
    both("grid: connected_components", rows, lambda a: csgraph.connected_components(a, directed=False))
    both("grid: minimum_spanning_tree", rows, csgraph.minimum_spanning_tree)
    both("grid: pagerank", lambda: rows() + rows().T, pagerank)


main()
