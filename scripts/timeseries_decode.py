#!/usr/bin/env python3
"""Decodes compressed time series, written from docs/timeseries-format.md alone.

    python scripts/timeseries_decode.py FILE        # prints what is in it

Needs numpy.
"""
import struct
import sys

import numpy as np

WORD = np.dtype("<u8")


def crc32c(data):
    if not hasattr(crc32c, "table"):
        table = np.arange(256, dtype=np.uint32)
        for _ in range(8):
            table = np.where(table & 1, (table >> 1) ^ np.uint32(0x82F63B78), table >> 1)
        crc32c.table = [int(x) for x in table]
    table, crc = crc32c.table, 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


class Bytes:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        assert self.at + n <= len(self.data), "ends early"
        self.at += n
        return self.data[self.at - n:self.at]

    def number(self, size):
        return int.from_bytes(self.take(size), "little")

    def array(self, dtype, n):
        return np.frombuffer(self.take(np.dtype(dtype).itemsize * n), dtype)

    def bits(self, n):
        """The bits of so many bytes, in their order."""
        return np.unpackbits(np.frombuffer(self.take(n), np.uint8), bitorder="little")

    def packed(self, count, width):
        return numbers(self.bits((count * width + 7) // 8), count, width)


def numbers(bits, count, width):
    if width == 0:
        return np.zeros(count, WORD)
    bits = bits[:count * width].reshape(count, width).astype(WORD)
    return (bits << np.arange(width, dtype=WORD)).sum(axis=1, dtype=WORD)


def exceptions(b, count, dtype):
    places = b.array("<u2", count)
    assert (np.diff(places.astype(int)) > 0).all()
    return places, b.array(dtype, count)


def integers(b, n):
    form = b.number(1)
    order, uniform = form & 3, form >> 2
    assert order <= min(2, n) and uniform <= 1
    first = b.array(WORD, order)
    base = b.array(WORD, 1)
    count = b.number(2)
    groups = -(-(n - order) // 64)
    widths = list(b.take(1)) * groups if uniform else list(b.take(groups))
    parts = [b.packed(min(64, n - order - 64 * g), w) for g, w in enumerate(widths)]
    z = np.concatenate(parts) if parts else np.zeros(0, WORD)
    places, values = exceptions(b, count, WORD)
    z[places] = values
    differences = ((z >> WORD.type(1)) ^ (WORD.type(0) - (z & WORD.type(1)))) + base
    if order == 0:
        return differences
    if order == 1:
        return np.cumsum(np.concatenate([first, differences]), dtype=WORD)
    steps = np.cumsum(np.concatenate([first[1:] - first[:1], differences]), dtype=WORD)
    return np.cumsum(np.concatenate([first[:1], steps]), dtype=WORD)


def gorilla(b, n):
    first = b.array(WORD, 1)
    changes, windows = b.number(2), b.number(2)
    assert changes <= n - 1
    changed = np.full(n - 1, changes > 0)
    if 0 < changes < n - 1:
        changed = b.packed(n - 1, 1).astype(bool)
    windows = [struct.unpack("<BBH", b.take(4)) for _ in range(windows)]
    assert changed.sum() == changes == sum(run for _, _, run in windows)
    bits = b.bits((sum(width * run for _, width, run in windows) + 7) // 8)
    xors, at = [], 0
    for shift, width, run in windows:
        xors.append(numbers(bits[at:], run, width) << WORD.type(shift))
        at += width * run
    xor = np.zeros(n - 1, WORD)
    if xors:
        xor[changed] = np.concatenate(xors)
    return np.bitwise_xor.accumulate(np.concatenate([first, xor]))


def alp(b, n):
    e, f, count = b.number(1), b.number(1), b.number(2)
    assert f <= e <= 18
    d = integers(b, n).view("<i8").astype(np.float64)
    values = (d * float(f"1e{f}") * float(f"1e-{e}")).view(WORD).copy()
    places, words = exceptions(b, count, WORD)
    values[places] = words
    return values


def alp_split(b, n):
    right, words = b.number(1), b.number(1)
    dictionary = b.array("<u2", words).astype(WORD)
    count = b.number(2)
    left = dictionary[b.packed(n, (words - 1).bit_length()).astype(int)]
    low = b.packed(n, right)
    places, lefts = exceptions(b, count, "<u2")
    left[places] = lefts
    return (left << WORD.type(right)) | low


def ordered(b):
    """The rule that gives words of floating-point numbers their order, and takes it back."""
    return b ^ ((b.view("<i8") >> 63).view(WORD) >> WORD.type(1))


def block(data, n, real):
    b = Bytes(data)
    coding = b.number(1)
    if coding == 0:
        words = b.array(WORD, n)
    elif coding == 1:
        words = np.repeat(b.array(WORD, 1), n)
    elif coding == 2:
        words = gorilla(b, n)
    elif coding == 3:
        words = ordered(integers(b, n)) if real else integers(b, n)
    else:
        assert real and coding in (4, 5)
        words = alp(b, n) if coding == 4 else alp_split(b, n)
    assert b.at == len(data), "bytes are left over"
    return words


def decode(data):
    """The values, and the timestamps or None."""
    magic, version, element, rank, stamped, series, length, size, crc = struct.unpack_from("<4s4B2QII", data)
    assert magic == b"HTSC" and version == 1 and element in (1, 2) and rank in (1, 2) and stamped in (0, 1)
    assert (series == 1 or rank == 2) and 1 <= size <= 8192
    each = -(-length // size)
    count = (series + stamped) * each
    assert len(data) >= 32 + 8 * count
    index = data[32:32 + 8 * count]
    assert crc32c(data[:28] + bytes(4) + index) == crc, "the checksum of the header"
    columns, at, entries = [], 32 + 8 * count, struct.iter_unpack("<II", index)
    for column in range(series + stamped):
        real = element == 1 and not (stamped and column == 0)
        parts = [np.zeros(0, WORD)]
        for start in range(0, length, size):
            n, (length_bytes, crc) = min(size, length - start), next(entries)
            part = data[at:at + length_bytes]
            at += length_bytes
            assert crc32c(part) == crc, "the checksum of a block"
            parts.append(block(part, n, real))
        columns.append(np.concatenate(parts))
    assert at == len(data), "bytes are left over"
    stamps = columns.pop(0).view("<i8") if stamped else None
    values = np.concatenate([np.zeros(0, WORD), *columns]).view("<f8" if element == 1 else "<i8")
    return values.reshape((length,) if rank == 1 else (series, length)), stamps


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as file:
        found, times = decode(file.read())
    print(found.dtype, found.shape, found, "" if times is None else times)
