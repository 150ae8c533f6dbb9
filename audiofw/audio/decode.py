"""Read a recording's samples block by block to its actual end, whatever length its header states.

The length in a header is only a hint. Corrections and missing parts are reported in `Reader.notes`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from audiofw.audio.containers import read_header
from audiofw.audio.spliced import open_spliced
from audiofw.audio.streams import find_streams, start_near, states_length
from audiofw.errors import DataError

BLOCK = 2**20  # samples read at once, over all channels
_UNSET = np.uint32(0x7FC0DEAD)  # a NaN that no decoder writes; marks samples not written by a failed read
_FOREVER = 2**40  # frames; a larger length in a header means that it is unknown
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
    missing : (float, float) or None
        Start and end, in seconds, of a part that is missing at the end according to the header.

    Raises
    ------
    soundfile.SoundFileError
        If libsndfile cannot read the file; `NoHeaderError` for raw samples.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.notes: list[str] = []
        self.missing: tuple[float, float] | None = None
        self._header = read_header(self.path)
        self._file = self._open()
        self.samplerate: int = self._file.samplerate
        self.channels: int = self._file.channels
        self.subtype: str = self._file.subtype
        self.hint = _length(self._file)

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _open(self) -> soundfile.SoundFile:
        if self._header is None or not self._header.is_wrong:
            try:
                return _Sound(openable(self.path))
            except TypeError as error:  # soundfile needs to be given the rate of a .raw file
                raise NoHeaderError(str(error)) from error
        return _Sound(open_spliced(self.path, self._header.pieces(self.path.stat().st_size)))

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
        if self.hint is not None and states_length(self.path):
            return self.hint
        return sum(len(block) for block in self.blocks(BLOCK // self.channels))

    def blocks(self, size: int, start: int = 0, frames: int | None = None, lead: int = 0) -> Iterator[np.ndarray]:
        """Read block by block, to the end or up to a number of frames.

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
        if self.hint is None or start < self.hint or start == 0:
            for block, failure in self._from(size, start, end, lead):  # noqa: B007
                at += len(block)
                if len(block):
                    yield block
        if at < end and (failure is None or at == start or self.hint is None):
            for block in self._beyond(size, at, end, lead):
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

    def _from(
        self, size: int, start: int, end: float, lead: int
    ) -> Iterator[tuple[np.ndarray, soundfile.LibsndfileError | None]]:
        """Read blocks from a frame, in a long MP3 file without visiting all before."""
        near = start_near(self.path, start, lead) if lead and start and self._file.format == "MP3" else None
        if near is None:
            yield from _read(self._file, size, start, end, lead)
            return
        pieces, skipped = near
        with _Sound(open_spliced(self.path, pieces)) as part:
            yield from _read(part, size, start - skipped, end - skipped, lead=start)

    def _beyond(self, size: int, at: int, end: float, lead: int) -> Iterator[np.ndarray]:
        """Read the part of a compressed file beyond the length in its header, or libsndfile's estimate."""
        if self._header is not None:
            return
        begin = 0
        for pieces in find_streams(self.path):
            with _Sound(open_spliced(self.path, pieces)) as part:
                if (part.samplerate, part.channels) != (self.samplerate, self.channels):
                    self.notes.append(
                        f"continues at {begin / self.samplerate:.2f} s with {part.channels} channels at "
                        f"{part.samplerate} Hz; that part is ignored"
                    )
                    return
                length = _length(part)
                if length is not None and at >= begin + length:
                    begin += length
                    continue
                for block, _ in _read(part, size, at - begin, end - begin, lead):
                    at += len(block)
                    if len(block):
                        yield block
                begin = at

    def _note_end(self, at: int, failure: Exception | None) -> None:
        seconds, said = at / self.samplerate, self._promised(at)
        if said is not None and at < self._least(said):
            self.missing = (seconds, said / self.samplerate)
            there = f"{seconds:.2f} s of the {said / self.samplerate:.2f} s in its header"
            why = f"damaged or cut short after {there}: {message(failure)}" if failure else f"cut short: {there}"
            self.notes.append(why)
        elif self.hint is not None and at > self.hint + _SLACK:
            hint = self.hint / self.samplerate
            self.notes.append(f"its header says {hint:.2f} s, but it has {seconds:.2f} s, which were all read")

    def _promised(self, at: int) -> float | None:
        """Number of frames according to the header; None if it is an estimate, or unknown."""
        if self._header and self._header.is_cut:
            assert self._header.declared is not None
            return at * self._header.declared / max(self._header.held, 1)
        return self.hint if self.hint is None or states_length(self.path) else None

    def _least(self, said: float) -> float:
        """Minimum number of frames of a complete file."""
        lossless = self._header is not None or self._file.format == "FLAC"
        return said if lossless else said - _SLACK

    def _note_header(self) -> None:
        header = self._header
        if header and header.is_wrong and not header.is_cut and not header.is_streamed:
            self.notes.append("the length in its header is wrong; read to the end of the file")


class _Sound(soundfile.SoundFile):
    """Reads MP3 on: soundfile seeks to where it is after each read, at which an MP3 decoder starts anew, with noise."""

    def seekable(self) -> bool:
        return self.format != "MP3" and bool(super().seekable())


def _read(
    file: soundfile.SoundFile, size: int, start: float, end: float, lead: int
) -> Iterator[tuple[np.ndarray, soundfile.LibsndfileError | None]]:
    """Read blocks to the end; the last block comes with the error that ended reading, if any."""
    at = int(start)
    try:
        _go_to(file, at, lead if file.format == "MP3" else 0)
    except soundfile.LibsndfileError as error:
        yield np.zeros(0, np.float32), error
        return
    length = _length(file)
    end = end if length is None else min(end, length)
    while at < end:
        block, failure = _read_block(file, int(min(size, end - at)))
        at += len(block)
        yield block, failure
        if failure or not len(block):
            return


def _go_to(file: soundfile.SoundFile, at: int, lead: int) -> None:
    """Seek to ``lead`` frames before a frame, and read up to it; if the codec cannot seek, from where it is."""
    if not at:
        return
    if soundfile.SoundFile.seekable(file):
        skip = 1 if _length(file) is None else 0  # libsndfile cannot seek to the very end if the length is unknown
        skip = max(skip, min(at, lead))
        file.seek(at - skip)
        at = skip
    while at and len(block := file.read(min(at, BLOCK // file.channels), dtype="float32")):
        at -= len(block)


def _read_block(file: soundfile.SoundFile, frames: int) -> tuple[np.ndarray, soundfile.LibsndfileError | None]:
    """Read one block; if decoding fails halfway, keep the frames before, which soundfile would discard."""
    out = np.empty((frames, file.channels) if file.channels > 1 else frames, np.float32)
    marks = out.view(np.uint32)
    marks[...] = _UNSET
    try:
        return out[: file.buffer_read_into(out, dtype="float32")], None
    except soundfile.LibsndfileError as error:
        unset = marks.reshape(frames, -1) == _UNSET
        left = int(np.argmin(unset[::-1].all(axis=1))) if not unset.all() else frames
        return out[: frames - left], error


def _length(file: soundfile.SoundFile) -> int | None:
    return file.frames if 0 <= file.frames < _FOREVER else None


def openable(path: str | Path) -> str | bytes:
    """Convert a path for soundfile, which cannot encode names that are not UTF-8: these become bytes."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return os.fsencode(path)
    return str(path)


def message(error: Exception) -> str:
    """Return libsndfile's message without prefix and full stop."""
    text = getattr(error, "error_string", str(error)).removeprefix("Error : ").rstrip(".")
    if text.startswith("File does not exist"):  # its message for an mp3 file without any frame
        return "no mp3 frame found"
    vague = not text.strip() or "psf_fseek" in text or text.startswith("Unspecified internal")
    return "undecodable data" if vague else " ".join(text.split())
