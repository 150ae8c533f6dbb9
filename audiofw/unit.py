"""The unit of work: one recording to one row of the table, and the contract that its two plugins keep."""

from __future__ import annotations

import importlib.metadata
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import soundfile

from audiofw.audio import load
from audiofw.errors import AudiofwError, PluginError
from audiofw.lanes import one_line
from audiofw.sourcecode import digest_of

LONGEST_FRAME = 2**14  # samples; a shorter clip may lack what a feature needs for one frame
LONGEST_TRIAL = 3600.0  # seconds; a longer duration means "all of it", and is not tried out in full
HISS = 1e-3  # -60 dB: a feature may divide by the loudness

LIBRARIES = ("librosa", "numpy", "scipy", "soxr")
"""Whose versions are part of a row's recipe, beside libsndfile's: a new one may change a digit."""


class Choice(Protocol):
    """A feature or a pooling with its options bound."""

    def __call__(self, *given: Any) -> Any: ...

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> Mapping[str, Any]: ...

    @property
    def holds_gil(self) -> bool: ...


@dataclass(frozen=True)
class Unit:
    """Decode, feature and pooling of one recording; call it with a path.

    Parameters
    ----------
    sample_rate, duration, offset, silence
        As for `audiofw.audio.load`.
    feature : Choice
        ``(y, sr)`` to a real array ``(rows, frames)``.
    pooling : Choice
        ``(frames)`` to a vector ``(d,)``.
    """

    sample_rate: int | None
    duration: float | None
    offset: float
    silence: Literal["refuse", "keep"]
    feature: Choice
    pooling: Choice

    def __call__(self, path: Path) -> np.ndarray:
        """Make the row of one recording, [shape=(d,), dtype=float32].

        Raises
        ------
        DataError
            When the file cannot be used; the message is the reason alone.
        PluginError
            When a plugin fails or breaks its contract.
        """
        return self.pool(*load(path, **self._audio()))

    def pool(self, y: np.ndarray, sr: int) -> np.ndarray:
        """Make the row of some samples, which the plugins may change; see `__call__`."""
        frames = _frames(self.feature, y, sr)
        who = f"pooling={self.pooling.name}"
        row = _checked(_call(who, self.pooling, frames), who, ("d",))
        if not row.size:
            raise PluginError(f"{who} gave an empty vector")
        return row.copy()  # it may be a view of the frames, or a buffer that the plugin uses again

    def try_out(self) -> int | None:
        """Run both plugins on a made-up clip of faint hiss, before any recording is read.

        Returns
        -------
        int or None
            Size of the rows if the options settle it: that of a clip of ``duration`` seconds.

        Raises
        ------
        AudiofwError
            PluginError unless the plugin chose another of audiofw's errors.
        """
        settled = self.sample_rate is not None and self.duration is not None and self.duration <= LONGEST_TRIAL
        sr, seconds = self.sample_rate or 22050, self.duration if self.duration and settled else 1.0
        # Resampling may round a length up: no clip is longer than this.
        y = np.random.default_rng(0).standard_normal(math.ceil(seconds * sr) + 1, dtype=np.float32)
        size = self.pool(HISS * y, sr).size
        return size if settled else None

    @property
    def holds_gil(self) -> bool:
        """Whether processes serve it better than threads."""
        return self.feature.holds_gil or self.pooling.holds_gil

    def recipe(self) -> dict[str, Any]:
        """All that a row depends on beside the recording itself; JSON-able."""
        return {
            "audio": self._audio(),
            "feature": dict(self.feature.identity),
            "pooling": dict(self.pooling.identity),
            "code": _own_code(),
            "libraries": {"libsndfile": soundfile.__libsndfile_version__}
            | {name: _version(name) for name in LIBRARIES},
        }

    def _audio(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("sample_rate", "duration", "offset", "silence")}


def _frames(feature: Choice, y: np.ndarray, sr: int) -> np.ndarray:
    """Run the feature. A clip in which it finds no frame gets silence at its end, as little as will do.

    So a clip that the feature copes with is never changed, whatever its length.
    """
    who, failure = f"feature={feature.name}", None
    for padded in _lengthened(y):
        try:
            frames = _checked(_call(who, feature, padded, sr), who, ("rows", "frames"))
        except AudiofwError as error:
            failure = failure or error
            continue
        if frames.size:
            return frames
    raise failure or PluginError(f"{who} gave no frames")


def _lengthened(y: np.ndarray) -> Iterator[np.ndarray]:
    """Give the samples, and if they may be fewer than a frame, longer and longer copies ended by zeros."""
    if y.size >= LONGEST_FRAME:
        yield y
        return
    yield y.copy()  # a plugin may change what it is given
    size = 1 << y.size.bit_length()
    while size <= LONGEST_FRAME:
        yield np.pad(y, (0, size - y.size))
        size *= 2


def _call(who: str, plugin: Choice, *given: Any) -> np.ndarray:
    try:
        return np.asarray(plugin(*given))
    except AudiofwError:
        raise
    except Exception as error:
        raise PluginError(f"{who}: {type(error).__name__}: {one_line(error)}") from error


def _checked(array: np.ndarray, who: str, axes: tuple[str, ...]) -> np.ndarray:
    """Hold a plugin to its contract: real, finite, and of so many axes."""
    if array.dtype.kind not in "fiub":
        remedy = ": take its np.abs" if array.dtype.kind == "c" else ""
        raise PluginError(f"{who} gave an array of {array.dtype}, not of real numbers{remedy}")
    if array.ndim != len(axes):
        raise PluginError(f"{who} gave an array of shape {array.shape}, not ({', '.join(axes)})")
    with np.errstate(over="ignore"):  # infinity is reported below
        array = np.require(array, np.float32, "W")
    if not np.isfinite(array).all():
        raise PluginError(f"{who} gave {'NaN' if np.isnan(array).any() else 'infinity'}")
    return array


def _own_code() -> str:
    """Hash the sources of ours that shape a row, so that no change to them leaves stale rows behind."""
    folder = Path(__file__).parent
    files = [folder / "audio.py", folder / "unit.py", *sorted((folder / "spectral").glob("*.py"))]
    return digest_of(files)


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
