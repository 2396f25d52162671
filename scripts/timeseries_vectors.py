#!/usr/bin/env python3
"""Writes compressed series by a second encoder, written from docs/timeseries-format.md alone, as worked examples of
timeseries.decompress: crates/offload-ops/timeseries/data/format.json.

    python scripts/timeseries_vectors.py

Needs numpy. It does not choose as the service does: every form of every coding is there, whether it pays or not. What it writes
is read back by scripts/timeseries_decode.py before it is kept.
"""
import json
import os
import struct

import numpy as np
from timeseries_decode import crc32c, decode

PLACE = os.path.join(os.path.dirname(__file__), "..", "crates", "offload-ops", "timeseries", "data", "format.json")
M = (1 << 64) - 1


def words(values):
    return [int(w) for w in np.ascontiguousarray(values).view("<u8").ravel()]


def u(size, *numbers):
    return b"".join(int(n).to_bytes(size, "little") for n in numbers)


def packed(numbers, width):
    whole = 0
    for i, n in enumerate(numbers):
        assert n >> width == 0
        whole |= n << (i * width)
    return whole.to_bytes((len(numbers) * width + 7) // 8, "little")


def raw(w):
    return b"\0" + u(8, *w)


def constant(w):
    assert len(set(w)) == 1
    return b"\1" + u(8, w[0])


def gorilla(w, runs=None):
    """Windows of these runs, one for all when there are none."""
    xors = [a ^ b for a, b in zip(w, w[1:])]
    kept = [x for x in xors if x]
    out = b"\2" + u(8, w[0]) + u(2, len(kept))
    runs = runs or ([len(kept)] if kept else [])
    assert sum(runs) == len(kept)
    out += u(2, len(runs))
    if 0 < len(kept) < len(xors):
        out += packed([int(x != 0) for x in xors], 1)
    windows, payload, bits, at = b"", 0, 0, 0
    for run in runs:
        part = kept[at:at + run]
        union = 0
        for x in part:
            union |= x
        shift = (union & -union).bit_length() - 1
        width = union.bit_length() - shift
        windows += struct.pack("<BBH", shift, width, run)
        for x in part:
            payload |= (x >> shift) << bits
            bits += width
        at += run
    return out + windows + payload.to_bytes((bits + 7) // 8, "little")


def integers(w, order, base=0, most=64, uniform=False):
    """Numbers wider than `most` bits are exceptions."""
    d = list(w)
    for _ in range(order):
        d = [(b - a) & M for a, b in zip(d, d[1:])]
    z = []
    for x in d:
        x = (x - base) & M
        z.append(((x << 1) & M) ^ (M if x >> 63 else 0))
    places = [i for i, x in enumerate(z) if x.bit_length() > most]
    low = [x & ((1 << most) - 1) for x in z]
    groups = [low[i:i + 64] for i in range(0, len(low), 64)]
    widths = [max(x.bit_length() for x in g) for g in groups]
    if uniform:
        widths = [max(widths)] * len(groups)
    out = u(1, order | (4 if uniform else 0)) + u(8, *w[:order]) + u(8, base) + u(2, len(places))
    out += u(1, *(widths[:1] if uniform else widths))
    out += b"".join(packed(g, width) for g, width in zip(groups, widths))
    return out + u(2, *places) + u(8, *[z[i] for i in places])


def ordered(w):
    return [b ^ ((M if b >> 63 else 0) >> 1) for b in w]


def delta(w, order, real=False, **how):
    return b"\3" + integers(ordered(w) if real else w, order, **how)


def alp(w, e, f, order, **how):
    d, places = [], []
    for i, word in enumerate(w):
        x = np.array([word], "<u8").view("<f8")[0]
        with np.errstate(all="ignore"):
            scaled = float(x * float(f"1e{e}") * float(f"1e-{f}"))
        n = round(scaled) if abs(scaled) < 2.0**51 else 0
        back = np.float64(n) * float(f"1e{f}") * float(f"1e-{e}")
        if words(np.array([back])) != [word]:
            places.append(i)
            n = d[-1] if d else 0
        d.append(n)
    out = b"\4" + u(1, e, f) + u(2, len(places)) + integers([n & M for n in d], order, **how)
    return out + u(2, *places) + u(8, *[w[i] for i in places])


def split(w, right, count):
    left = [x >> right for x in w]
    dictionary = sorted(set(left), key=lambda x: (-left.count(x), x))[:count]
    places = [i for i, x in enumerate(left) if x not in dictionary]
    out = b"\5" + u(1, right, len(dictionary)) + u(2, *dictionary) + u(2, len(places))
    index = [dictionary.index(x) if x in dictionary else 0 for x in left]
    out += packed(index, (len(dictionary) - 1).bit_length())
    out += packed([x & ((1 << right) - 1) for x in w], right)
    return out + u(2, *places) + u(2, *[left[i] for i in places])


def file(shape, real, blocks, size, stamps=False):
    series, length = (1, shape[0]) if len(shape) == 1 else shape
    head = struct.pack("<4s4B2QI", b"HTSC", 1, 1 if real else 2, len(shape), int(stamps), series, length, size)
    index = b"".join(u(4, len(b), crc32c(b)) for b in blocks)
    return head + u(4, crc32c(head + bytes(4) + index)) + index + b"".join(blocks)


def rows():
    rng = np.random.default_rng(7)
    some = np.array([15.5, 14.0625, 3.25, 8.625, 13.1])
    yield "Gorilla's values", [5], True, some, None, [gorilla(words(some))], 2048
    yield "no values", [0], True, np.zeros(0), None, [], 2048
    yield "no series", [0, 4], True, np.zeros((0, 4)), None, [], 2048
    yield "series without values", [3, 0], False, np.zeros((3, 0), "i8"), np.zeros(0, "i8"), [], 64
    for name, value in (("negative zero", -0.0), ("infinity", np.inf), ("a tiny number", 5e-324)):
        x = np.array([value])
        yield name, [1], True, x, None, [raw(words(x))], 2048
    odd = np.array([0x7FF0000000000001, 0xFFF8000000000042, 0x7FFFFFFFFFFFFFFF, 0, 1 << 63], "<u8").view("<f8")
    yield "NaNs as they are", [5], True, odd, None, [raw(words(odd))], 2048
    for name, block in (("gorilla", gorilla), ("delta", lambda w: delta(w, 1, True)), ("alp", lambda w: alp(w, 3, 0, 0)),
                        ("split", lambda w: split(w, 52, 4))):
        yield f"NaNs by {name}", [5], True, odd, None, [block(words(odd))], 2048
    x = np.full(3000, -0.0)
    yield "one value again and again", [3000], True, x, None, [constant(words(x[:2048])), constant(words(x[2048:]))], 2048
    x = np.full(8192, 0.1)
    yield "the longest block", [8192], True, x, None, [constant(words(x))], 8192
    x = np.repeat(np.arange(33.0), 4)[:130]
    w = words(x)
    changes = sum(a != b for a, b in zip(w, w[1:]))
    yield "gorilla by many windows", [130], True, x, None, [gorilla(w, [1, 5, changes - 6])], 2048
    yield "gorilla by a window each", [130], True, x, None, [gorilla(w, [1] * changes)], 2048
    yield "gorilla without a change", [130], True, np.full(130, 7.0), None, [gorilla(words(np.full(130, 7.0)))], 2048
    x = rng.random(130)
    yield "gorilla where all change", [130], True, x, None, [gorilla(words(x), [64, 65])], 2048
    x = np.arange(130) ** 3 * np.where(np.arange(130) % 40 == 7, -1, 1)
    w = words(x)
    for order in (0, 1, 2):
        for uniform in (False, True):
            for most in (64, 12):
                name = f"differences of order {order}, {'one width' if uniform else 'widths'}, at most {most} bits"
                yield name, [130], False, x, None, [delta(w, order, base=1000 * order, most=most, uniform=uniform)], 2048
    x = np.array([-(1 << 63), (1 << 63) - 1, 0, -1, -(1 << 63)])
    for order in (0, 1, 2):
        yield f"extremes by order {order}", [5], False, x, x[::-1].copy(), [delta(words(x[::-1]), 1), delta(words(x), order)], 64
    x = np.concatenate([-np.exp(rng.normal(size=60)), np.exp(rng.normal(size=60))])
    yield "differences of reals of both signs", [120], True, x, None, [delta(words(x), 1, True, base=5)], 2048
    x = np.round(rng.normal(size=100), 2) + 20
    x[[0, 1, 40]] = np.nan, np.pi, 1e300
    for order in (0, 1, 2):
        yield f"decimals by order {order}", [100], True, x, None, [alp(words(x), 14, 12, order)], 2048
    x = rng.random(100)
    for right, count in ((48, 8), (52, 5), (52, 3), (60, 2), (63, 1)):
        yield f"split at {right}, {count} left parts", [100], True, x, None, [split(words(x), right, count)], 2048
    x = rng.integers(0, 100, (2, 150)).astype(float)
    t = 1_700_000_000 + 60 * np.arange(150)
    parts = [delta(words(t[i:i + 64]), 2) for i in range(0, 150, 64)]
    parts += [alp(words(row[i:i + 64]), 0, 0, 0) for row in x for i in range(0, 150, 64)]
    yield "two series and their timestamps in blocks of 64", [2, 150], True, x, t, parts, 64
    x = np.array([3.0, -7.0])
    yield "blocks of one value", [2], True, x, None, [alp(words(x[:1]), 2, 2, 0), delta(words(x[1:]), 0, True)], 1


def main():
    found = []
    for name, shape, real, values, stamps, blocks, size in rows():
        values = values.astype("<f8" if real else "<i8")
        data = file(shape, real, blocks, size, stamps is not None)
        back, times = decode(data)
        assert back.tobytes() == values.tobytes() and list(back.shape) == shape, name
        assert (times is None) == (stamps is None) and (stamps is None or (times == stamps).all()), name
        row = {"name": name, "type": "f64" if real else "i64", "shape": shape, "file": data.hex()}
        # Words in hexadecimal, the most significant digit first; a row of one word says it once.
        w = words(values)
        row["words"] = [f"{w[0]:x}"] if len(set(w)) == 1 else [f"{x:x}" for x in w]
        if stamps is not None:
            row["timestamps"] = [int(t) for t in stamps]
        found.append(row)
    with open(PLACE, "w") as out:
        lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in found)
        out.write('{"source":"scripts/timeseries_vectors.py","rows":[\n' + lines + "\n]}\n")
    print(f"{len(found)} files")


main()
