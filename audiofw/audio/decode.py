"""Read a recording's samples block by block to its actual end, whatever length its header states.

The length in a header is only a hint. Corrections and missing parts are reported in `Reader.notes`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from audiofw.audio import mpeg, ogg
from audiofw.audio.containers import read_header
from audiofw.audio.damage import Hole, Pieced, find_parts, read_flac, read_parts
from audiofw.audio.joined import read_streams, streams_of
from audiofw.audio.parts import Gap
from audiofw.audio.sound import BLOCK, OpenSound, message, open_pieces, openable, read_blocks
from audiofw.errors import DataError

MP3_LEAD = 20 * 1152  # after a seek, an MP3 decoder lacks the bits that packets borrow from those before
_SLACK = 3000  # frames of delay and padding, which only some headers of lossy formats include


class NoHeaderError(soundfile.SoundFileError):
    """Raw samples without a header, and thus without a sampling rate."""


class Reader:
    """An open recording; a context manager.

    Parameters
    ----------
    path : path

    Attributes
    ----------
    samplerate : int
        Sampling rate in Hz.
    channels : int
    subtype : str
        soundfile's name of the subtype, such as ``PCM_16``.
    hint : int or None
        Number of frames stated in the header; None if unknown.
    notes : list of str
        Problems found in the part of the file that has been read.
    gaps : list of Gap
        The stretches that could not be read: silent ones amid the samples, and what is missing at the end.

    Raises
    ------
    soundfile.SoundFileError
        If libsndfile cannot read the file; `NoHeaderError` for raw samples.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.notes: list[str] = []
        self.gaps: list[Gap] = []
        self._header = read_header(self.path)
        self._file = self._open()
        self.samplerate: int = self._file.samplerate
        self.channels: int = self._file.channels
        self.subtype: str = self._file.subtype
        self.hint = self._file.length

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _open(self) -> OpenSound:
        if self._header is None or self._header.is_plain:
            try:
                return OpenSound(openable(self.path))
            except TypeError as error:  # soundfile needs to be given the rate of a .raw file
                raise NoHeaderError(str(error)) from error
        return open_pieces(self.path, self._header.pieces())

    def read(self, start: int = 0, frames: int | None = None, lead: int = 0) -> np.ndarray:
        """Read frames into one array; see `blocks`.

        Returns
        -------
        np.ndarray [shape=(n,) or (n, channels), dtype=float32]
        """
        most = BLOCK // self.channels
        size = min(most if frames is None else max(frames, 1), max(self.hint or 0, most))
        parts = list(self.blocks(size, start, frames, lead))
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def length(self) -> int:
        """Count the frames: from the header, where that can be trusted, or by reading to the end."""
        if self.hint is not None and not (self._header and self._header.following) and self._states_length():
            return self.hint
        return sum(len(block) for block in self.blocks(BLOCK // self.channels))

    def blocks(self, size: int, start: int = 0, frames: int | None = None, lead: int = 0) -> Iterator[np.ndarray]:
        """Read block by block, to the end or up to a number of frames.

        Damaged stretches are silent; see `gaps`.

        Parameters
        ----------
        size : int
            Block size in frames.
        start : int
            First frame.
        frames : int or None
            Number of frames to read; None reads to the end.
        lead : int
            Number of frames of an MP3 file that are decoded before the first; `MP3_LEAD` makes that one right.

        Yields
        ------
        np.ndarray [shape=(n,) or (n, channels), dtype=float32]

        Raises
        ------
        DataError
            If ``start`` is beyond the end.
        soundfile.SoundFileError
            If nothing can be read.
        """
        end = math.inf if frames is None else start + frames
        at, failure = start, None
        for piece, failure in self._blocks(size, start, end, lead):  # noqa: B007
            for block in self._filled(piece, size):
                at += len(block)
                yield block
        if at < end and (failure is None or at == start or self.hint is None):
            streams = streams_of(self.path, self._header)
            for piece in read_streams(self.path, streams, self._file, size, at, end, lead):
                for block in self._filled(piece, size):
                    at, failure = at + len(block), None
                    yield block
        if at == start and failure:
            raise failure
        if at == start > 0:
            length = (self.hint or 0) / self.samplerate
            raise DataError(f"audio.offset of {start / self.samplerate:g} s is beyond its end at {length:g} s")
        if at < end:
            self._note_end(at, failure)
        self._note_header()

    def _blocks(self, size: int, start: int, end: float, lead: int) -> Pieced:
        """Read the file, up to the length in its header."""
        if parts := find_parts(self.path, self._file, self._header, start, end):
            for piece in read_parts(self.path, parts, size, start, end):
                yield piece, None
        elif self.hint is not None and start >= self.hint and start > 0:
            return
        elif self._file.format == "FLAC":
            yield from read_flac(self.path, self._file, 0, size, start, end)
        elif lead and start and self._file.format == "MP3" and (near := mpeg.start_near(self.path, start, lead)):
            pieces, skipped = near  # in a long file without visiting all before
            with open_pieces(self.path, pieces) as part:
                yield from read_blocks(part, size, start - skipped, end - skipped, lead=start)
        else:
            yield from read_blocks(self._file, size, start, end, lead)

    def _filled(self, piece: np.ndarray | Hole, size: int) -> Iterator[np.ndarray]:
        """Pass samples on, and fill and note a hole."""
        if not isinstance(piece, Hole):
            if len(piece):
                yield piece
            return
        begin, end = piece.start / self.samplerate, piece.end / self.samplerate
        lost = f"damaged: {begin:.2f} to {end:.2f} s could not be read and is silent instead"
        if begin == end:
            lost = piece.reason or f"the part that ends at {end:.2f} s is cut short"
        self._lose(begin, end, lost)
        for at in range(piece.start, piece.end, size):
            yield self._file.blank(min(size, piece.end - at))

    def _lose(self, begin: float, end: float, reason: str) -> None:
        self.notes.append(reason)
        self.gaps.append(Gap(begin, end, reason))

    def _note_end(self, at: int, failure: Exception | None) -> None:
        seconds, said = at / self.samplerate, self._promised(at)
        if said is not None and at < self._least(said):
            there = f"{seconds:.2f} s of the {said / self.samplerate:.2f} s in its header"
            why = f"damaged or cut short after {there}: {message(failure)}" if failure else f"cut short: {there}"
            self._lose(seconds, said / self.samplerate, why)
        elif self._file.format == "OGG" and not ogg.ends(self.path):
            self._lose(seconds, seconds, f"cut short: its last page is missing; it ends after {seconds:.2f} s")
        elif self._file.format == "MP3" and at != said and mpeg.is_cut(self.path):
            self._lose(seconds, seconds, f"cut short: its last frame is incomplete; it ends after {seconds:.2f} s")
        elif self.hint is not None and at > self.hint + _SLACK:
            hint = self.hint / self.samplerate
            self.notes.append(f"its header says {hint:.2f} s, but it has {seconds:.2f} s, which were all read")

    def _promised(self, at: int) -> float | None:
        """Number of frames according to the header; None if it is an estimate, or unknown."""
        header = self._header
        if header and header.is_cut and not header.following:
            assert header.declared is not None
            return max(header.frames, at) if header.frames else at * header.declared / max(header.held, 1)
        return self.hint if self.hint is None or self._states_length() else None

    def _states_length(self) -> bool:
        return self._file.format != "MP3" or mpeg.states_length(self.path)

    def _least(self, said: float) -> float:
        """Minimum number of frames of a complete file."""
        lossless = self._header is not None or self._file.format == "FLAC"
        return said if lossless else said - _SLACK

    def _note_header(self) -> None:
        header = self._header
        if header and header.is_wrong and not header.is_cut and not header.is_streamed:
            self.notes.append("the length in its header is wrong; read to the end of the file")
        if header and header.unsure:
            self.notes.append(f"{header.size - header.stop} bytes after its samples are ignored")
