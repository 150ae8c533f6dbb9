"""Read what is intact of a damaged recording, each part at its right time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from audiofw.audio import alac, flac, mpeg, ogg
from audiofw.audio.containers import Header
from audiofw.audio.content import mapped
from audiofw.audio.parts import Part
from audiofw.audio.sound import Blocks, OpenSound, open_pieces, read_block, read_blocks
from audiofw.audio.spliced import Piece


class Hole(NamedTuple):
    """Frames that cannot be decoded."""

    start: int
    end: int  #: equal to the start if it is not known how many are missing
    reason: str = ""  #: if it is neither damage nor the end of a part that is cut


Pieced = Iterator[tuple[np.ndarray | Hole, soundfile.LibsndfileError | None]]


def find_parts(path: Path, file: OpenSound, header: Header | None, start: int, end: float) -> list[Part]:
    """Find the intact parts of a file that is damaged between two frames.

    Returns
    -------
    list of Part
        Empty for a file that is not damaged there, and for codecs of which this cannot be known beforehand.
    """
    if file.format == "OGG":
        return _ogg_parts(path, file.samplerate, start, end)
    if file.format == "MP3":
        with mapped(path) as content:
            index = mpeg.walked(path) if start else mpeg.walk_frames(content, end / 384)
            broken = index is not None and index.breaks and mpeg.walk_frames(content)
            return mpeg.find_parts(content, broken, file.length) if broken else []
    if header and file.subtype.startswith("ALAC"):
        return alac.find_parts(path, header, start, end)
    return []


def _ogg_parts(path: Path, sr: int, start: int, end: float) -> list[Part]:
    def measure(pieces: list[Piece]) -> int | None:
        try:
            with open_pieces(path, pieces) as sound:
                return sound.length
        except soundfile.LibsndfileError:
            return None

    with mapped(path) as content:
        return [] if ogg.is_whole(content, start, end, sr) else ogg.find_parts(content, sr, measure)


def read_parts(path: Path, parts: Sequence[Part], size: int, start: int, end: float) -> Iterator[np.ndarray | Hole]:
    """Read intact parts, and name the holes between them."""
    at = start
    for part in parts:
        with suppress(soundfile.LibsndfileError), open_pieces(path, part.pieces) as sound:
            begin, last = part.begin + part.skip, part.begin + (part.stop or sound.length or 0)
            if last <= max(at, begin):
                continue
            if begin > at:
                yield Hole(at, int(min(begin, end)))
                at = begin
            for block, _ in read_blocks(sound, size, at - part.begin, min(end, last) - part.begin, lead=at):
                at += len(block)
                yield block
        if at >= end:
            return
        if part.is_cut and at >= part.begin:
            yield Hole(at, at)


def read_flac(path: Path, sound: OpenSound, begin: int, size: int, start: int, end: float) -> Pieced:
    """Read a FLAC stream that begins at an offset, and go on after damage at the next frame that decodes.

    Which samples of a failed read are right cannot be known, so these are read anew, frame by frame.
    """
    at, failure = start, None
    for block, failure in read_blocks(sound, size, start, end):
        if failure:
            break
        at += len(block)
        yield block, None
    if failure:
        with mapped(path) as content:
            bounds = begin, flac.find_end(content, begin)
            step, parts = flac.block_size(content, begin), flac.find_parts(content, bounds, sound.length)
            first = Part([bounds], 0)
            rest = _through_damage(path, itertools.chain([first], parts), step, at, end, failure)
            for piece, failure in rest:
                at = piece.end if isinstance(piece, Hole) else at + len(piece)
                if not failure:
                    yield piece, None
            if failure and bounds[1] < len(content) and sound.length is not None:  # another stream follows
                yield Hole(at, int(min(sound.length, end))), None
            elif failure:
                yield sound.blank(0), failure


def _through_damage(
    path: Path, parts: Iterator[Part], step: int, at: int, end: float, failure: soundfile.LibsndfileError | None
) -> Pieced:
    for part in parts:
        if at >= end:
            return
        if part.begin and (part.begin < at or not _decodes(path, part, step)):
            continue
        if part.begin > at:
            yield Hole(at, int(min(part.begin, end))), None
            at = part.begin
        with open_pieces(path, part.pieces) as sound:
            for block, failure in _by_frame(sound, step, at - part.begin, end - part.begin):
                if failure:
                    break
                at += len(block)
                yield block, None
        if not failure:
            return
    yield np.zeros(0, np.float32), failure


def _decodes(path: Path, part: Part, step: int) -> bool:
    try:
        with open_pieces(path, part.pieces) as sound:
            block, failure = read_block(sound, step)
    except soundfile.LibsndfileError:
        return False
    return bool(len(block)) and not failure


def _by_frame(sound: OpenSound, step: int, start: int, end: float) -> Blocks:
    """Read blocks that are FLAC frames, so that damage costs no others."""
    skip = start % step
    for block, failure in read_blocks(sound, step, start - skip, end):
        yield block[skip:], failure
        skip = max(skip - len(block), 0)
