"""Read the files or streams of which a file consists (``cat a b > c``), one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from audiofw.audio.containers import Header, appended
from audiofw.audio.damage import Hole, read_flac
from audiofw.audio.sound import OpenSound, open_pieces, read_blocks
from audiofw.audio.streams import Stream, find_streams


def streams_of(path: Path, header: Header | None) -> list[Stream]:
    """Find the streams of a file, if there is more to read than its header states; else none."""
    if header is None:
        return find_streams(path)
    headers = [header, *appended(path, header)]
    return [Stream(each.pieces(), is_cut=each.is_cut) for each in headers] if len(headers) > 1 else []


def read_streams(
    path: Path, streams: Sequence[Stream], first: OpenSound, size: int, at: int, end: float, lead: int
) -> Iterator[np.ndarray | Hole]:
    """Read streams from a frame on.

    Parameters
    ----------
    path : Path
    streams : sequence of Stream
    first : Sound
        The first of them, whose sampling rate and channels the others must have.
    size, end, lead
        As for `audiofw.audio.sound.read_blocks`.
    at : int
        First frame, counted over all streams.
    """
    begin, sr = 0, first.samplerate
    for stream in streams:
        begin = begin if stream.begin is None else stream.begin
        with open_pieces(path, stream.pieces) as part:
            if (part.samplerate, part.channels) != (sr, first.channels):
                other = f"{part.channels} channels at {part.samplerate} Hz"
                yield Hole(at, at, f"continues at {begin / sr:.2f} s with {other}; that part is ignored")
                return
            is_cut = stream.is_cut
            if part.length is not None and at >= begin + part.length:
                begin += part.length
            else:
                for piece in _read(path, stream, part, size, at - begin, end - begin, lead):
                    if isinstance(piece, Hole):
                        piece = Hole(begin + piece.start, begin + piece.end)
                    at = piece.end if isinstance(piece, Hole) else at + len(piece)
                    yield piece
                is_cut |= part.format == "FLAC" and at - begin < (part.length or 0)
                begin = at
        if is_cut and at < end:
            yield Hole(begin, begin)


def _read(
    path: Path, stream: Stream, part: OpenSound, size: int, start: int, end: float, lead: int
) -> Iterator[np.ndarray | Hole]:
    if part.format == "FLAC" and isinstance(stream.pieces[0], tuple):
        yield from (piece for piece, _ in read_flac(path, part, stream.pieces[0][0], size, start, end))
    else:
        yield from (block for block, _ in read_blocks(part, size, start, end, lead))
