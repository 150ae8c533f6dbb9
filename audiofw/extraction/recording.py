"""The extraction of one recording to its rows of the table, and the checks of its plugins' output."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import soundfile

from audiofw.audio.load import Channel, load_stretch
from audiofw.audio.segments import Segments
from audiofw.audio.stretch import Stretch
from audiofw.contract.plugin import Choice  # a row's code, too: it calls the plugins
from audiofw.errors import AudiofwError, ClipError, ConfigError, DataError, PluginError, one_line
from audiofw.system.sourcecode import digest_code
from audiofw.system.versions import ROWS, versions_of

LONGEST_FRAME = 2**14  # samples; a shorter clip may be too short for a single frame
LONGEST_TRIAL = 3600.0  # seconds; a longer duration is taken as "everything", and not tried at full length
HISS = 1e-3  # -60 dB; not silence, since a feature may divide by the loudness

DECODING = ("sample_rate", "offset", "silence", "channel")
"""The options of ``audio`` that affect decoding; the others select the segments."""

NO_POOLING = {"name": "none", "options": {}}
"""Placeholder for poolings that learn in a recipe, since all of them start from the same feature matrices."""


class Change(Protocol):
    """Changes a copy of a recording: an augmentation with its options bound, or a robustness test."""

    def __call__(self, *given: Any) -> Any: ...

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> Mapping[str, Any]: ...

    @property
    def holds_gil(self) -> bool: ...


class Copy(NamedTuple):
    """An augmented copy of every recording: the augmentation, the copy's number from 1, and the seed."""

    augmentation: Change
    number: int
    seed: int


@dataclass(frozen=True)
class Unit:
    """The extraction of one recording: decoding, feature and pooling; call it with a path, or a stretch.

    Parameters
    ----------
    sample_rate, offset, silence, channel
        As in `audiofw.audio.load.load`.
    feature : Choice
        ``(y, sr)`` to a real array ``(rows, frames)``.
    pooling : Choice
        ``(frames)`` to a vector ``(d,)``. A pooling that learns is applied later, inside the fold; the feature matrices
        are then returned as they are.
    segments : Segments
        Which segments of the recording become rows.
    copy : Copy, optional
        Process an augmented copy instead of the recording itself.
    """

    sample_rate: int | None
    offset: float
    silence: Literal["refuse", "keep"]
    feature: Choice
    pooling: Choice
    segments: Segments = field(default_factory=Segments)
    copy: Copy | None = None
    channel: Channel = "mix"

    def __call__(self, recording: Path | Stretch) -> np.ndarray:
        """Compute the rows of one recording or a stretch of it, one per segment.

        Returns
        -------
        np.ndarray [shape=(segments, d) or (segments, rows, frames), dtype=float32]
            Vectors; feature matrices for a pooling that learns.

        Raises
        ------
        DataError
            If the file cannot be used. The message does not name the file.
        PluginError
            If a plugin fails or violates its contract.
        """
        try:
            y, sr = load_stretch(recording, self.segments.to_read, **self.decoding())
            return self._stacked([self.pool(part, sr) for part in self.segments.cut(y, sr)])
        except MemoryError as error:
            raise DataError("too long to fit in memory: set audio.duration") from error

    def _stacked(self, rows: list[np.ndarray]) -> np.ndarray:
        if len({row.shape for row in rows}) > 1:
            raise ClipError(
                "returned rows of different lengths for windows of equal length: use pooling=stats",
                plugin=f"pooling={self.pooling.name}",
            )
        return np.stack(rows)

    def pool(self, y: np.ndarray, sr: int) -> np.ndarray:
        """Compute the row of one segment's samples, which the plugins may modify; see `__call__`."""
        if self.copy:
            y = self.segments.shortened(_changed(self.copy, y, sr), sr)
        frames = _frames(self.feature, y, sr)
        if self.pooling.learns:
            return frames.copy()
        who = f"pooling={self.pooling.name}"
        row = _checked(self.pooling(frames), who, ("d",))
        if not row.size:
            raise ClipError("returned an empty vector", plugin=who)
        return row.copy()  # it may be a view of the frames, or a buffer that the plugin reuses

    def try_out(self) -> int | None:
        """Run the plugins on a synthetic clip of faint noise, before any recording is read.

        Returns
        -------
        int or None
            Length of the rows for a clip of ``duration`` seconds; None if the options do not determine it.

        Raises
        ------
        AudiofwError
            ConfigError for a ValueError whose message begins with one of the plugin's options, as in ``fmax=20000 …``;
            otherwise PluginError, unless the plugin raised another AudiofwError.
        """
        try:
            row = self.pool(*self.hiss())
        except PluginError as error:
            self._refuse_option(error)
            if error.__cause__ or isinstance(error, ClipError):  # otherwise the plugin raised it on purpose
                error.args = (f"{error.args[0]} (on synthetic noise, before any recording)",)
            raise
        return row.size if self._is_settled() else None

    def _refuse_option(self, error: PluginError) -> None:
        """Raise ConfigError if a plugin refuses the value of one of its options: ``fmax=20000 is out of range: …``."""
        said = one_line(error.__cause__) if isinstance(error.__cause__, ValueError) else ""
        for kind, plugin in (("feature", self.feature), ("pooling", self.pooling)):
            if error.plugin == f"{kind}={plugin.name}" and said.partition("=")[0] in plugin.options:
                raise ConfigError(f"{kind}.{said}") from error

    def example(self) -> tuple[np.ndarray, int]:
        """Return the feature matrix ``(rows, frames)`` of the synthetic clip, and its sampling rate in Hz."""
        y, sr = self.hiss()
        return _frames(self.feature, y, sr), sr

    def _is_settled(self) -> bool:
        duration = self.segments.duration
        return self.sample_rate is not None and duration is not None and duration <= LONGEST_TRIAL

    def hiss(self) -> tuple[np.ndarray, int]:
        """Synthesise a clip of faint noise: ``y, sr``."""
        sr, seconds = self.sample_rate or 22050, self.segments.duration if self._is_settled() else 1.0
        # one sample longer, as resampling may round up, so that no clip is longer than this
        y = np.random.default_rng(0).standard_normal(math.ceil((seconds or 1.0) * sr) + 1, dtype=np.float32)
        return HISS * y, sr

    @property
    def parts(self) -> tuple[Unit, ...]:
        """The units that it consists of: itself, or one for each of several features."""
        return (self,)

    @property
    def holds_gil(self) -> bool:
        """Whether to run in worker processes rather than threads."""
        plugins = [self.feature, self.pooling, *([self.copy.augmentation] if self.copy else [])]
        return any(plugin.holds_gil for plugin in plugins)

    def recipe(self) -> dict[str, Any]:
        """Everything that a row depends on apart from the recording itself, JSON-serialisable."""
        copy = self.copy and {**self.copy._asdict(), "augmentation": dict(self.copy.augmentation.identity)}
        return {
            "audio": {**self.decoding(), **asdict(self.segments)},
            "feature": dict(self.feature.identity),
            "pooling": NO_POOLING if self.pooling.learns else dict(self.pooling.identity),
            "copy": copy,
            "code": row_code(),
            "libraries": {"libsndfile": soundfile.__libsndfile_version__, **versions_of(ROWS)},
        }

    def decoding(self) -> dict[str, Any]:
        """Give the options of decoding: those of `audiofw.audio.load.load`."""
        return {name: getattr(self, name) for name in DECODING}


def make_unit(audio: Mapping[str, Any], windows: Mapping[str, Any], choices: Mapping[str, Choice]) -> Unit:
    """Build the extraction of one recording from the config's sections ``audio`` and ``windows``."""
    decoding = {name: audio[name] for name in DECODING}
    segments = segments_of(audio, windows)
    return Unit(**decoding, feature=choices["feature"], pooling=choices["pooling"], segments=segments)


def segments_of(audio: Mapping[str, Any], windows: Mapping[str, Any]) -> Segments:
    """Make what cuts a recording into parts, of the config's sections ``audio`` and ``windows``."""
    given = {**audio, **windows}
    return Segments(**{each.name: given[each.name] for each in fields(Segments) if each.name in given})


def _changed(copy: Copy, y: np.ndarray, sr: int) -> np.ndarray:
    """Augment a segment, with randomness derived from the seed, the copy's number and the samples."""
    who, rng = (
        f"augmentation={copy.augmentation.name}",
        np.random.default_rng([copy.seed, copy.number, zlib.crc32(y.tobytes())]),
    )
    changed = _checked(copy.augmentation(y.copy(), sr, rng), who, ("n",))
    if not changed.size:
        raise ClipError("returned no samples", plugin=who)
    return changed


def _frames(feature: Choice, y: np.ndarray, sr: int) -> np.ndarray:
    """Run the feature; if a clip is too short for a frame, append as little silence as necessary.

    Clips of any length that the feature can handle are never changed, but those shorter than it declares are padded.
    """
    who, failure = f"feature={feature.name}", None
    least = math.ceil(feature.min_duration * sr)
    for padded in _lengthened(y if y.size >= least else np.pad(y, (0, least - y.size))):
        try:
            frames = _checked(feature(padded, sr), who, ("rows", "frames"))
        except AudiofwError as error:
            failure = failure or error
            continue
        if frames.size:
            return frames
    raise failure or ClipError("returned no frames", plugin=who)


def _lengthened(y: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the samples and, if they may be shorter than a frame, increasingly zero-padded copies."""
    if y.size >= LONGEST_FRAME:
        yield y
        return
    yield y.copy()  # a plugin may modify its input
    size = 1 << y.size.bit_length()
    while size <= LONGEST_FRAME:
        yield np.pad(y, (0, size - y.size))
        size *= 2


def _checked(made: Any, who: str, axes: tuple[str, ...]) -> np.ndarray:
    """Check a plugin's output: a real array with these axes (else PluginError), and finite (else ClipError)."""
    try:
        array = np.asarray(made)
    except (TypeError, ValueError) as error:
        raise PluginError(f"did not return an array: {one_line(error)}", plugin=who) from error
    if array.dtype.kind not in "fiub":
        remedy = ": take its np.abs" if array.dtype.kind == "c" else ""
        raise PluginError(f"returned an array of {array.dtype}, not of real numbers{remedy}", plugin=who)
    if array.ndim != len(axes):
        raise PluginError(f"returned an array of shape {array.shape}, not ({', '.join(axes)})", plugin=who)
    with np.errstate(over="ignore"):  # infinity is reported below
        array = np.require(array, np.float32, "W")
    if not np.isfinite(array).all():
        raise ClipError(f"returned {'NaN' if np.isnan(array).any() else 'infinity'}", plugin=who)
    return array


def row_code() -> str:
    """Hash audiofw's code that affects rows, so that changes invalidate cached rows; plugins are hashed separately."""
    return digest_code([Path(__file__)])
