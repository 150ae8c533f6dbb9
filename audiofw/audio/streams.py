"""Find the actual extent of compressed streams, as lengths in headers may be estimated, missing or only partial.

libsndfile stops where a header says that a stream ends. FLAC written to a pipe has no length or a wrong one; the length
of an MP3 file without an index is estimated from the bit rate of its first frame; and concatenated files
(``cat a b > c``) are longer than the header of the first part states.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from audiofw.audio import flac, mpeg
from audiofw.audio.content import Content, mapped
from audiofw.audio.spliced import Piece


class Stream(NamedTuple):
    """One stream of a file, or one of several files."""

    pieces: list[Piece]  #: for `audiofw.audio.spliced`
    begin: int | None = None  #: position of its first frame; None: after the last of the stream before
    is_cut: bool = False  #: whether it is known to be shorter than its header states


def find_streams(path: Path) -> list[Stream]:
    """Find the streams of a compressed file, whatever lengths its headers state.

    Returns
    -------
    list of Stream
        Streams to decode one after the other; empty for other formats.
    """
    with mapped(path) as content:
        begin = mpeg.after_id3(content)
        if content[begin : begin + 4] == b"fLaC":
            return _flac(content)
        if content[:4] == b"OggS":
            return _ogg(content)
        index = mpeg.walk_frames(content)
        made = mpeg.counted_right(content, index) if index else None
        return [Stream(*made)] if made else []


def _flac(content: Content) -> list[Stream]:
    """Split concatenated files, or remove the length, so that the decoder reads to the end."""
    starts = [match.start() for match in re.finditer(re.escape(flac.MARK), content)]
    if len(starts) > 1:
        return [Stream([(start, end)]) for start, end in zip(starts, [*starts[1:], len(content)], strict=True)]
    if not starts:
        return []
    at = starts[0] + 21  # after 4 bits of the sample size, 36 bits hold the number of samples
    return [Stream([(0, at), bytes([content[at] & 0xF0, 0, 0, 0, 0]), (at + 5, len(content))])]


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
    return [Stream([(start, end)]) for start, end in zip(starts, ends, strict=True)] if len(starts) > 1 else []
