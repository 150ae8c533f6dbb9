"""Read blocks of samples from libsndfile, also from a file that ends or fails halfway."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile

from audiofw.audio.quiet import no_stderr
from audiofw.audio.spliced import Piece, open_spliced

BLOCK = 2**20  # samples read at once, over all channels
_UNSET = np.uint32(0x7FC0DEAD)  # a NaN that no decoder writes; marks samples not written by a failed read
_FOREVER = 2**40  # frames; a larger length in a header means that it is unknown

Blocks = Iterator[tuple[np.ndarray, soundfile.LibsndfileError | None]]


class OpenSound(soundfile.SoundFile):
    """An open file; after each read, soundfile would seek to where it is, at which MP3 and Ogg decoders start anew."""

    def __init__(self, file: str | bytes | BinaryIO) -> None:
        with no_stderr():  # libmpg123 remarks on indices
            super().__init__(file)

    def buffer_read_into(self, buffer: Any, dtype: Any) -> int:
        with self._quietly():
            return int(super().buffer_read_into(buffer, dtype))

    def seek(self, frames: int, whence: int = os.SEEK_SET) -> int:
        with self._quietly():
            return int(super().seek(frames, whence))

    def _quietly(self) -> AbstractContextManager[None]:
        return no_stderr() if self.subtype.startswith("MPEG") else nullcontext()

    def seekable(self) -> bool:
        return False

    def can_seek(self) -> bool:
        return bool(super().seekable())

    @property
    def length(self) -> int | None:
        """Number of frames according to the header; None if unknown."""
        return self.frames if 0 <= self.frames < _FOREVER else None

    def blank(self, n: int) -> np.ndarray:
        """Make silence: ``(n,)``, or ``(n, channels)``."""
        return np.zeros((n, self.channels) if self.channels > 1 else n, np.float32)


def open_pieces(path: Path, pieces: Sequence[Piece]) -> OpenSound:
    """Open what is composed of pieces of a file; see `audiofw.audio.spliced`."""
    return OpenSound(open_spliced(path, pieces))


def read_blocks(file: OpenSound, size: int, start: int, end: float, lead: int = 0) -> Blocks:
    """Read blocks to the end; the last block comes with the error that ended reading, if any.

    Parameters
    ----------
    file : Sound
    size : int
        Block size in frames.
    start : int
        First frame.
    end : float
        Frame to stop at.
    lead : int
        Number of frames of an MP3 file to decode before the first.
    """
    at = int(start)
    try:
        _go_to(file, at, lead if file.format == "MP3" else 0)
    except soundfile.LibsndfileError as error:
        yield np.zeros(0, np.float32), error
        return
    end = end if file.length is None else min(end, file.length)
    while at < end:
        block, failure = read_block(file, int(min(size, end - at)))
        at += len(block)
        yield block, failure
        if failure or not len(block):
            return


def _go_to(file: OpenSound, at: int, lead: int) -> None:
    """Seek to ``lead`` frames before a frame, and read up to it; if the codec cannot seek, from where it is."""
    if not at:
        return
    if file.can_seek():
        skip = 1 if file.length is None else 0  # libsndfile cannot seek to the very end if the length is unknown
        skip = max(skip, min(at, lead))
        file.seek(at - skip)
        at = skip
    while at:
        block, failure = read_block(file, min(at, BLOCK // file.channels))
        if failure:
            raise failure
        if not len(block):
            return
        at -= len(block)


def read_block(file: OpenSound, frames: int) -> tuple[np.ndarray, soundfile.LibsndfileError | None]:
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
