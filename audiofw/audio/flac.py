"""Find the frames of a FLAC stream, to continue after damage, and the streams of concatenated files.

Source: RFC 9639.
"""

from __future__ import annotations

from collections.abc import Iterator

from audiofw.audio.content import Content
from audiofw.audio.parts import Part

MARK = b"fLaC\0\0\0\x22"
"""Signature of a stream, and the header of its STREAMINFO block, which must come first."""
_LAST = b"fLaC\x80\0\0\x22"  # the same, if no other block follows


def block_size(content: Content, begin: int) -> int:
    """Give the number of samples of a frame of the stream at an offset; the largest, if they vary."""
    at = content.find(b"fLaC", begin) + 10
    return max(int.from_bytes(content[at : at + 2], "big"), 16)


def find_end(content: Content, begin: int) -> int:
    """Find the offset of the end of a stream: the beginning of the next, if files are concatenated."""
    start = content.find(b"fLaC", begin)
    found = content.find(MARK, start + 4)
    return len(content) if found < 0 else found


def find_parts(content: Content, bounds: tuple[int, int], length: int | None) -> Iterator[Part]:
    """Iterate over what may be read from a frame of a stream on; the frame may be damaged, too.

    Parameters
    ----------
    content : Content
    bounds : (int, int)
        Offsets of the stream.
    length : int or None
        Number of samples according to the header.
    """
    start, size = content.find(b"fLaC", bounds[0]), block_size(content, bounds[0])
    info = content[start + 8 : start + 21] + bytes([content[start + 21] & 0xF0]) + bytes(20)
    for at in _sync_codes(content, start + 42, bounds[1]):
        begin = _first_sample(content[at : at + 16], size)
        if begin is not None and (length is None or begin < length):
            yield Part([_LAST + info, (at, bounds[1])], begin)


def _sync_codes(content: Content, at: int, end: int) -> Iterator[int]:
    while (at := content.find(b"\xff", at, end)) >= 0:
        if content[at : at + 2] in (b"\xff\xf8", b"\xff\xf9"):
            yield at
        at += 1


def _first_sample(head: bytes, size: int) -> int | None:
    """Read the number of a frame's first sample; None if this is no frame's header."""
    if len(head) < 16:
        return None
    length = 1 if head[4] < 0x80 else 8 - (head[4] ^ 0xFF).bit_length()  # as in UTF-8
    if not 1 <= length <= 7 or head[4] & 0xC0 == 0x80 or any(byte & 0xC0 != 0x80 for byte in head[5 : 4 + length]):
        return None
    number = head[4] & (0x7F if length == 1 else 0x7F >> length)
    for byte in head[5 : 4 + length]:
        number = number << 6 | byte & 0x3F
    end = 4 + length + {6: 1, 7: 2}.get(head[2] >> 4, 0) + {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    if head[2] >> 4 == 0 or head[2] & 15 == 15 or head[3] & 1 or end >= len(head) or _checksum(head[:end]) != head[end]:
        return None
    return number if head[1] & 1 else number * size


def _checksum(data: bytes) -> int:
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value << 1 ^ (0x107 if value & 0x80 else 0)
    return value
