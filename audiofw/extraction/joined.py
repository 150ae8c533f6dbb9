"""The extraction of several features: each by a unit of its own, cached by itself, and joined as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from audiofw.audio.load import resample
from audiofw.audio.stretch import Stretch
from audiofw.contract.combined import Combined
from audiofw.errors import ClipError, ConfigError, DataError
from audiofw.extraction.collected import Spill, beside
from audiofw.extraction.extract import Table
from audiofw.extraction.failures import Failure
from audiofw.extraction.padding import PadValue, make_gatherer
from audiofw.extraction.recording import Unit


@dataclass(frozen=True)
class JoinedUnit(Unit):
    """The extraction of several features; its own rate and duration are the largest of its members'.

    Parameters
    ----------
    members : tuple of Unit
        The extraction of each feature; offset, silence, channel and copy are taken from this unit.
    names : tuple of str
        Names of the members.
    widths : tuple of int
        Columns of each member; empty until they are known.
    pad_value : {"zero", "floor"}
        As in `audiofw.extraction.extract.tabulate`.
    """

    members: tuple[Unit, ...] = ()
    names: tuple[str, ...] = ()
    widths: tuple[int, ...] = ()
    pad_value: PadValue = "floor"

    @property
    def parts(self) -> tuple[Unit, ...]:
        """The members, as this unit is set."""
        own: dict[str, Any] = {name: getattr(self, name) for name in ("offset", "silence", "channel", "copy")}
        return tuple(replace(member, **own) for member in self.members)

    @property
    def holds_gil(self) -> bool:
        """Whether to run in worker processes rather than threads."""
        return any(part.holds_gil for part in self.parts)

    def __call__(self, recording: Path | Stretch) -> np.ndarray:
        """Compute the rows of one recording, ``(segments, d)``; see `Unit.__call__`."""
        return self._joined([part(recording) for part in self.parts])

    def pool(self, y: np.ndarray, sr: int) -> np.ndarray:
        """Compute the row of one segment's samples, which each member resamples and cuts as it needs."""
        made = []
        for part in self.parts:
            rate = part.sample_rate or sr
            own = resample(y, sr, rate) if rate != sr else y.copy()
            made.append(part.pool(replace(part.segments, hop=None, trim=None).cut(own, rate)[0], rate)[None])
        return self._joined(made)[0]

    def _joined(self, made: Sequence[np.ndarray]) -> np.ndarray:
        widths, least = self.widths or [rows.shape[1] for rows in made], min(map(len, made))
        return np.hstack(
            [_fitted(rows[:least], width, self.pad_value) for rows, width in zip(made, widths, strict=True)]
        )

    def try_out(self) -> int | None:
        """Run the members' plugins on synthetic noise; see `Unit.try_out`."""
        widths = [part.try_out() for part in self.parts]
        return None if None in widths else sum(filter(None, widths))

    def recipe(self) -> dict[str, Any]:
        """Everything that a row depends on apart from the recording itself."""
        return {"members": {name: part.recipe() for name, part in zip(self.names, self.parts, strict=True)}}


def _fitted(rows: np.ndarray, width: int, pad_value: PadValue) -> np.ndarray:
    gather = make_gatherer(len(rows), width, pad_value)
    if gather.add(rows, ""):
        raise ClipError(f"{rows.shape[1]} features, more than the {width} that the model was trained on")
    return gather.stack()


def join_units(combined: Combined, unit: Unit, pad_value: PadValue) -> JoinedUnit:
    """Make the extraction of several features, of one that has the run's options.

    Raises
    ------
    ConfigError
        If a member's pooling is fitted on clips, or the members' windows would not be the same.
    """
    members = []
    for member in combined.members_:
        pooling = member.pooling or unit.pooling
        if pooling.learns:
            raise ConfigError(
                f"feature.{member.name}.pooling={pooling.name}: a pooling that is fitted on clips cannot be used with "
                "several features; use stats or functionals"
            )
        duration = member.duration or unit.segments.duration
        if unit.segments.hop is not None and duration != unit.segments.duration:
            raise ConfigError(f"feature.{member.name}.audio.duration={duration}: with windows.hop, all need the same")
        rate = member.sample_rate or unit.sample_rate
        segments = replace(unit.segments, duration=duration)
        members.append(replace(unit, sample_rate=rate, feature=member.feature, pooling=pooling, segments=segments))
    rates, durations = ([*each] for each in zip(*((m.sample_rate, m.segments.duration) for m in members), strict=True))
    return JoinedUnit(
        sample_rate=None if None in rates else max(filter(None, rates)),
        offset=unit.offset,
        silence=unit.silence,
        channel=unit.channel,
        feature=combined,
        pooling=members[0].pooling,  # all are applied before a model is fitted
        segments=replace(unit.segments, duration=None if None in durations else max(filter(None, durations))),
        members=tuple(members),
        names=tuple(member.name for member in combined.members_),
        pad_value=pad_value,
    )


def side_by_side(tables: Sequence[Table], n_clips: int, spill: Spill | None = None) -> Table:
    """Join the tables of several features of the same clips: all columns of each, for clips that all of them have.

    If rounding gives a clip one window less at one sampling rate than at another, the least number is taken.

    Raises
    ------
    DataError
        If no clip could be used by all features.
    """
    counts = [np.bincount(table.kept[table.clip_of], minlength=n_clips) for table in tables]
    least = np.min(counts, axis=0)
    kept = np.flatnonzero(least)
    if not kept.size:
        raise DataError("no clip could be used by all of the features")
    X = beside([(table.X, np.flatnonzero(_first_of_each(table, least))) for table in tables], spill)
    failures: dict[str, Failure] = {}
    for table in tables:
        for failure in table.failures:
            failures.setdefault(failure.name, failure)
    clip_of = np.repeat(np.arange(len(kept)), least[kept])
    cached = min(table.cached for table in tables)
    return Table(X, kept, clip_of, list(failures.values()), cached, tuple(table.X.shape[1] for table in tables))


def _first_of_each(table: Table, counts: np.ndarray) -> np.ndarray:
    """Mask of the first rows of each clip, as many as given."""
    clips = table.kept[table.clip_of]
    first = np.searchsorted(clips, clips)
    return np.arange(len(clips)) - first < counts[clips]
