"""The unit of work: one recording to its rows of the table, and the contract that its plugins keep."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import soundfile

from audiofw.audio.load import Channel, load
from audiofw.audio.segments import Segments
from audiofw.contract.plugin import Choice  # a row's code, too: it calls the plugins
from audiofw.errors import AudiofwError, ClipError, DataError, PluginError, one_line
from audiofw.system.sourcecode import digest_code
from audiofw.system.versions import ROWS, versions_of

LONGEST_FRAME = 2**14  # samples; a shorter clip may lack what a feature needs for one frame
LONGEST_TRIAL = 3600.0  # seconds; a longer duration means "all of it", and is not tried out in full
HISS = 1e-3  # -60 dB: a feature may divide by the loudness

DECODING = ("sample_rate", "offset", "silence", "channel")
"""The options of ``audio`` that say how a file is decoded; the others say which parts of it become rows."""

PICTURES = {"name": "none", "options": {}}
"""What stands for a pooling that learns in a row's recipe: all of them begin with the same pictures."""


class Change(Protocol):
    """What changes a copy of a recording: an augmentation with its options bound, or a test of robustness."""

    def __call__(self, *given: Any) -> Any: ...

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> Mapping[str, Any]: ...

    @property
    def holds_gil(self) -> bool: ...


class Copy(NamedTuple):
    """A changed copy of every recording: by which augmentation, its number from 1 on, and the seed of its chance."""

    augmentation: Change
    number: int
    seed: int


@dataclass(frozen=True)
class Unit:
    """Decode, feature and pooling of one recording; call it with a path.

    Parameters
    ----------
    sample_rate, offset, silence, channel
        As for `audiofw.audio.load.load`.
    feature : Choice
        ``(y, sr)`` to a real array ``(rows, frames)``.
    pooling : Choice
        ``(frames)`` to a vector ``(d,)``; one that learns does its part in the fold, and pictures are left as they are.
    segments : Segments
        Which parts of the recording become rows.
    copy : Copy, optional
        Work on a changed copy of the recording in its place.
    """

    sample_rate: int | None
    offset: float
    silence: Literal["refuse", "keep"]
    feature: Choice
    pooling: Choice
    segments: Segments = field(default_factory=Segments)
    copy: Copy | None = None
    channel: Channel = "mix"

    def __call__(self, path: Path) -> np.ndarray:
        """Make the rows of one recording, one for each of its parts.

        Returns
        -------
        np.ndarray [shape=(parts, d) or (parts, rows, frames), dtype=float32]
            Vectors; pictures for a pooling that learns.

        Raises
        ------
        DataError
            When the file cannot be used; the message is the reason alone.
        PluginError
            When a plugin fails or breaks its contract.
        """
        try:
            y, sr = load(path, duration=self.segments.to_read, **self._audio())
            return self._stacked([self.pool(part, sr) for part in self.segments.cut(y, sr)])
        except MemoryError as error:
            raise DataError("too long for this machine's memory: set audio.duration") from error

    def _stacked(self, rows: list[np.ndarray]) -> np.ndarray:
        if len({row.shape for row in rows}) > 1:
            raise ClipError(
                "gave rows of different length for windows of one length: choose pooling=stats",
                plugin=f"pooling={self.pooling.name}",
            )
        return np.stack(rows)

    def pool(self, y: np.ndarray, sr: int) -> np.ndarray:
        """Make the row of one part's samples, which the plugins may change; see `__call__`."""
        if self.copy:
            y = self.segments.shortened(_changed(self.copy, y, sr), sr)
        frames = _frames(self.feature, y, sr)
        if self.pooling.learns:
            return frames.copy()
        who = f"pooling={self.pooling.name}"
        row = _checked(self.pooling(frames), who, ("d",))
        if not row.size:
            raise ClipError("gave an empty vector", plugin=who)
        return row.copy()  # it may be a view of the frames, or a buffer that the plugin uses again

    def try_out(self) -> int | None:
        """Run the plugins on a made-up clip of faint hiss, before any recording is read.

        Returns
        -------
        int or None
            Size of the rows if the options settle it: that of a clip of ``duration`` seconds.

        Raises
        ------
        AudiofwError
            PluginError unless the plugin chose another of audiofw's errors.
        """
        try:
            row = self.pool(*self.hiss())
        except PluginError as error:
            if error.__cause__ or isinstance(error, ClipError):  # else the plugin says itself what it lacks
                error.args = (f"{error.args[0]} (on made-up noise, before any recording)",)
            raise
        return row.size if self._is_settled() else None

    def example(self) -> tuple[np.ndarray, int]:
        """Give the picture ``(rows, frames)`` of the made-up clip, and its sample rate in Hz."""
        y, sr = self.hiss()
        return _frames(self.feature, y, sr), sr

    def _is_settled(self) -> bool:
        duration = self.segments.duration
        return self.sample_rate is not None and duration is not None and duration <= LONGEST_TRIAL

    def hiss(self) -> tuple[np.ndarray, int]:
        """Make up a clip of faint hiss: ``y, sr``."""
        sr, seconds = self.sample_rate or 22050, self.segments.duration if self._is_settled() else 1.0
        # Resampling may round a length up: no clip is longer than this.
        y = np.random.default_rng(0).standard_normal(math.ceil((seconds or 1.0) * sr) + 1, dtype=np.float32)
        return HISS * y, sr

    @property
    def holds_gil(self) -> bool:
        """Whether processes serve it better than threads."""
        plugins = [self.feature, self.pooling, *([self.copy.augmentation] if self.copy else [])]
        return any(plugin.holds_gil for plugin in plugins)

    def recipe(self) -> dict[str, Any]:
        """All that a row depends on beside the recording itself; JSON-able."""
        copy = self.copy and {**self.copy._asdict(), "augmentation": dict(self.copy.augmentation.identity)}
        return {
            "audio": {**self._audio(), **asdict(self.segments)},
            "feature": dict(self.feature.identity),
            "pooling": PICTURES if self.pooling.learns else dict(self.pooling.identity),
            "copy": copy,
            "code": row_code(),
            "libraries": {"libsndfile": soundfile.__libsndfile_version__, **versions_of(ROWS)},
        }

    def _audio(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in DECODING}


def make_unit(audio: Mapping[str, Any], windows: Mapping[str, Any], choices: Mapping[str, Choice]) -> Unit:
    """Make what turns a recording into rows, of the config's sections ``audio`` and ``windows``."""
    decoding = {name: audio[name] for name in DECODING}
    segments = segments_of(audio, windows)
    return Unit(**decoding, feature=choices["feature"], pooling=choices["pooling"], segments=segments)


def segments_of(audio: Mapping[str, Any], windows: Mapping[str, Any]) -> Segments:
    """Make what cuts a recording into parts, of the config's sections ``audio`` and ``windows``."""
    return Segments(**{name: value for name, value in {**audio, **windows}.items() if name not in DECODING})


def _changed(copy: Copy, y: np.ndarray, sr: int) -> np.ndarray:
    """Change a part's samples by chance that hangs on the seed, the copy's number and the sound itself."""
    who, rng = (
        f"augmentation={copy.augmentation.name}",
        np.random.default_rng([copy.seed, copy.number, zlib.crc32(y.tobytes())]),
    )
    changed = _checked(copy.augmentation(y.copy(), sr, rng), who, ("n",))
    if not changed.size:
        raise ClipError("gave no samples", plugin=who)
    return changed


def _frames(feature: Choice, y: np.ndarray, sr: int) -> np.ndarray:
    """Run the feature. A clip in which it finds no frame gets silence at its end, as little as will do.

    So a clip that the feature copes with is never changed, whatever its length.
    """
    who, failure = f"feature={feature.name}", None
    for padded in _lengthened(y):
        try:
            frames = _checked(feature(padded, sr), who, ("rows", "frames"))
        except AudiofwError as error:
            failure = failure or error
            continue
        if frames.size:
            return frames
    raise failure or ClipError("gave no frames", plugin=who)


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


def _checked(made: Any, who: str, axes: tuple[str, ...]) -> np.ndarray:
    """Hold a plugin to its contract: an array that is real and of so many axes, always; and finite, for each clip."""
    try:
        array = np.asarray(made)
    except (TypeError, ValueError) as error:
        raise PluginError(f"gave what makes no array: {one_line(error)}", plugin=who) from error
    if array.dtype.kind not in "fiub":
        remedy = ": take its np.abs" if array.dtype.kind == "c" else ""
        raise PluginError(f"gave an array of {array.dtype}, not of real numbers{remedy}", plugin=who)
    if array.ndim != len(axes):
        raise PluginError(f"gave an array of shape {array.shape}, not ({', '.join(axes)})", plugin=who)
    with np.errstate(over="ignore"):  # infinity is reported below
        array = np.require(array, np.float32, "W")
    if not np.isfinite(array).all():
        raise ClipError(f"gave {'NaN' if np.isnan(array).any() else 'infinity'}", plugin=who)
    return array


def row_code() -> str:
    """Hash the code of ours that shapes a row, so that no change to it leaves stale rows; a plugin has its own."""
    return digest_code([Path(__file__)])
