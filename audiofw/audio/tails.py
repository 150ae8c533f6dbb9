"""What follows the samples of a file: chunks, tags, text, padding, another file, or more samples."""

from __future__ import annotations

import re
from typing import BinaryIO, NamedTuple

from audiofw.audio.chunked import CAF, NAME, chunks, next_chunk

KNOWN = frozenset(
    b"LIST|INFO|bext|iXML|cue |smpl|inst|fact|JUNK|PAD |FLLR|guan|wamd|id3 |ID3 |_PMX|aXML|MARK|COMT|NAME|AUTH|ANNO|"
    b"(c) |APPL|INST|MIDI|AESD|SAXL|uuid|strg|info|mark|regn|umid|peak|PEAK|pakt".split(b"|")
)
"""Names of chunks that may follow the samples."""
_TAGS = (b"ID3", b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"3DI")
_OTHERS = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF8", b"%PDF-", b"PK\3\4", b"\x1f\x8b\x08", b"BZh", b"7z\xbc\xaf")
"""Pictures, documents and archives."""
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")
_MOST_TEXT = 2**20
_FEW = 0.01  # of the samples: bytes that cannot be told from samples are ignored


class Tail(NamedTuple):
    """Where the file ends, and whether that had to be guessed."""

    stop: int  #: end of the bytes that belong to the file
    following: bool = False  #: whether another file begins there
    unsure: bool = False


def find_tail(file: BinaryIO, end: int, declared: int, size: int, form: str, mark: re.Pattern[bytes]) -> Tail | None:
    """Find out what follows the samples, which end at ``end`` according to the header.

    Parameters
    ----------
    file : BinaryIO
    end : int
    declared : int
        Number of bytes of samples.
    size : int
        Of the file.
    form : str
        Struct format of the headers of chunks; empty if the format has none.
    mark : re.Pattern
        How a file of this format begins.

    Returns
    -------
    Tail or None
        None if the samples seem to go on.
    """
    at = min(next_chunk(end, form), size) if form else end
    if _peek(file, end)[: at - end].strip(b"\0"):  # padding is missing
        at = end
    for begin in (end, at) if declared else ():
        if mark.match(_peek(file, begin)):
            return Tail(begin, following=True)
    if size - at <= (1 if form else 0):
        return Tail(size)
    if form and (tail := _after_chunks(file, at, size, form, mark)):
        return tail
    if declared and _is_blank(file, end):
        return Tail(end)
    if declared and _is_other(file, at, size):
        return Tail(at)
    if form == CAF and _peek(file, at)[:1] == b"\0" and _is_other(file, at + 1, size):  # libsndfile pads it
        return Tail(at)
    if declared and size - at < _FEW * declared:
        return Tail(at, unsure=True)
    return None


def _after_chunks(file: BinaryIO, at: int, size: int, form: str, mark: re.Pattern[bytes]) -> Tail | None:
    """Pass over complete chunks; None if there is none, or if something else follows that is no known chunk."""
    known = False
    for chunk in chunks(file, at, size, form):
        if mark.match(_peek(file, at)):
            return Tail(at, following=True)
        name = chunk.name[:4]
        if not NAME.fullmatch(name) or not 0 <= chunk.size <= size - chunk.at:
            break
        known |= name in KNOWN
        at = chunk.next
    if at >= size - 1:
        return Tail(size)
    return Tail(at) if known or _peek(file, at)[:4] in KNOWN else None


def _is_other(file: BinaryIO, at: int, size: int) -> bool:
    """Whether a tag, a text or another kind of file follows."""
    head = _peek(file, at)
    if head.startswith(_TAGS + _OTHERS):
        return True
    if size - at >= 32 and _peek(file, size - 32).startswith(b"APETAGEX"):
        return True
    return _is_text(file, at, size)


def _is_text(file: BinaryIO, at: int, size: int) -> bool:
    if size - at > _MOST_TEXT or _CONTROL.search(_peek(file, at)):
        return False
    file.seek(at)
    content = file.read()
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return not _CONTROL.search(content)


def _is_blank(file: BinaryIO, at: int) -> bool:
    """Whether only zeros follow, as recorders pad files to a full sector."""
    file.seek(at)
    while block := file.read(2**20):
        if block.strip(b"\0"):
            return False
    return True


def _peek(file: BinaryIO, at: int) -> bytes:
    file.seek(at)
    return file.read(64)
