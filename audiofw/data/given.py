"""Recordings as Python code holds them: paths, samples, the bytes of files, and open files."""

from __future__ import annotations

import numbers
import shutil
from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import ExitStack, contextmanager
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import soundfile

from audiofw.errors import DataError, first_line
from audiofw.system.faults import writing_to
from audiofw.system.scratch import scratch_folder

Recording = str | PathLike[str] | bytes | bytearray | memoryview | BinaryIO | tuple[np.ndarray, float]
"""A file's path, content or file object, or samples with their rate."""

Recordings = Recording | Iterable[Recording]

KINDS = "a path, samples with their rate as (y, sr), the bytes of a file, or a file opened in binary mode"
MOST_CHANNELS = 1024  # of libsndfile
LARGEST_WAV = 2**31  # bytes


class NamedFile(NamedTuple):
    """A recording in a file, and its name in messages."""

    name: str
    path: Path


@contextmanager
def as_files(given: Recordings) -> Iterator[list[NamedFile]]:
    """Provide recordings as files; those that are in memory are written to a temporary folder.

    Raises
    ------
    DataError
        For something that is not a recording, or if there are none.
    """
    listed = [given] if _is_one(given) else _listed(given)
    if not listed:
        raise DataError("no recordings to predict")
    with ExitStack() as stack:
        folder: Path | None = None
        files = []
        for i, one in enumerate(listed):
            name = "the recording" if len(listed) == 1 else f"recording {i}, counted from 0"
            if isinstance(one, (str, PathLike)):
                files.append(_as_path(one, name))
                continue
            folder = folder or stack.enter_context(scratch_folder("audiofw-"))
            files.append(NamedFile(name, _written(one, folder / f"recording-{i}", name)))
        yield files


def _is_one(given: Any) -> bool:
    return (
        isinstance(given, (str, PathLike, bytes, bytearray, memoryview)) or hasattr(given, "read") or _is_samples(given)
    )


def _is_samples(given: Any) -> bool:
    """Whether this is meant as samples: a pair with an array of numbers, or such an array without its rate."""
    if isinstance(given, tuple):
        return len(given) == 2 and any(map(_is_numeric, given))
    return _is_numeric(given)


def _is_numeric(given: Any) -> bool:
    return isinstance(given, np.ndarray) and given.dtype.kind in "fiubc"


def _listed(given: Any) -> list[Any]:
    if isinstance(given, (Mapping, Set)) or not isinstance(given, Iterable):
        raise DataError(f"{_kind(given)} is not a recording; give {KINDS}, or a list of these")
    return list(given)


def _kind(given: Any) -> str:
    return f"an object of type {type(given).__name__}"


def _as_path(given: str | PathLike[str], name: str) -> NamedFile:
    path = Path(given)
    if "\0" in str(path):
        raise DataError(f"{str(given)!r} is not a path; give {KINDS}", clip=name)
    return NamedFile(str(path), path)


def _written(given: Any, path: Path, name: str) -> Path:
    """Write a recording that is in memory to a file."""
    with writing_to(path):
        if _is_samples(given):
            _write_samples(given, path, name)
        elif isinstance(given, (bytes, bytearray, memoryview)):
            path.write_bytes(given)
        elif hasattr(given, "read"):
            _copy(given, path, name)
        else:
            raise DataError(f"{_kind(given)} is not a recording; give {KINDS}", clip=name)
    return path


def _copy(file: Any, path: Path, name: str) -> None:
    try:
        with path.open("wb") as copy:
            shutil.copyfileobj(file, copy)
    except TypeError as error:
        raise DataError("a file opened as text; open it in binary mode: open(path, 'rb')", clip=name) from error
    except (ValueError, AttributeError) as error:  # e.g. a closed file
        raise DataError(f"cannot be read: {first_line(error)}", clip=name) from error


def _write_samples(given: Any, path: Path, name: str) -> None:
    if not isinstance(given, tuple):
        raise DataError("samples without their sampling rate; give both, as (y, sr)", clip=name)
    y, sr = given
    if not isinstance(y, np.ndarray):
        raise DataError("samples and their rate the wrong way round; give (y, sr)", clip=name)
    samples, rate = as_samples(y, name), as_rate(sr, name)
    form = "WAV" if samples.nbytes < LARGEST_WAV else "RF64"
    try:
        soundfile.write(path, samples, rate, format=form, subtype="FLOAT")
    except soundfile.SoundFileError as error:
        raise DataError(
            f"samples of shape {y.shape} at {rate} Hz cannot be used: {first_line(error)}", clip=name
        ) from error


def as_samples(y: Any, name: str) -> np.ndarray:
    """Check samples, ``(n,)`` or ``(channels, n)``; gives them as float32, ``(n,)`` or ``(n, channels)``.

    Raises
    ------
    DataError
        For anything else.
    """
    if not isinstance(y, np.ndarray):
        raise DataError(f"{_kind(y)} does not hold samples; give an array", clip=name)
    if y.dtype.kind != "f":
        raise DataError(
            f"samples of type {y.dtype}; give floating-point samples, of integers e.g. y / 32768 for 16 bits", clip=name
        )
    if y.ndim not in (1, 2) or (y.ndim == 2 and not 0 < y.shape[0] <= min(MOST_CHANNELS, max(y.shape[1], 1))):
        turn = ": transpose it, y.T" if y.ndim == 2 else ""
        raise DataError(f"samples of shape {y.shape}, not (n,) or (channels, n){turn}", clip=name)
    with np.errstate(over="ignore"):  # infinity is reported where the samples are checked
        return np.ascontiguousarray(y.T, dtype=np.float32)


def as_rate(sr: Any, name: str) -> int:
    """Check a sampling rate; DataError unless it is a positive whole number of Hz."""
    rate = float(sr) if isinstance(sr, numbers.Real) and not isinstance(sr, bool) else 0.0
    if not (1 <= rate < 2**31 and rate.is_integer()):
        raise DataError(f"a sampling rate of {sr!r}; give a whole number of Hz", clip=name)
    return int(rate)
