"""Find the undamaged runs of pages of an Ogg file: a decoder passes over the others, and what it plays there is wrong.

Sources: RFC 3533 (Ogg), RFC 7845 (Opus in Ogg), the Vorbis I specification.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from audiofw.audio.content import Content, mapped
from audiofw.audio.parts import Part
from audiofw.audio.spliced import Piece

BOS, EOS = 2, 4  # flags of the pages that begin and end a stream
SMALL = 2**17  # bytes; shorter stretches are walked through
OPUS_RATE = 48_000  # of positions, whatever the sampling rate
OPUS_LEAD = 0.08  # seconds until a decoder that begins anew has converged, by RFC 7845
VORBIS, OPUS = b"\1vorbis", b"OpusHead"
_LARGEST = 65_307  # bytes of a page
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class Page(NamedTuple):
    at: int  #: offset
    end: int
    flags: int
    position: int  #: of the last sample that ends on it; -1 if none does
    serial: int
    number: int


def pages(content: Content, at: int = 0) -> Iterator[Page]:
    """Iterate over the intact pages, passing over everything else."""
    while at >= 0:
        if page := _page(content, at):
            yield page
            at = page.end
        else:
            at = content.find(b"OggS", at + 1)


def _page(content: Content, at: int) -> Page | None:
    head = content[at : at + 27]
    if len(head) < 27 or head[:4] != b"OggS":
        return None
    _, _, flags, position, serial, number, checksum, segments = struct.unpack("<4sBBqIIIB", head)
    end = at + 27 + segments + sum(content[at + 27 : at + 27 + segments])
    if end > len(content) or _checksum(head[:22] + bytes(4) + content[at + 26 : end]) != checksum:
        return None
    return Page(at, end, flags, position, serial, number)


def _checksum(data: bytes) -> int:
    """Compute Ogg's checksum: zlib's, but for the bits in reverse order and without inversion."""
    value = zlib.crc32(data.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{value:032b}"[::-1], 2)


def is_whole(content: Content, start: int, end: float, sr: int) -> bool:
    """Whether no page between two positions, in sample frames, is damaged or missing.

    The last page of a file may be missing; see `ends`.
    """
    scale = OPUS_RATE / sr if _is_opus(content) else 1.0
    serial, number, ended = None, None, False
    for page in pages(content, _seek(content, int(scale * (start - 2 * sr)))):
        if page.flags & BOS and page.number == 0 and _is_sound(content, page):
            if number is not None and not ended:
                return False
            serial, number = page.serial, -1
        if page.serial != (serial := page.serial if serial is None else serial):
            continue
        if page.number != (page.number if number is None else number + 1):
            return False
        number, ended = page.number, bool(page.flags & EOS)
        if page.position > scale * (end + sr):
            break
    return True


def _seek(content: Content, target: int) -> int:
    """Find a page before a position by bisection; 0 if there are several streams in the file."""
    low, high = 0, len(content)
    first = _page(content, 0)
    while high - low > SMALL and target > 0:
        middle = (low + high) // 2
        page = next((page for page in pages(content, middle) if page.position > 0), None)
        if page is None or page.position > target:
            high = middle
        elif page.flags & BOS or not first or page.serial != first.serial:
            return 0
        else:
            low = page.at
    return low


def _is_sound(content: Content, page: Page) -> bool:
    return content[page.at + 28 : page.at + 36].startswith((VORBIS, OPUS))


def _is_opus(content: Content) -> bool:
    return content[28:36] == OPUS


def ends(path: Path) -> bool:
    """Whether the last page of a file says that it is the last."""
    with mapped(path) as content:
        at = len(content)
        while (at := content.rfind(b"OggS", 0, at)) >= 0:
            if page := _page(content, at):
                return bool(page.flags & EOS)
    return True


@dataclass
class _Chain:
    """One of the streams that follow each other in a file."""

    begin: int  # offset
    data: int  # offset of the end of its headers
    serial: int
    preskip: int | None  # of Opus
    number: int = 0  # of the last page
    runs: list[_Run] = field(default_factory=list)
    starts: bool = False  # whether its first page of samples is there
    ended: bool = False  # whether its last page is there


@dataclass
class _Run:
    """Successive pages without damage."""

    begin: int  # offset
    end: int = 0
    position: int = -1  # of its last sample


def find_parts(content: Content, sr: int, measure: Callable[[list[Piece]], int | None]) -> list[Part]:
    """Find the parts between damaged pages.

    Parameters
    ----------
    content : Content
    sr : int
        Sampling rate in Hz.
    measure : callable
        Counts the sample frames of pieces; None if they do not decode.
    """
    parts, base, chains = list[Part](), 0, _chains(content)
    for chain in chains:
        scale, lead = (1.0, 0) if chain.preskip is None else (sr / OPUS_RATE, math.ceil(OPUS_LEAD * sr))
        origin, end = round((chain.preskip or 0) * scale), base
        for number, run in enumerate(chain.runs):
            pieces: list[Piece] = [(chain.begin, chain.data), (run.begin, run.end)]
            length, last = measure(pieces), round(run.position * scale)
            if length is None or run.position < 0:
                continue
            first = number == 0 and (chain.starts or _is_recorded_late(chain, last - length, origin, scale))
            origin = last - length if first else origin
            end = base + last - origin
            parts.append(Part(pieces, end - length, 0 if first else lead))
        base = end
        if parts and not chain.ended and chain is not chains[-1]:
            parts[-1] = parts[-1]._replace(is_cut=True)
    return parts


def _is_recorded_late(chain: _Chain, begin: int, origin: int, scale: float) -> bool:
    """Whether more is missing before the first page than there is: it is then a broadcast, recorded from its middle."""
    return begin - origin > chain.runs[-1].position * scale - begin


def _chains(content: Content) -> list[_Chain]:
    chains: list[_Chain] = []
    chain, begin, headers = None, 0, True
    for page in pages(content):
        if page.flags & BOS:
            if not headers:
                begin, headers, chain = page.at, True, None
            if chain is None and _is_sound(content, page):
                opus = content[page.at + 28 : page.at + 36] == OPUS
                preskip = struct.unpack("<H", content[page.at + 38 : page.at + 40])[0] if opus else None
                chains.append(chain := _Chain(begin, page.end, page.serial, preskip))
        elif chain and page.serial == chain.serial:
            if headers and page.position <= 0:
                chain.data, chain.number = page.end, page.number
                continue
            _add(chain, page, headers)
            headers = False
    return chains


def _add(chain: _Chain, page: Page, first: bool) -> None:
    if first:
        chain.starts = page.number == chain.number + 1
    if first or page.number != chain.number + 1:
        chain.runs.append(_Run(page.at))
    run = chain.runs[-1]
    chain.ended = bool(page.flags & EOS)
    run.end, run.position, chain.number = page.end, max(run.position, page.position), page.number
