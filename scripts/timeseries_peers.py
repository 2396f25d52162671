#!/usr/bin/env python3
"""Ratio and speed of timeseries.compress and decompress beside pcodec, zstd and the bit stream of Gorilla's paper.

    cargo build --profile dist -p offload-ops-timeseries --example time
    python scripts/timeseries_peers.py target/dist/examples/time [values [rounds]]

Needs numpy, pcodec and zstandard. One thread on each side, in turns; each figure is the best of the runs, in millions of raw
bytes a second. Of Gorilla's own stream only the size is computed.
"""
import os
import re
import subprocess
import sys
import time

import numpy as np
import pcodec
import zstandard
from pcodec import ChunkConfig, standalone

FOLDER = os.path.join(os.path.dirname(__file__), "..", "crates", "offload-ops", "timeseries", "data")
PEER_RUNS = 7


def mixed(i):
    """SplitMix64 by index, as tests/series has it."""
    z = (np.asarray(i, "u8") + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def unit(i):
    return (mixed(i) >> np.uint64(11)).astype("f8") / 2.0**53


def table(name):
    import json
    values = json.load(open(os.path.join(FOLDER, f"{name}.json")))["values"]
    return np.array([v for v in values if v is not None], "f8")


def series(n):
    i, co2 = np.arange(n), table("co2")
    walk = np.cumsum(np.concatenate([[100.0], unit(i) - 0.5]))[1:]
    steps = np.where(unit(2 * i) < 0.2, np.floor(unit(2 * i + 1) * 7.0) - 3.0, 0.0)
    return {
        "co2 again and again": (np.round(co2[i % len(co2)] * 10) + i // len(co2)) / 10,
        "prices of two decimals": np.round(walk * 100) / 100,
        "whole gauge": 20.0 + np.cumsum(steps),
        "random walk": walk,
        "random bits": mixed(i).view("f8"),
        "about every minute, i64": 60_000 * i + (mixed(i) % np.uint64(40)).astype("i8"),
    }


def gorilla_bytes(values):
    """The stream of the paper: 5 bits for leading zeros, 6 for the length, a window kept while it fits."""
    words = [int(w) for w in values.view("u8")]
    bits, window = 64, None
    for a, b in zip(words, words[1:]):
        x = a ^ b
        if x == 0:
            bits += 1
            continue
        lead, trail = min(64 - x.bit_length(), 31), (x & -x).bit_length() - 1
        if window and lead >= window[0] and trail >= window[1]:
            bits += 2 + 64 - sum(window)
        else:
            window = (lead, trail)
            bits += 2 + 5 + 6 + 64 - lead - trail
    return bits / 8


def best(run):
    seconds = []
    for _ in range(PEER_RUNS):
        start = time.perf_counter()
        out = run()
        seconds.append(time.perf_counter() - start)
    return min(seconds), out


def peers(values):
    raw, config = values.tobytes(), ChunkConfig(compression_level=8)
    write, packed = best(lambda: standalone.simple_compress(values, config))
    read, back = best(lambda: standalone.simple_decompress(packed))
    assert back.tobytes() == raw
    yield "pcodec", len(packed), write, read
    zstd = zstandard.ZstdCompressor(level=3)
    write, packed = best(lambda: zstd.compress(raw))
    read, back = best(lambda: zstandard.ZstdDecompressor().decompress(packed))
    assert back == raw
    yield "zstd 3", len(packed), write, read


def main():
    n, rounds = (int(a) for a in (sys.argv[2:] + ["1000000", "3"][len(sys.argv) - 2:])[:2])
    found = {}

    def keep(name, method, ratio, write, read):
        old = found.setdefault(name, {}).get(method, (0, 0, 0))
        found[name][method] = (ratio, max(write, old[1]), max(read, old[2]))

    for _ in range(rounds):
        out = subprocess.run([sys.argv[1], str(n), "5", "1"], check=True, capture_output=True, text=True).stdout
        for row in re.finditer(r"^(.*?) +(gorilla|delta|alp|auto) +ratio +([\d.]+) .*?best +(\d+) .*?best +(\d+) ", out, re.M):
            if row[1] in series(10):
                keep(row[1], row[2], *(float(x) for x in row.groups()[2:]))
        for name, values in series(n).items():
            for peer, size, write, read in peers(values):
                keep(name, peer, values.nbytes / size, values.nbytes / write / 1e6, values.nbytes / read / 1e6)
    print(f"{n} values, best of {rounds} rounds; pcodec {pcodec.__version__}, zstandard {zstandard.__version__}")
    for name, values in series(min(n, 200_000)).items():
        print(f"| {name}: the paper's stream | {values.nbytes / gorilla_bytes(values):.2f} | | |")
        for method, (ratio, write, read) in found[name].items():
            print(f"| {name}: {method} | {ratio:.2f} | {write:.0f} | {read:.0f} |")


main()
