"""Find the packets of Apple Lossless in a CAF file that are damaged or missing, which the decoder does not report.

Sources: the Core Audio Format specification, and the description of the ALAC bit stream.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from audiofw.audio.chunked import CAF, chunks
from audiofw.audio.containers import Header
from audiofw.audio.content import Content, mapped
from audiofw.audio.parts import Part

_RUN = 400  # bytes of zeros in a row that no packet of 16 or 20 bits contains, which has no plain low bits


_BITS_20 = 2  # the format's flags: 1 for 16 bits, 2 for 20


def find_parts(path: Path, header: Header, start: int, end: float) -> list[Part]:
    """Find the parts between damaged packets, for those that hold the samples from ``start`` to ``end``.

    Returns
    -------
    list of Part
        Empty if all are intact, or nothing is known of them.
    """
    with path.open("rb") as file:
        found = {chunk.name: chunk.at for chunk in chunks(file, 8, header.stop, CAF) if chunk.name != b"free"}
        if not {b"desc", b"pakt", b"data"} <= found.keys():
            return []
        flags, _, step = struct.unpack(">III", _read(file, found[b"desc"] + 12, 12))
        count = struct.unpack(">q", _read(file, found[b"pakt"], 8))[0]
        sizes = _sizes(_read(file, found[b"pakt"] + 24, 8 * min(max(count, 0), 2**24)), count)
    step = max(step, 1)
    begins = found[b"data"] + 4 + np.cumsum(sizes) - sizes
    first, last = max(start // step - 1, 0), int(min(end / step + 2, len(sizes)))
    good = np.ones(len(sizes), bool)
    good[first:last] = _check(path, begins[first:last], sizes[first:last], header.stop, flags <= _BITS_20)
    if good.all() or not len(good) or not good[first]:
        return []
    edges = np.flatnonzero(np.diff(good, prepend=False, append=False)).tolist()
    whole = header.pieces()
    return [Part(whole, 0, a * step, b * step) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _sizes(table: bytes, count: int) -> np.ndarray:
    """Decode the sizes of packets: seven bits in a byte, the highest first."""
    sizes, value = list[int](), 0
    for byte in table:
        if len(sizes) == count:
            break
        value = value << 7 | byte & 127
        if byte < 128:
            sizes.append(value)
            value = 0
    return np.array(sizes, np.int64)


def _check(path: Path, begins: np.ndarray, sizes: np.ndarray, stop: int, packed: bool) -> np.ndarray:
    """Tell which packets are there, begin and end as they must, and contain no long run of zeros.

    A packet begins with the kind of its first element, and twelve bits of zero, then parameters that are not all zero;
    it ends with the bits that say so, hence with a byte that is not zero. Silence needs only a few bytes.
    """
    ends = begins + sizes
    with mapped(path) as content:
        data = np.frombuffer(content, np.uint8)
        there = (ends <= stop) & (sizes >= 7)
        at = np.where(there, begins, 0)
        heads = data[at[:, np.newaxis] + np.arange(7)]
        last = data[np.where(there, ends - 1, 0)]
        del data
        kind = np.isin(heads[:, 0], (0x00, 0x20, 0x60)) & (heads[:, 1] == 0)
        good = kind & heads[:, 2:].any(axis=1) & (last != 0)
        if packed and len(ends):
            for zeros in _zeros(content, int(begins[0]), min(int(ends[-1]), stop)):
                good[np.searchsorted(ends, zeros, "right")] = False
    return there & good & np.append(good[1:] | ~there[1:], True)  # one before damage may be damaged, too


def _zeros(content: Content, at: int, end: int) -> Iterator[int]:
    """Iterate over the offsets of long runs of zeros, or of their parts."""
    while (at := content.find(bytes(_RUN), at, end)) >= 0:
        yield at
        at += _RUN


def _read(file: BinaryIO, at: int, size: int) -> bytes:
    file.seek(at)
    return file.read(size)
