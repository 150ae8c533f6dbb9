"""Find the actual extent of compressed streams, as lengths in headers may be estimated, missing or only partial.

libsndfile stops where a header says that a stream ends. FLAC written to a pipe has no length or a wrong one; the length
of an MP3 file without an index is estimated from the bit rate of its first frame; and concatenated files
(``cat a b > c``) are longer than the header of the first part states.

Sources: RFC 9639 (FLAC), RFC 3533 (Ogg), ISO/IEC 11172-3 and 13818-3 (MPEG audio), the Xing and Info headers of LAME.
"""

from __future__ import annotations

import mmap
import os
import re
import struct
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from audiofw.audio.spliced import Piece

Stream = list[Piece]
"""One stream of a file, as pieces for `audiofw.audio.spliced`."""

Content = mmap.mmap | bytes

FLAC = b"fLaC\0\0\0\x22"
"""Signature of a FLAC stream, and the header of its STREAMINFO block, which must come first."""


@contextmanager
def _content(path: Path) -> Iterator[Content]:
    with path.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:  # libsndfile opens empty .au files, but mmap cannot
            yield b""
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            yield content


def find_streams(path: Path) -> list[Stream]:
    """Find the streams of a compressed file, whatever lengths its headers state.

    Returns
    -------
    list of Stream
        Streams to decode one after the other; empty for other formats.
    """
    with _content(path) as content:
        for mark, find in _FINDERS:
            if content[: len(mark)] == mark:
                return find(content)
        begin = _after_id3(content)
        if content[begin : begin + 4] == b"fLaC":
            return _flac(content)
        return _mpeg(content, begin) if _frame_size(content, begin) else []


def states_length(path: Path) -> bool:
    """Whether a file's header states its length; without an index, the length of an MP3 file is estimated."""
    with _content(path) as content:
        begin = _after_id3(content)
        return not _frame_size(content, begin) or bool(_count_in_header(content, begin))


def _flac(content: Content) -> list[Stream]:
    """Split concatenated files, or remove the length, so that the decoder reads to the end."""
    starts = [match.start() for match in re.finditer(re.escape(FLAC), content)]
    if len(starts) > 1:
        return [[(start, end)] for start, end in zip(starts, [*starts[1:], len(content)], strict=True)]
    if not starts:
        return []
    at = starts[0] + 21  # after 4 bits of the sample size, 36 bits hold the number of samples
    return [[(0, at), bytes([content[at] & 0xF0, 0, 0, 0, 0]), (at + 5, len(content))]]


def _ogg(content: Content) -> list[Stream]:
    """Split chained Ogg streams at pages that begin a new stream after data pages."""
    starts, at, data = [0], 0, False
    while at + 27 <= len(content) and content[at : at + 4] == b"OggS":
        begins = bool(content[at + 5] & 2)
        if begins and data:
            starts.append(at)
        data = not begins
        n_segments = content[at + 26]
        at += 27 + n_segments + sum(content[at + 27 : at + 27 + n_segments])
        if content[at : at + 4] != b"OggS":  # a damaged page: continue at the next intact one
            at = content.find(b"OggS", at)
            if at < 0:
                break
    ends = [*starts[1:], len(content)]
    return [[(start, end)] for start, end in zip(starts, ends, strict=True)] if len(starts) > 1 else []


# --- MPEG audio -------------------------------------------------------------------------------------------

_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_KBITS = {
    (3, 3): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (3, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (3, 1): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 3): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 1): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Bit rates by version bits, 3 (MPEG-1) or 2 (MPEG-2 and 2.5), and layer bits, 3 (I), 2 (II) or 1 (III)."""


def _mpeg(content: Content, begin: int) -> list[Stream]:
    """Count the frames, and add an Info header with their number, or correct the existing one."""
    frames = list(_frames(content, begin))
    first = frames[0]
    size = _frame_size(content, first) or 0
    tag = next((at for name in (b"Xing", b"Info") if (at := content.find(name, first, first + size)) > 0), None)
    if tag is not None:  # it has its own frame, which is not played
        flags = struct.unpack(">I", content[tag + 4 : tag + 8])[0]
        counted = struct.unpack(">I", content[tag + 8 : tag + 12])[0] if flags & 1 else None
        if counted is None or abs(counted - (len(frames) - 1)) <= 1:
            return []
        return [[(0, tag + 8), struct.pack(">I", len(frames) - 1), (tag + 12, len(content))]]
    header = bytearray(content[first : first + 4])
    header[1] |= 1  # no checksum follows
    silent = bytes(header) + bytes(size - 4)
    at = 4 + _side_size(header)
    if size < at + 12:
        return []
    made = silent[:at] + b"Info" + struct.pack(">II", 1, len(frames)) + silent[at + 12 :]
    return [[made, (first, len(content))]]


NEAR = 2000  # frames to the start of a file from where seeking takes a few ms


def start_near(path: Path, at: int, lead: int) -> tuple[Stream, int] | None:
    """Leave the frames of an MP3 file before a sample out, but for the header that says where the sound begins.

    Seeking visits the header of every frame before, which takes a third of a second an hour into a file.

    Parameters
    ----------
    path : Path
    at : int
        The first sample to be read.
    lead : int
        Number of samples to keep before it.

    Returns
    -------
    pieces : Stream
    skipped : int
        Number of samples left out.
        None for a file whose header does not count its frames correctly, and near the start.
    """
    status = path.stat()
    index = _index_frames(path, status.st_size, status.st_mtime_ns)
    if index is None or (number := (at - lead) // index.size) < NEAR or number + 1 >= len(index.starts):
        return None
    starts = index.starts
    return [(0, starts[1]), (starts[1 + number], status.st_size)], number * index.size


class _Index(NamedTuple):
    starts: array[int]  # positions of the frames; the first is the header, which is not played
    size: int  # samples of a frame


@lru_cache(maxsize=16)
def _index_frames(path: Path, size: int, mtime_ns: int) -> _Index | None:
    with _content(path) as content:
        begin = _after_id3(content)
        if not _frame_size(content, begin) or content[begin + 1] >> 1 & 3 != 1:  # layer III
            return None
        counted = _count_in_header(content, begin)
        starts = array("Q", _frames(content, begin)) if counted else array("Q")
        if counted is None or len(starts) != counted[1] + 1:
            return None
        return _Index(starts, 1152 if content[begin + 1] >> 3 & 3 == 3 else 576)


def _count_in_header(content: Content, first: int) -> tuple[int, int] | None:
    """Position and value of the number of frames in the first frame, if it is stated there."""
    at = first + 4 + _side_size(content[first : first + 4])
    if content[at : at + 4] in (b"Xing", b"Info") and content[at + 7] & 1:
        return at + 8, struct.unpack(">I", content[at + 8 : at + 12])[0]
    return None


def _side_size(header: bytes | bytearray) -> int:
    mono, first = header[3] >> 6 == 3, header[1] >> 3 & 3 == 3
    return (17 if mono else 32) if first else (9 if mono else 17)


def _frames(content: Content, at: int) -> Iterator[int]:
    """Iterate over the start positions of frames, skipping other data."""
    kind = (content[at + 1] & 0xFE, content[at + 2] & 0x0C)
    while at < len(content) - 4:
        size = _frame_size(content, at)
        if size and (content[at + 1] & 0xFE, content[at + 2] & 0x0C) == kind:
            yield at
            at += size
            continue
        at = content.find(b"\xff", at + 1)
        if at < 0:
            return


def _frame_size(content: Content, at: int) -> int | None:
    """Size in bytes of the frame whose header is at ``at``; None if there is no frame header."""
    header = content[at : at + 4]
    if len(header) < 4 or header[0] != 0xFF or header[1] < 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    rate, kbits, padding = header[2] >> 2 & 3, header[2] >> 4, header[2] >> 1 & 1
    if version == 1 or layer == 0 or rate == 3 or not 0 < kbits < 15:
        return None
    bits = 1000 * _KBITS[3 if version == 3 else 2, layer][kbits - 1]
    sr = _RATES[version][rate]
    if layer == 3:
        return (12 * bits // sr + padding) * 4
    return (144 if layer == 2 or version == 3 else 72) * bits // sr + padding


def _after_id3(content: Content) -> int:
    at = 0
    while content[at : at + 3] == b"ID3" and at + 10 <= len(content):
        size = content[at + 6 : at + 10]
        at += 10 + (size[0] << 21 | size[1] << 14 | size[2] << 7 | size[3]) + (10 if content[at + 5] & 0x10 else 0)
    return at


_FINDERS: tuple[tuple[bytes, Callable[[Content], list[Stream]]], ...] = ((b"fLaC", _flac), (b"OggS", _ogg))
