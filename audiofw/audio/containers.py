"""Check the headers of uncompressed containers against the file, since a recorder that loses power writes no length.

The headers of WAV (RIFF, RIFX, RF64), W64, AIFF, AU and CAF state the number of bytes of samples. Programs that write
to a pipe, interrupted recorders and files beyond 4 GB leave zero, the maximum or another wrong value there; libsndfile
then reads nothing or too little, or rejects the file.

Sources: the RIFF/WAVE, EBU Tech 3306 (RF64), Sony Wave64, AIFF-C, Sun/NeXT audio and Core Audio Format specifications.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from audiofw.audio.spliced import Piece

UNKNOWN = 0x7FFF0000  # streaming programs write this or more for an unknown length
MOST_CHUNKS = 10_000
_NAME = re.compile(rb"[ -~]{4}")
_CHUNKS = frozenset(
    b"LIST|INFO|bext|iXML|cue |smpl|inst|fact|JUNK|PAD |FLLR|guan|wamd|id3 |ID3 |_PMX|aXML|MARK|COMT|NAME|AUTH|ANNO|"
    b"(c) |APPL|INST|MIDI|AESD|SAXL|uuid|strg|info|mark|regn|umid|peak|PEAK".split(b"|")
)
"""Names of chunks that may follow the samples."""
_PLAIN_AIFF = frozenset(b"NONE|sowt|twos|fl32|FL32|fl64|FL64|ulaw|ULAW|alaw|ALAW".split(b"|")) | {b""}
"""AIFF's codecs with a fixed number of bytes per sample; none is named in files older than AIFF-C."""


class Header(NamedTuple):
    """Size of the samples according to the header and to the file."""

    declared: int | None  #: bytes of samples according to the header; None if unknown
    held: int  #: bytes of samples in the file
    patches: tuple[tuple[int, bytes], ...]  #: corrections of the lengths in the header: offset and bytes

    @property
    def is_cut(self) -> bool:
        """Whether the file is shorter than its header states."""
        return self.declared is not None and self.held < self.declared

    @property
    def is_streamed(self) -> bool:
        """Whether the length was deliberately left open, by a program that wrote to a pipe."""
        return self.declared is None

    @property
    def is_wrong(self) -> bool:
        """Whether a decoder that trusts the header would miss samples or reject the file."""
        return self.declared != self.held

    def pieces(self, size: int) -> list[Piece]:
        """The file with corrected lengths, as pieces for `audiofw.audio.spliced`."""
        pieces: list[Piece] = []
        at = 0
        for offset, content in sorted(self.patches):
            pieces += [(at, offset), content]
            at = offset + len(content)
        return [*pieces, (at, size)]


class _Chunk(NamedTuple):
    name: bytes
    at: int  # position of its content
    size: int  # according to its header


def read_header(path: Path) -> Header | None:
    """Read and check a container's header.

    Returns
    -------
    Header or None
        None for other formats, and if the samples cannot be located.
    """
    try:
        with path.open("rb") as file:
            head = file.read(16)
            size = os.fstat(file.fileno()).st_size
            for mark, read in _READERS:
                if head.startswith(mark):
                    return read(file, head, size)
    except (OSError, struct.error):  # the decoder will report the problem
        return None
    return None


def _riff(file: BinaryIO, head: bytes, size: int) -> Header | None:
    order = ">" if head.startswith(b"RIFX") else "<"
    wide = 0
    for chunk in _chunks(file, 12, size, f"{order}4sI"):
        if chunk.name == b"ds64":
            wide = chunk.at
        if chunk.name == b"data":
            if wide:
                return _rf64(file, chunk.at, wide, size)
            held = _held(file, chunk, size, f"{order}4sI")
            right = struct.pack(f"{order}I", min(held, 0xFFFFFFFF))
            return Header(_known(chunk.size, held), held, ((chunk.at - 4, right),))
    return None


def _rf64(file: BinaryIO, start: int, wide: int, size: int) -> Header:
    file.seek(wide)
    _, declared, _ = struct.unpack("<QQQ", file.read(24))
    held = _held(file, _Chunk(b"data", start, declared), size, "<4sI")
    right = struct.pack("<QQ", size - 8, held)
    return Header(_known(declared, held, 2**62), held, ((wide, right),))


def _w64(file: BinaryIO, head: bytes, size: int) -> Header | None:
    at = 40
    for _ in range(MOST_CHUNKS):
        if at > size:  # a 64-bit length may exceed what seek accepts
            return None
        file.seek(at)
        name, length = struct.unpack("<16sQ", file.read(24))
        if name.startswith(b"data"):
            start, declared = at + 24, max(length - 24, 0)
            follows = start + declared
            ends = declared > 0 and follows <= size and (follows + 7) // 8 * 8 >= size
            held = declared if ends or _is_w64_chunk(file, (follows + 7) // 8 * 8, size) else size - start
            patches = ((16, struct.pack("<Q", size)), (at + 16, struct.pack("<Q", held + 24)))
            return Header(_known(declared, held, 2**62), held, patches)
        at += max((length + 7) // 8 * 8, 24)
    return None


def _is_w64_chunk(file: BinaryIO, at: int, size: int) -> bool:
    if at + 24 > size:
        return False
    file.seek(at)
    name, length = struct.unpack("<16sQ", file.read(24))
    return bool(_NAME.match(name)) and 24 <= length <= size - at + 7


def _aiff(file: BinaryIO, head: bytes, size: int) -> Header | None:
    if head[8:12] not in (b"AIFF", b"AIFC"):
        return None
    common = None
    for chunk in _chunks(file, 12, size, ">4sI"):
        if chunk.name == b"COMM":
            common = chunk
        if chunk.name == b"SSND" and common:
            held = _held(file, chunk, size, ">4sI") - 8
            patches = [(4, struct.pack(">I", size - 8)), (chunk.at - 4, struct.pack(">I", held + 8))]
            if count := _count_aiff(file, common, held):
                patches.append((common.at + 2, struct.pack(">I", count)))
            declared = _known(chunk.size, held + 8)
            return Header(None if declared is None else max(declared - 8, 0), held, tuple(patches))
    return None


def _count_aiff(file: BinaryIO, common: _Chunk, held: int) -> int | None:
    """Number of sample frames in ``held`` bytes; None for codecs with a variable rate."""
    file.seek(common.at)
    content = file.read(min(common.size, 22))
    channels, _, bits = struct.unpack(">hIh", content[:8])
    codec = content[18:22]
    if channels < 1:
        return None
    if codec in _PLAIN_AIFF:
        width = 1 if codec.lower() in (b"ulaw", b"alaw") else (bits + 7) // 8
        return held // (channels * width) if width else None
    block = {b"ima4": 34, b"GSM ": 33}.get(codec)
    return held // (block * channels) * (160 if codec == b"GSM " else 1) if block else None


def _au(file: BinaryIO, head: bytes, size: int) -> Header | None:
    order = ">" if head.startswith(b".snd") else "<"
    start, declared = struct.unpack(f"{order}II", head[4:12])
    if not 24 <= start <= size:
        return None
    held = (
        declared if declared and start + declared <= size and _is_blank(file, start + declared, size) else size - start
    )
    return Header(_known(declared, held), held, ((8, struct.pack(f"{order}I", min(held, 0xFFFFFFFF))),))


def _caf(file: BinaryIO, head: bytes, size: int) -> Header | None:
    for chunk in _chunks(file, 8, size, ">4sq"):
        if chunk.name == b"data":
            held = _held(file, chunk, size, ">4sq")
            return Header(_known(chunk.size, held, 2**62), held, ((chunk.at - 8, struct.pack(">q", held)),))
    return None


_READERS: tuple[tuple[bytes, Callable[[BinaryIO, bytes, int], Header | None]], ...] = (
    (b"RIFF", _riff),
    (b"RIFX", _riff),
    (b"RF64", _riff),
    (b"BW64", _riff),
    (b"riff\x2e\x91\xcf\x11", _w64),
    (b"FORM", _aiff),
    (b".snd", _au),
    (b"dns.", _au),
    (b"caff", _caf),
)


def _chunks(file: BinaryIO, at: int, size: int, form: str) -> Iterator[_Chunk]:
    """Iterate over the chunks up to that of the samples, whose length may be wrong."""
    head = struct.calcsize(form)
    for _ in range(MOST_CHUNKS):
        if at + head > size:
            return
        file.seek(at)
        name, length = struct.unpack(form, file.read(head))
        yield _Chunk(name, at + head, length)
        at += head + length + (length % 2 if head == 8 else 0)


def _held(file: BinaryIO, chunk: _Chunk, size: int, form: str) -> int:
    """Number of bytes of samples that the file actually contains."""
    rest = size - chunk.at
    end = chunk.at + chunk.size
    if not 0 <= chunk.size <= rest:
        return rest
    if _are_chunks(file, end + (chunk.size % 2 if form.endswith("I") else 0), size, form):
        return chunk.size
    if chunk.size and (_is_blank(file, end, size) or _is_tag(file, end)):
        return chunk.size
    return rest


def _are_chunks(file: BinaryIO, at: int, size: int, form: str) -> bool:
    """Whether the rest of the file consists of complete chunks rather than more samples."""
    head = struct.calcsize(form)
    for _ in range(MOST_CHUNKS):
        if size - 1 <= at <= size:
            return True
        if at + head > size:
            return False
        file.seek(at)
        name, length = struct.unpack(form, file.read(head))
        if not _NAME.fullmatch(name) or not 0 <= length <= size - at - head:
            return False
        at += head + length + (length % 2 if head == 8 else 0)
    return False


def _is_tag(file: BinaryIO, at: int) -> bool:
    """Whether a tag or a truncated chunk follows."""
    file.seek(at)
    name = file.read(4)
    return name in _CHUNKS or name[:3] in (b"ID3", b"TAG")


def _is_blank(file: BinaryIO, at: int, size: int) -> bool:
    """Whether only zeros follow, as recorders pad files to a full sector."""
    file.seek(at)
    while block := file.read(2**20):
        if block.strip(b"\0"):
            return False
    return True


def _known(declared: int, held: int, unknown: int = UNKNOWN) -> int | None:
    return declared if declared == held or 0 <= declared < unknown else None
