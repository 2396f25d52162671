#!/usr/bin/env python3
"""Holds scripts/timeseries_decode.py, written from docs/timeseries-format.md alone, against what the service writes.

    cargo build --release -p offload-ops-timeseries --example write
    python scripts/timeseries_check.py target/release/examples/write

Needs numpy. Fails at the first bit that differs, and when a coding has not been seen.
"""
import os
import subprocess
import sys
import tempfile

import numpy as np
from timeseries_decode import block, crc32c, decode

assert crc32c(b"123456789") == 0xE3069283

SEEN = set()


def seen(data, n, real):
    SEEN.add(data[0])
    return block(data, n, real)


def main():
    import timeseries_decode
    timeseries_decode.block = seen
    values = files = 0
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.argv[1], folder], check=True, stdout=subprocess.DEVNULL)
        for line in open(os.path.join(folder, "list")):
            number, dtype, shape, method, level = line.split()
            read = lambda end: open(os.path.join(folder, number + end), "rb").read()
            data, stamps = decode(read(".hts"))
            assert data.dtype == np.dtype("<" + dtype) and data.shape == tuple(map(int, shape.split(","))), line
            assert data.tobytes() == read(".raw"), line
            assert os.path.exists(os.path.join(folder, number + ".stamps")) == (stamps is not None), line
            assert stamps is None or stamps.tobytes() == read(".stamps"), line
            files, values = files + 1, values + data.size + (0 if stamps is None else stamps.size)
    assert SEEN == {0, 1, 2, 3, 4, 5}, SEEN
    print(f"{files} files, {values} values to the bit, every coding seen")


main()
