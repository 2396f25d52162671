#!/usr/bin/env python3
"""Writes crates/offload-ops/graph/data/figures.json: networkx's and SciPy's figures for the worked examples of the graph family.

Run it in a virtual environment with numpy, scipy and networkx, from the repository's root. Weights are quarters, so that sums of
them are exact in f64. Where networkx leaves a choice open (which of several parents), the rule of the operation's page is
applied here in a few plain lines.
"""
import itertools
import json
import random
from pathlib import Path

import networkx as nx
import numpy as np
import scipy
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, floyd_warshall

BIG = 2**64 - 1


def graphs():
    r = random.Random(20240607)
    quarter = lambda a, b: r.randint(a, b) / 4

    def rand(name, n, m, directed, weights=None, ids=None):
        ids = ids or list(range(n))
        edges = [[ids[r.randrange(n)], ids[r.randrange(n)]] + ([quarter(*weights)] if weights else []) for _ in range(m)]
        return name, ids, edges, directed

    yield "the design's four nodes", [0, 1, 2, 3], [[0, 1, 1.0], [0, 2, 4.0], [1, 3, 2.0], [2, 3, 1.0]], True
    yield "one node", [7], [], True
    yield "one node with a loop", [7], [[7, 7, 2.5]], True
    yield "nodes without edges", [3, 1, 2], [], False
    yield "two nodes joined twice", None, [[5, 9, 2.0], [5, 9, 1.0], [9, 5, 4.0]], True
    yield "two nodes joined twice, no directions", None, [[5, 9, 2.0], [9, 5, 1.0]], False
    yield "ids at the end of 64 bits", [BIG, 0], [[BIG, 2**63, 1.0], [2**63, 2**63 - 1, 2.0], [0, BIG, 0.5], [2**63 - 1, 0, 8.0]], True
    yield "a path", list(range(12)), [[i, i + 1, 1.0 + i / 4] for i in range(11)], True
    yield "a path without directions", list(range(12)), [[i, i + 1] for i in range(11)], False
    yield "a ring", list(range(9)), [[i, (i + 1) % 9, 1.5] for i in range(9)], True
    yield "a ring without directions", list(range(9)), [[i, (i + 1) % 9, (i % 4 + 1) / 4] for i in range(9)], False
    yield "a star", list(range(15)), [[0, i, float(i)] for i in range(1, 15)], True
    yield "everybody with everybody", list(range(8)), [[i, j, quarter(1, 40)] for i in range(8) for j in range(i)], False
    side = 6
    yield "a grid", list(range(side * side)), [[i * side + j, k, quarter(1, 20)] for i in range(side) for j in range(side)
        for k in ([i * side + j + 1] if j + 1 < side else []) + ([(i + 1) * side + j] if i + 1 < side else [])], False
    yield "two parts and a lone node", list(range(11)), [[a, b, quarter(1, 9)] for a, b in itertools.combinations(range(5), 2)] + [[a, a + 1, 1.0] for a in range(5, 9)], False
    yield "layers without a cycle", list(range(20)), [[a, b, quarter(-8, 20)] for a in range(20) for b in range(a + 1, 20) if r.random() < 0.2], True
    yield "negative weights and no negative cycle", list(range(6)), [[0, 1, 4.0], [0, 2, 2.0], [1, 2, -1.5], [2, 3, 2.0], [3, 4, -2.0], [4, 2, 0.25], [1, 4, 3.0]], True
    yield "weights of zero", list(range(7)), [[0, 1, 0.0], [1, 2, 0.0], [2, 0, 0.0], [2, 3, 1.0], [3, 4, 0.0], [4, 3, 0.0], [4, 5, 2.0]], True
    yield rand("random, sparse", 30, 40, True, (1, 40))
    yield rand("random, denser", 30, 150, True, (1, 12))
    yield rand("random without weights", 40, 80, True)
    yield rand("random without directions", 35, 60, False, (1, 40))
    yield rand("random with zeros", 25, 80, False, (0, 3))
    yield rand("ids far apart", 25, 60, True, (1, 40), [r.getrandbits(64) for _ in range(25)])
    yield rand("ids far apart, no directions or weights", 25, 40, False, None, [r.getrandbits(64) for _ in range(25)])


def of(nodes, edges, directed):
    g = (nx.MultiDiGraph if directed else nx.MultiGraph)()
    g.add_nodes_from(sorted(set(nodes or []) | {e[0] for e in edges} | {e[1] for e in edges}))
    for e in edges:
        g.add_edge(e[0], e[1], weight=float(e[2]) if len(e) > 2 else 1.0)
    return g


def smallest(groups, ids):
    label = {v: min(group) for group in groups for v in group}
    return [label[v] for v in ids]


def before(g):
    """(u, v, w) along every arc."""
    for u, v, w in g.edges(data="weight"):
        yield u, v, w
        if not g.is_directed():
            yield v, u, w


def simple(g):
    s = (nx.DiGraph if g.is_directed() else nx.Graph)()
    s.add_nodes_from(g)
    for u, v, w in g.edges(data="weight"):
        if not s.has_edge(u, v) or w < s[u][v]["weight"]:
            s.add_edge(u, v, weight=w)
    return s


def depth_first(g, starts):
    met, left, parent, order, clock = {}, {}, {}, [], itertools.count()

    def visit(u):
        met[u] = next(clock)
        order.append(u)
        for v in sorted(set(g[u])):
            if v not in met:
                parent[v] = u
                visit(v)
        left[u] = next(clock)

    for s in starts:
        if s not in met:
            visit(s)
    return met, left, parent, order


def figures(name, nodes, edges, directed):
    g = of(nodes, edges, directed)
    ids = sorted(g)
    start, end = ids[0], ids[len(ids) * 2 // 3]
    out = {"name": name, "nodes": nodes, "edges": edges, "directed": directed, "ids": ids, "start": start, "end": end}

    levels = nx.single_source_shortest_path_length(g, start)
    parents = []
    for v in ids:
        nearer = [u for u, x, _ in before(g) if x == v and levels.get(u, 1e9) == levels.get(v, -1) - 1]
        parents.append(min(nearer) if nearer else v)
    out["bfs"] = {"levels": [levels.get(v, -1) for v in ids], "parents": parents,
                  "order": sorted(levels, key=lambda v: (levels[v], v))}

    negative = any(w < 0 for _, _, w in before(g))
    lengths = nx.single_source_bellman_ford_path_length(g, start)
    if not negative:
        assert lengths == nx.single_source_dijkstra_path_length(g, start)
    reached = [v for v in ids if v in lengths]
    sp = {"nodes": reached, "distances": [lengths[v] for v in reached], "distance": lengths.get(end), "negative": negative}
    # The rule for the parent is only about weights above zero.
    if all(w > 0 for _, _, w in before(g)):
        par = {v: min((u for u, x, w in before(g) if x == v and u in lengths and lengths[u] + w == lengths[v]), default=v)
               for v in reached}
        par[start] = start
        sp["parents"] = [par[v] for v in reached]
        if end in lengths:
            path = [end]
            while path[-1] != start:
                path.append(par[path[-1]])
            sp["path"] = path[::-1]
            assert sum(min(w for a, b, w in before(g) if (a, b) == e) for e in zip(sp["path"], sp["path"][1:])) == lengths[end]
            assert sp["path"] in list(nx.all_shortest_paths(g, start, end, weight="weight"))
    out["shortest_path"] = sp

    weak = list(nx.weakly_connected_components(g) if directed else nx.connected_components(g))
    strong = list(nx.strongly_connected_components(g)) if directed else weak
    out["connected_components"] = {"labels": smallest(weak, ids), "count": len(weak)}
    out["strongly_connected"] = {"labels": smallest(strong, ids), "count": len(strong)}
    at = {v: i for i, v in enumerate(ids)}
    a = coo_array(([1.0] * len(edges), ([at[e[0]] for e in edges], [at[e[1]] for e in edges])), shape=(len(ids), len(ids)))
    assert connected_components(a, directed=True, connection="strong" if directed else "weak")[0] == len(strong)

    if not negative:
        jump = {v: float(1 + i % 3) for i, v in enumerate(ids[:4])}
        def rank(personal, w):
            scores = nx.pagerank(g, alpha=0.85, tol=1e-15, max_iter=5000, personalization=personal, weight=w)
            return [scores[v] for v in ids]
        try:
            out["pagerank"] = {"scores": rank(None, "weight"), "unweighted": rank(None, None),
                               "personal": rank(jump, "weight"), "jump": [list(jump), list(jump.values())]}
        except nx.PowerIterationFailedConvergence:
            # The change stays at some units of rounding; ask for a little less.
            def rank(personal, w):
                scores = nx.pagerank(g, alpha=0.85, tol=1e-14, max_iter=5000, personalization=personal, weight=w)
                return [scores[v] for v in ids]
            out["pagerank"] = {"scores": rank(None, "weight"), "unweighted": rank(None, None),
                               "personal": rank(jump, "weight"), "jump": [list(jump), list(jump.values())]}

    und = g.to_undirected() if directed else g
    root = {v: v for v in ids}
    def find(v):
        while root[v] != v:
            v = root[v]
        return v
    tree = []
    for w, u, v in sorted((float(e[2]) if len(e) > 2 else 1.0, min(e[:2]), max(e[:2])) for e in edges):
        if find(u) != find(v):
            root[find(u)] = find(v)
            tree.append((w, u, v))
    total = sum(d["weight"] for _, _, d in nx.minimum_spanning_edges(of(nodes, edges, False), data=True, keys=False))
    assert total == sum(t[0] for t in tree)
    out["minimum_spanning_tree"] = {"edges": [[u, v] for _, u, v in tree], "weights": [w for w, _, _ in tree], "weight": float(total), "trees": len(weak)}

    if directed:
        acyclic = nx.is_directed_acyclic_graph(g)
        knots = sorted(min(c) for c in strong if len(c) > 1 or g.has_edge(*(list(c) * 2)))
        back = lambda v: min(1 + nx.shortest_path_length(g, u, v) for u in g[v] if nx.has_path(g, u, v))
        out["detect_cycles"] = {"acyclic": acyclic, "knots": knots, "lengths": [back(v) for v in knots],
                                "order": list(nx.lexicographical_topological_sort(g)) if acyclic else None}
    else:
        parts = [g.subgraph(c) for c in weak]
        knots = sorted(min(p) for p in parts if p.number_of_edges() >= p.number_of_nodes())
        out["detect_cycles"] = {"acyclic": not knots, "knots": knots, "order": None}

    met, left, parent, order = depth_first(g, ids)
    one = depth_first(g, [start])
    assert one[3] == list(nx.dfs_preorder_nodes(g, start, sort_neighbors=sorted))
    out["dfs"] = {"order": order, "parents": [parent.get(v, v) for v in ids], "discovery": [met[v] for v in ids],
                  "finish": [left[v] for v in ids], "order_from": one[3]}

    s = simple(g)
    dense = np.full((len(ids), len(ids)), np.inf)
    for u, v, w in before(s):
        dense[at[u], at[v]] = w
    np.fill_diagonal(dense, 0)
    if len(ids) > 1:
        lengths = dict(nx.all_pairs_bellman_ford_path_length(g))
        pairs = [[lengths[u].get(v) for v in ids] for u in ids]
        # SciPy takes a zero for no edge, so it is asked where there is none.
        if not any(w == 0 for _, _, w in before(s)):
            scipys = floyd_warshall(np.where(np.isinf(dense), 0, dense), directed=True)
            assert all((p is None and np.isinf(q)) or p == q for row, line in zip(pairs, scipys) for p, q in zip(row, line))
    else:
        pairs = [[0.0]] * len(ids)
    out["all_pairs"] = {"distances": pairs}

    if not negative:
        ks = []
        if start == end:
            ks = [0.0]
        elif nx.has_path(s, start, end):
            for path in itertools.islice(nx.shortest_simple_paths(s, start, end, weight="weight"), 6):
                ks.append(sum(s[u][v]["weight"] for u, v in zip(path, path[1:])))
        out["k_shortest"] = {"distances": ks}

    plain = nx.Graph()
    plain.add_nodes_from(ids)
    plain.add_edges_from((e[0], e[1]) for e in edges if e[0] != e[1])
    t = nx.triangles(plain)
    c = nx.clustering(plain)
    out["triangle_count"] = {"count": sum(t.values()) // 3, "triangles": [t[v] for v in ids], "clustering": [float(c[v]) for v in ids]}
    return out


rows = [figures(*g) for g in graphs()]
to = Path("crates/offload-ops/graph/data/figures.json")
text = ",\n".join(json.dumps(r, separators=(",", ":")) for r in rows)
to.write_text(f'{{"source":"networkx {nx.__version__}, SciPy {scipy.__version__}","rows":[\n{text}\n]}}\n')
print(len(rows), "graphs,", to.stat().st_size, "bytes,", nx.__version__, scipy.__version__, np.__version__)
