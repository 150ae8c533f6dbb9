"""Count the frames of MPEG audio, since the length of a file without an index is estimated, and find damaged ones.

Sources: ISO/IEC 11172-3 and 13818-3, the Xing and Info headers of LAME.
"""

from __future__ import annotations

import itertools
import math
import struct
from array import array
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from audiofw.audio.content import Content, mapped
from audiofw.audio.parts import Part
from audiofw.audio.spliced import Piece

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


class Index(NamedTuple):
    """The frames of a file."""

    begin: int  #: offset of the first
    starts: array[int]  #: offsets; the first may be a header that is not played
    breaks: list[int]  #: numbers of the frames that do not follow the one before immediately
    size: int  #: samples of a frame
    counted: int | None  #: number of frames according to that header
    tag: int | None  #: offset of that header's fields

    @property
    def lead(self) -> int:
        """Number of frames that are not played."""
        return 0 if self.tag is None else 1


def walk_frames(content: Content, most: float = math.inf) -> Index | None:
    """Find the frames of a file, or the first of them.

    Returns
    -------
    Index or None
        None for other formats.
    """
    begin = after_id3(content)
    if not (size := _frame_size(content, begin)):
        return None
    starts, breaks = array("Q"), list[int]()
    for at, follows in _frames(content, begin):
        if not follows:
            breaks.append(len(starts))
        starts.append(at)
        if len(starts) > most:
            break
    version, layer = content[begin + 1] >> 3 & 3, content[begin + 1] >> 1 & 3
    samples = 384 if layer == 3 else 1152 if layer == 2 or version == 3 else 576
    tag = next((at for name in (b"Xing", b"Info") if (at := content.find(name, begin, begin + size)) > 0), None)
    counted = None
    if tag is not None and content[tag + 7] & 1:
        counted = struct.unpack(">I", content[tag + 8 : tag + 12])[0]
    return Index(begin, starts, breaks, samples, counted, tag)


@lru_cache(maxsize=16)
def _walked(path: Path, size: int, mtime_ns: int) -> Index | None:
    with mapped(path) as content:
        return walk_frames(content)


def walked(path: Path) -> Index | None:
    """Find the frames of a file as `walk` does; remembered, since stretches of the same file follow each other."""
    status = path.stat()
    return _walked(path, status.st_size, status.st_mtime_ns)


def states_length(path: Path) -> bool:
    """Whether the header states the number of frames; else libsndfile estimates it."""
    with mapped(path) as content:
        index = walk_frames(content, 0)
    return index is None or index.counted is not None


def is_cut(path: Path) -> bool:
    """Whether the file ends within a frame."""
    with mapped(path) as content:
        index = walk_frames(content)
        return index is not None and _ends_within_frame(content, index)


def _ends_within_frame(content: Content, index: Index) -> bool:
    last = index.starts[-1]
    return last + (_frame_size(content, last) or 0) > len(content)


def counted_right(content: Content, index: Index) -> tuple[list[Piece], int] | None:
    """Add a header with the number of frames, or correct it.

    Returns
    -------
    pieces : list of Piece
    begin : int
        Position of their first sample.
        None if the header is right.
    """
    n_frames = len(index.starts) - index.lead
    if index.tag is not None:
        if index.counted is None or abs(index.counted - n_frames) <= 1:
            return None
        at = index.tag + 8
        return [(0, at), struct.pack(">I", n_frames), (at + 4, len(content))], 0
    made = _lead_in(content, index, n_frames)
    return ([made, (index.begin, len(content))], DELAY - index.size) if made else None


def _lead_in(content: Content, index: Index, n_frames: int) -> bytes:
    """Make a header that states the number of frames, for a file without, and a silent frame.

    Where there is a header, the decoder leaves out its own delay; here, this is part of the silence. Empty if the
    frames are too small for it, or not of layer III.
    """
    header = bytearray(content[index.begin : index.begin + 4])
    header[1] |= 1  # no checksum follows
    size, at = _frame_size(content, index.begin) or 0, 4 + _side_size(header)
    if size < at + 12 or header[1] >> 1 & 3 != 1:
        return b""
    counted = b"Info" + struct.pack(">II", 1, n_frames + 1)
    return bytes(header) + bytes(at - 4) + counted + bytes(size - at - 12) + bytes(header) + bytes(size - 4)


def find_parts(content: Content, index: Index, length: int | None) -> list[Part]:
    """Find the parts between damaged frames.

    How many frames are lost follows from the number in the header, or from the bytes between the parts.

    Parameters
    ----------
    content : Content
    index : Index
    length : int or None
        Number of samples according to the decoder, which leaves out the padding at the end.
    """
    ends = [*(number - 1 for number in index.breaks), len(index.starts)]  # the frame before damage may be damaged
    runs = list(zip([0, *index.breaks], ends, strict=True))
    mean = (index.starts[-1] - index.begin) / max(len(index.starts) - 1, 1)
    lost = [0.0, *((index.starts[b] - index.starts[a]) / mean for (_, a), (b, _) in itertools.pairwise(runs))]
    if index.counted is not None and not _ends_within_frame(content, index):
        missing = index.counted - (sum(b - a for a, b in runs) - index.lead)
        # otherwise bytes have been inserted, or the header is damaged, too
        if len(index.breaks) <= missing <= MOST_MISSING * len(index.starts):
            lost = [each * missing / sum(lost) for each in lost]
    head: Piece = (0, index.starts[1]) if index.lead else _lead_in(content, index, len(index.starts))
    silent = index.size - DELAY if isinstance(head, bytes) and head else 0
    skip = (math.ceil(_RESERVOIR / mean) + 1) * index.size
    parts, at = list[Part](), -float(index.lead)
    for number, (a, b) in enumerate(runs):
        at += lost[number]
        first = index.starts[max(a, index.lead)]
        pieces: list[Piece] = [head, (first, index.starts[b] if b < len(index.starts) else len(content))]
        begin, stop = (round(at) + index.lead * (not number)) * index.size, (b - a) * index.size
        if index.counted is not None and length is not None:
            stop = min(stop, length - begin)
        parts.append(Part(pieces, begin - silent, silent + skip * (number > 0), silent + stop))
        at += b - a
    return [part for part in parts if part.stop and part.stop > 0]


DELAY = 529  # samples of a decoder
NEAR = 2000  # frames to the start of a file from where seeking takes a few ms
_RESERVOIR = 511  # bytes before a frame to which it may refer
MOST_MISSING = 100  # times as many frames as a damaged file has; its header may be damaged, too


def start_near(path: Path, at: int, lead: int) -> tuple[list[Piece], int] | None:
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
    pieces : list of Piece
    skipped : int
        Number of samples left out.
        None for a file whose header does not count its frames correctly, and near the start.
    """
    index = walked(path)
    if index is None or index.counted != len(index.starts) - 1:
        return None
    if (number := (at - lead) // index.size) < NEAR or number + 1 >= len(index.starts):
        return None
    return [(0, index.starts[1]), (index.starts[1 + number], path.stat().st_size)], number * index.size


def _side_size(header: bytes | bytearray) -> int:
    mono, first = header[3] >> 6 == 3, header[1] >> 3 & 3 == 3
    return (17 if mono else 32) if first else (9 if mono else 17)


def _frames(content: Content, at: int) -> Iterator[tuple[int, bool]]:
    """Iterate over the offsets of frames, and whether each follows the one before; tags may stand between them."""
    kind, follows, last = _kind(content, at), True, len(content) - 4
    sizes: dict[bytes, int] = {}  # headers repeat
    while 0 <= at < last:
        head = content[at : at + 3]
        if (size := sizes.get(head)) is None:
            size = sizes[head] = (_frame_size(content, at) or 0) if _kind(content, at) == kind else 0
        if size and (follows or _goes_on(content, at + size, kind)):
            yield at, follows
            at, follows = at + size, True
        elif not size and head in (b"ID3", b"TAG", b"APE", b"LYR"):
            end = after_id3(content, at)
            at = content.find(b"\xff", at + 1) if end == at else end
        else:
            at, follows = content.find(b"\xff", at + 1), False


def _kind(content: Content, at: int) -> tuple[int, int]:
    return content[at + 1] & 0xFE, content[at + 2] & 0x0C


def _goes_on(content: Content, at: int, kind: tuple[int, int]) -> bool:
    """Whether a frame follows, so that the one before is not just bytes that look like one."""
    return at >= len(content) - 4 or (_frame_size(content, at) is not None and _kind(content, at) == kind)


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


def after_id3(content: Content, at: int = 0) -> int:
    """Pass over tags."""
    while content[at : at + 3] == b"ID3" and at + 10 <= len(content):
        size = content[at + 6 : at + 10]
        at += 10 + (size[0] << 21 | size[1] << 14 | size[2] << 7 | size[3]) + (10 if content[at + 5] & 0x10 else 0)
    return at
