"""Where the headers of uncompressed formats without chunks say that their samples are.

Sources: the documentation of Sun/NeXT audio, NIST SPHERE, Creative Voice, HTK, MIDI Sample Dump Standard, MATLAB
level 4 and 5 MAT-files, FastTracker 2 instruments and Psion WVE; libsndfile's readers of AVR, MPC 2000, PAF, PVF and
IRCAM.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import BinaryIO, NamedTuple

UNKNOWN = 0x7FFF0000  # programs that write to a pipe state this or more for an unknown length
LONG = 2**62  # the same for 64-bit lengths

Patches = list[tuple[int, bytes]]
"""Corrections of a header: offset and bytes."""


def _no_patches(held: int, stop: int) -> Patches:
    return []


class Layout(NamedTuple):
    """The samples of a file according to its header."""

    start: int  #: offset of the samples
    declared: int | None  #: bytes of samples; None if not stated
    patches: Callable[[int, int], Patches] = _no_patches  #: for bytes of samples, and the end of the file
    form: str = ""  #: struct format of the headers of chunks that follow
    unknown: int = UNKNOWN  #: from here on, a length is unknown
    frames: int | None = None  #: sample frames, for codecs for which they cannot be computed from the bytes
    unit: int = 1  #: bytes that only decode together
    ending: bytes = b""  #: what must follow the samples
    to_even: bool = False  #: whether libsndfile makes up a block where an odd length is stated


Read = Callable[[BinaryIO, bytes, int], Layout | None]
"""From a file, its first 64 bytes and its size; None if the samples cannot be located."""


def au(file: BinaryIO, head: bytes, size: int) -> Layout | None:
    order = ">" if head.startswith(b".snd") else "<"
    start, declared = struct.unpack(f"{order}II", head[4:12])
    if not 24 <= start <= size:
        return None
    return Layout(start, declared, lambda held, _: [(8, struct.pack(f"{order}I", min(held, 0xFFFFFFFF)))])


def nist(file: BinaryIO, head: bytes, size: int) -> Layout | None:
    start = int(head[8:16])
    fields = dict(re.findall(rb"^(\w+) -\w+ (\S+)", _read(file, 16, min(start, 2**16) - 16), re.MULTILINE))
    count, width = int(fields.get(b"sample_count", -1)), int(fields.get(b"sample_n_bytes", 0))
    channels = int(fields.get(b"channel_count", 1))
    if count < 0 or width < 1:
        return Layout(start, None)
    total = count * width  # some programs count the samples of all channels
    return Layout(start, total if start + total == size else total * channels)


def voc(file: BinaryIO, head: bytes, size: int) -> Layout | None:
    (at,) = struct.unpack("<H", head[20:22])
    for _ in range(100):
        block = _read(file, at, 4)
        kind, length = block[0], int.from_bytes(block[1:4], "little")
        if kind in (1, 9):  # samples, after 2 or 12 bytes that describe them
            return _voc_samples(at, length, 2 if kind == 1 else 12)
        if kind == 0:
            return None
        at += 4 + length
    return None


def _voc_samples(at: int, length: int, own: int) -> Layout:
    def patches(held: int, stop: int) -> Patches:
        return [(at + 1, min(held + own, 0xFFFFFF).to_bytes(3, "little"))]

    return Layout(at + 4 + own, max(length - own, 0), patches, ending=b"\0", unknown=0xFFFFFF - own)


def avr(file: BinaryIO, head: bytes, size: int) -> Layout | None:
    stereo, bits = struct.unpack(">HH", head[12:16])
    (frames,) = struct.unpack(">I", head[26:30])
    return Layout(128, frames * (2 if stereo else 1) * (bits // 8))


def mpc2k(file: BinaryIO, head: bytes, size: int) -> Layout | None:
    (frames,) = struct.unpack("<I", head[30:34])
    return Layout(42, frames * 2 * (2 if head[21] else 1))


def wve(file: BinaryIO, head: bytes, size: int) -> Layout | None:
    return Layout(32, int.from_bytes(head[18:22], "big"))


def htk(file: BinaryIO, head: bytes, size: int) -> Layout | None:
    frames, period = struct.unpack(">II", head[:8])
    if not 25 <= period <= 10_000:  # in 100 ns: 1 to 400 kHz; it has no other signature
        return None
    return Layout(12, 2 * frames, lambda held, _: [(0, struct.pack(">I", held // 2))], unit=2)


def sds(file: BinaryIO, head: bytes, size: int) -> Layout | None:
    words = head[10] | head[11] << 7 | head[12] << 14
    in_packet = 120 // -(-head[6] // 7)

    def patches(held: int, stop: int) -> Patches:
        count = min(held // 127 * in_packet, 2**21 - 1)
        return [(10, bytes([count & 127, count >> 7 & 127, count >> 14]))]

    unknown = (2**21 - 1) // in_packet * 127
    return Layout(21, -(-words // in_packet) * 127, patches, unit=127, unknown=unknown)


def xi(file: BinaryIO, head: bytes, size: int) -> Layout | None:
    (samples,) = struct.unpack("<H", _read(file, 296, 2))
    (length,) = struct.unpack("<I", _read(file, 298, 4))
    return Layout(298 + 40 * samples, length if length and samples == 1 else None)


_MAT4_WIDTHS = (8, 4, 4, 2, 2, 1)


def mat4(file: BinaryIO, head: bytes, size: int) -> Layout | None:
    order, at = ("<" if head[4] else ">"), 0
    for _ in range(2):  # the sampling rate, then the samples
        kind, rows, columns, _, length = struct.unpack(f"{order}5I", _read(file, at, 20))
        width, field = rows * _MAT4_WIDTHS[kind // 10 % 10], at + 8
        start = at + 20 + length
        at = start + width * columns

    def patches(held: int, stop: int) -> Patches:
        return [(field, struct.pack(f"{order}I", held // max(width, 1)))]

    return Layout(start, width * columns, patches, unknown=width * UNKNOWN)


def mat5(file: BinaryIO, head: bytes, size: int) -> Layout | None:
    order = "<" if _read(file, 126, 2) == b"IM" else ">"
    _, length = struct.unpack(f"{order}II", _read(file, 128, 8))
    at = 136 + length + 8  # in the second array, after its header
    for _ in range(3):  # its flags, dimensions and name
        kind, length = struct.unpack(f"{order}II", _read(file, at, 8))
        at += 8 if kind >> 16 else 8 + (length + 7) // 8 * 8
    kind, declared = struct.unpack(f"{order}II", _read(file, at, 8))
    return None if kind >> 16 else Layout(at + 8, declared)


def unstated(start: int) -> Read:
    """Make the reader of a format whose header does not state a length."""
    return lambda file, head, size: Layout(start, None)


def pvf(file: BinaryIO, head: bytes, size: int) -> Layout | None:
    return Layout(head.index(b"\n", 5) + 1, None)


def _read(file: BinaryIO, at: int, size: int) -> bytes:
    file.seek(at)
    return file.read(size)
