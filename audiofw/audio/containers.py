"""Check the headers of uncompressed formats against the file, since a recorder that loses power writes no length.

Headers state the number of bytes or frames of samples. Programs that write to a pipe, interrupted recorders and files
beyond 4 GB leave zero, the maximum or another wrong value there; libsndfile then reads nothing or too little, rejects
the file, or takes what follows the samples for samples. Files may be cut, and others may be appended to them.
"""

from __future__ import annotations

import io
import os
import re
import struct
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, NamedTuple

from audiofw.audio import chunked, layouts
from audiofw.audio.layouts import Layout, Patches, Read
from audiofw.audio.spliced import Piece, open_spliced
from audiofw.audio.tails import find_tail

SMALL = 2**22  # bytes
SEARCHED = 2**26  # bytes of samples of an unknown length in which the header of an appended file is looked for


class Header(NamedTuple):
    """Size of the samples according to the header and to the file."""

    declared: int | None  #: bytes of samples according to the header; None if unknown
    held: int  #: bytes of samples in the file
    patches: Patches  #: corrections of the lengths in the header
    begin: int  #: offset of the file among appended ones
    used: int  #: offset of the end of what is decoded
    stop: int  #: offset of its end
    size: int  #: of all appended files together
    following: bool  #: whether another file follows
    unsure: bool  #: whether the bytes after the samples are not known
    frames: int | None  #: according to the header, for codecs for which they do not follow from the bytes
    ending: bytes  #: what must follow the samples

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

    @property
    def is_plain(self) -> bool:
        """Whether the file can be given to the decoder as it is."""
        return not self.is_wrong and (self.begin, self.used) == (0, self.size)

    def pieces(self) -> list[Piece]:
        """The file with corrected lengths, as pieces for `audiofw.audio.spliced`."""
        pieces: list[Piece] = []
        at = self.begin
        for offset, content in sorted(self.patches):
            pieces += [(at, self.begin + offset), content]
            at = self.begin + offset + len(content)
        return [*pieces, (at, self.used), self.ending if self.is_wrong else b""]


def read_header(path: Path, begin: int = 0) -> Header | None:
    """Read and check a header.

    Parameters
    ----------
    path : Path
    begin : int
        Offset of the file among appended ones.

    Returns
    -------
    Header or None
        None for other formats, and if the samples cannot be located.
    """
    try:
        with _opened(path, begin) as file:
            head = file.read(64)
            kind = next((kind for kind in _KINDS if kind.mark.match(head)), None)
            size = file.seek(0, os.SEEK_END)
            layout = kind and kind.read(file, head, size)
            return kind and layout and _measured(path, file, size, begin, layout, kind)
    except (OSError, ValueError, LookupError, struct.error):  # the decoder will report the problem
        return None


def appended(path: Path, header: Header) -> Iterator[Header]:
    """Iterate over the headers of the files that are appended to one."""
    found: Header | None = header
    while found and found.following:
        if found := read_header(path, found.stop):
            yield found


def _opened(path: Path, begin: int) -> BinaryIO | io.BufferedReader:
    return open_spliced(path, [(begin, path.stat().st_size)]) if begin else path.open("rb")


def _measured(path: Path, file: BinaryIO, size: int, begin: int, layout: Layout, kind: _Kind) -> Header:
    start, declared = layout.start, layout.declared
    tail = None
    if declared is not None and 0 <= declared <= size - start:
        end = start + declared + _ending(file, start + declared, layout.ending)
        tail = find_tail(file, end, declared, size, layout.form, kind.mark)
    if tail and declared is not None:
        stop, held = tail.stop, declared
        used = stop
    else:
        stop = _next_file(path, file, start, size, begin, kind)
        held = (stop - start - _ending(file, stop - len(layout.ending), layout.ending)) // layout.unit * layout.unit
        used = start + held if layout.unit > 1 else stop
    added = held % 2 if layout.to_even else 0
    if added:
        used = start + held
    if declared is not None and declared != held and not 0 <= declared < layout.unknown:
        declared = None
    return Header(
        declared,
        held,
        layout.patches(held + added, stop) if added or held != declared else [],
        begin,
        begin + used,
        begin + stop,
        begin + size,
        tail.following if tail else stop < size,
        bool(tail and tail.unsure),
        layout.frames,
        layout.ending,
    )


def _ending(file: BinaryIO, at: int, ending: bytes) -> int:
    file.seek(at)
    return len(ending) if file.read(len(ending)) == ending else 0


def _next_file(path: Path, file: BinaryIO, start: int, size: int, begin: int, kind: _Kind) -> int:
    """Find the header of an appended file among samples of an unknown length, or else the end."""
    if size - start < SMALL:
        return _search(file, start, size, kind)
    return _searched(path, path.stat().st_mtime_ns, start, size, begin, kind)


@lru_cache(maxsize=64)
def _searched(path: Path, mtime_ns: int, start: int, size: int, begin: int, kind: _Kind) -> int:
    """Remember the result for a long file, of which many stretches may be read."""
    with _opened(path, begin) as file:
        return _search(file, start, size, kind)


def _search(file: BinaryIO, start: int, size: int, kind: _Kind) -> int:
    file.seek(0)
    first = file.read(4)
    at, rest = start, b""
    while kind.searched and at < min(size, start + SEARCHED):
        file.seek(at)
        block = rest + file.read(2**20)
        if first in block and (found := kind.searched.search(block)):
            return at - len(rest) + found.start()
        at += len(block) - len(rest)
        rest = block[-64:]
    return size


class _Kind(NamedTuple):
    mark: re.Pattern[bytes]  # how a file begins
    searched: re.Pattern[bytes] | None  # how it is recognised among samples
    read: Read


def _kind(mark: bytes, read: Read, searched: bytes | None = None) -> _Kind:
    weak = searched == b""
    return _Kind(re.compile(mark, re.DOTALL), None if weak else re.compile(searched or mark, re.DOTALL), read)


_KINDS = (
    _kind(rb"(RIFF|RIFX|RF64|BW64)....WAVE", chunked.riff),
    _kind(rb"riff\x2e\x91\xcf\x11", chunked.w64),
    _kind(rb"FORM....AIF[FC]", chunked.aiff),
    _kind(rb"FORM....(8SVX|16SV)", chunked.svx),
    _kind(rb"caff\x00\x01\x00\x00", chunked.caf, rb"caff\x00\x01\x00\x00desc"),
    _kind(rb"\.snd", layouts.au, rb"\.snd\x00\x00.{6}\x00\x00\x00[\x01-\x1b]\x00.{3}\x00\x00\x00."),
    _kind(rb"dns\.", layouts.au, rb"dns\..{2}\x00\x00.{4}[\x01-\x1b]\x00\x00\x00.{3}\x00.\x00\x00\x00"),
    _kind(rb"NIST_1A\n", layouts.nist),
    _kind(rb"Creative Voice File\x1a", layouts.voc),
    _kind(rb"2BIT", layouts.avr, rb"2BIT.{8}(\x00\x00|\xff\xff)\x00[\x08\x10](\x00\x00|\xff\xff)"),
    _kind(
        rb"\x00\x00(\x00\x00|\x03\xe8)(\x01\x00\x00\x00|\x00\x00\x00\x01){2}\x00{4}\x0b?\x00{3}\x0b?samplerate\x00",
        layouts.mat4,
    ),
    _kind(rb"MATLAB 5\.0 MAT-file", layouts.mat5),
    _kind(rb"\x01\x04", layouts.mpc2k, b""),
    _kind(rb"ALawSoundFile\*\*", layouts.wve),
    _kind(rb"Extended Instrument: ", layouts.xi),
    _kind(rb"\xf0\x7e.\x01", layouts.sds, rb"\xf0\x7e.\x01.{16}\xf7\xf0\x7e"),
    _kind(rb"PVF1\n", layouts.pvf),
    _kind(rb"( paf|fap )\x00\x00\x00\x00", layouts.unstated(2048)),
    _kind(
        rb"\x64\xa3[\x01-\x04]\x00|\x00[\x01-\x04]\xa3\x64",
        layouts.unstated(1024),
        rb"\x64\xa3[\x01-\x04]\x00.{4}[\x01-\x04]\x00{3}|\x00[\x01-\x04]\xa3\x64.{4}\x00{3}[\x01-\x04]",
    ),
    _kind(rb".{8}\x00\x02\x00\x00", layouts.htk, b""),
)
