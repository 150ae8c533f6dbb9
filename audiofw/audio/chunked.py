"""Where the headers of formats that consist of chunks say that their samples are: WAV, W64, AIFF, SVX and CAF.

Sources: the RIFF/WAVE, EBU Tech 3306 (RF64), Sony Wave64, AIFF-C, 8SVX and Core Audio Format specifications.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

from audiofw.audio.layouts import LONG, UNKNOWN, Layout, Patches

MOST = 10_000  # chunks
IFF, RIFF, W64, CAF = ">4sI", "<4sI", "<16sQ", ">4sq"
"""Struct formats of the headers of chunks."""

NAME = re.compile(rb"[ -~]{4}")
_PLAIN_AIFF = frozenset(b"NONE|sowt|twos|fl32|FL32|fl64|FL64|ulaw|ULAW|alaw|ALAW".split(b"|")) | {b""}
"""AIFF's codecs with a fixed number of bytes per sample; none is named in files older than AIFF-C."""

_AIFF_BLOCKS = {b"ima4": 34, b"GSM ": 33}
"""Bytes of a block of one channel."""
_GSM, _MPEG = 0x31, 0x55
_IN_BLOCKS = frozenset({0x02, 0x11, _GSM, 0x38})
"""WAV's codecs whose samples are decoded in blocks: Microsoft's and IMA's ADPCM, GSM, and NMS ADPCM."""


class Chunk(NamedTuple):
    name: bytes
    at: int  # position of its content
    size: int  # of its content, according to its header
    next: int  # position of the next chunk


def chunks(file: BinaryIO, at: int, size: int, form: str) -> Iterator[Chunk]:
    """Iterate over chunks; the lengths are those in their headers, which may be wrong."""
    head = struct.calcsize(form)
    for _ in range(MOST):
        if not 0 <= at <= size - head:  # a 64-bit length may exceed what seek accepts
            return
        file.seek(at)
        name, length = struct.unpack(form, file.read(head))
        if form == W64:  # it includes the header
            length = max(length - head, 0)
        yield Chunk(name, at + head, length, at := next_chunk(at + head + length, form))


def next_chunk(at: int, form: str) -> int:
    """Give the position of the chunk that follows content which ends at ``at``."""
    if form == W64:
        return (at + 7) // 8 * 8
    return at if form == CAF else at + at % 2


def riff(file: BinaryIO, head: bytes, size: int) -> Layout | None:
    order = ">" if head.startswith(b"RIFX") else "<"
    form, wide, tag, unit, frames = f"{order}4sI", 0, 0, 1, None
    for chunk in chunks(file, 12, size, form):
        if chunk.name == b"ds64":
            wide = chunk.at
        if chunk.name == b"fmt ":
            tag, unit = _codec(file, chunk.at, order)
        if chunk.name == b"fact" and tag == _MPEG:
            file.seek(chunk.at)
            frames = struct.unpack(f"{order}I", file.read(4))[0] or None
        if chunk.name == b"data":
            if wide:
                return _rf64(file, chunk.at, wide)
            size_at = _patcher(chunk.at - 4, f"{order}I")
            return Layout(chunk.at, chunk.size, size_at, form, frames=frames, unit=unit, to_even=tag == _GSM)
    return None


def _codec(file: BinaryIO, at: int, order: str) -> tuple[int, int]:
    """Read the codec's number, and the bytes of a block for codecs with blocks of many samples."""
    file.seek(at)
    tag, _, _, _, block = struct.unpack(f"{order}HHIIH", file.read(14))
    return tag, max(block, 1) if tag in _IN_BLOCKS else 1


def _rf64(file: BinaryIO, start: int, wide: int) -> Layout:
    file.seek(wide)
    _, declared, _ = struct.unpack("<QQQ", file.read(24))
    return Layout(start, declared, lambda held, stop: [(wide, struct.pack("<QQ", stop - 8, held))], RIFF, unknown=LONG)


def w64(file: BinaryIO, head: bytes, size: int) -> Layout | None:
    unit = 1
    for chunk in chunks(file, 40, size, W64):
        if chunk.name.startswith(b"fmt "):
            _, unit = _codec(file, chunk.at, "<")
        if chunk.name.startswith(b"data"):
            return _w64(chunk, unit)
    return None


def _w64(sound: Chunk, unit: int) -> Layout:
    def patches(held: int, stop: int) -> Patches:
        return [(16, struct.pack("<Q", stop)), (sound.at - 8, struct.pack("<Q", held + 24))]

    return Layout(sound.at, sound.size, patches, W64, unknown=LONG, unit=unit)


def aiff(file: BinaryIO, head: bytes, size: int) -> Layout | None:
    common = sound = None
    for chunk in chunks(file, 12, size, IFF):
        common = chunk if chunk.name == b"COMM" else common
        sound = chunk if chunk.name == b"SSND" else sound
        if common and sound:
            return _aiff(file, common, sound)
    return None


def _aiff(file: BinaryIO, common: Chunk, sound: Chunk) -> Layout:
    file.seek(common.at)
    content = file.read(min(common.size, 22))
    channels, frames, bits = struct.unpack(">hIh", content[:8])
    codec = content[18:22]

    def patches(held: int, stop: int) -> Patches:
        made = [(4, struct.pack(">I", min(stop - 8, 0xFFFFFFFF))), (sound.at - 4, struct.pack(">I", held + 8))]
        count = _count_aiff(channels, bits, codec, held)
        return [*made, (common.at + 2, struct.pack(">I", count))] if count else made

    unit = _AIFF_BLOCKS.get(codec, 1) * max(channels, 1)
    declared = sound.size if sound.size >= UNKNOWN else max(sound.size - 8, 0)
    stated = frames if codec.startswith(b"DWV") else None
    return Layout(sound.at + 8, declared, patches, IFF, frames=stated, unit=unit)


def _count_aiff(channels: int, bits: int, codec: bytes, held: int) -> int | None:
    """Number of sample frames in ``held`` bytes; None for codecs with a variable rate."""
    if channels < 1:
        return None
    if codec in _PLAIN_AIFF:
        width = 1 if codec.lower() in (b"ulaw", b"alaw") else (bits + 7) // 8
        return held // (channels * width) if width else None
    block = _AIFF_BLOCKS.get(codec)
    return held // (block * channels) * (160 if codec == b"GSM " else 1) if block else None


def svx(file: BinaryIO, head: bytes, size: int) -> Layout | None:
    for chunk in chunks(file, 12, size, IFF):
        if chunk.name == b"BODY":
            return Layout(chunk.at, chunk.size, _patcher(chunk.at - 4, ">I"), IFF)
    return None


def caf(file: BinaryIO, head: bytes, size: int) -> Layout | None:
    frames = None
    for chunk in chunks(file, 8, size, CAF):
        if chunk.name == b"pakt":
            file.seek(chunk.at + 8)
            (frames,) = struct.unpack(">q", file.read(8))
        if chunk.name == b"data":
            patches = _patcher(chunk.at - 8, ">q")
            return Layout(chunk.at, chunk.size, patches, CAF, unknown=LONG, frames=frames)
    return None


def _patcher(at: int, form: str) -> Callable[[int, int], Patches]:
    most = 256 ** struct.calcsize(form) - 1 if form[-1].isupper() else LONG
    return lambda held, stop: [(at, struct.pack(form, min(held, most)))]
