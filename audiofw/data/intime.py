"""From label tables with times to clips: the events of each recording, or windows along it."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from audiofw.audio.stretch import stretch_name
from audiofw.data.annotations.collect import BEYOND, Labelled
from audiofw.data.annotations.rows import Annotation, Flaw
from audiofw.data.labels import JOINT, Facts, composed, join_labels, normalised, split_labels
from audiofw.data.select import spread_evenly
from audiofw.data.stretches import LabelledStretch, StretchOptions, events_of, windows_of
from audiofw.errors import ConfigError, DataError

log = logging.getLogger(__name__)


class Piece(NamedTuple):
    """A clip to be: a stretch of a recording, its label, and what else is known of it."""

    recording: str
    start: float | None
    end: float | None
    facts: Facts


def pieces(
    labelled: Labelled,
    files: Mapping[str, Path],
    cut: StretchOptions,
    known: tuple[Mapping[str, Facts], Mapping[str, Facts]],
    passed: Counter[str],
    *,
    task: str,
    separator: str | None,
) -> dict[str, Piece]:
    """Cut all recordings.

    Parameters
    ----------
    labelled : Labelled
        Rows of those that have a table; updated with those that have none, if they are background.
    files : mapping of str to Path
        All recordings.
    cut : Cut
    known : (mapping, mapping)
        Group and fold of recordings, by their folders, which rows override, and by the pattern, which overrides rows.
    passed : Counter
        Counts what is left out, by reason; updated.
    task, separator
        As for `audiofw.data.dataset.find_clips`.

    Returns
    -------
    dict of str to Piece
        By the names of the clips, in the order of the recordings and of time.

    Raises
    ------
    DataError
        If nothing is left.
    ConfigError
        If windows have no duration.
    """
    if cut.unit == "windows" and cut.duration is None:
        raise ConfigError("data.unit=windows needs audio.duration: the length of each window in seconds")
    _take_unlabelled(labelled, files, cut, passed)
    found: list[Piece] = []
    for recording in sorted(labelled.rows):
        rows = [each for row in labelled.rows[recording] for each in _split(row, task, separator)]
        parts = _parts(rows, labelled.seconds[recording], cut, passed)
        found += _labelled(recording, rows, parts, cut, task, known[0][recording], known[1].get(recording, {}))
    found = _thinned(found, _name_of_background(cut, task), cut.background_ratio, passed)
    if not found:
        raise DataError(_nothing(labelled))
    return dict(_named(found))


def _nothing(labelled: Labelled) -> str:
    first = f", e.g. {labelled.flaws[0].where}: {labelled.flaws[0].reason}" if labelled.flaws else ""
    if labelled.flaws and all(flaw.reason.startswith(BEYOND) for flaw in labelled.flaws):
        return (
            f"all rows of the label tables start after their recordings{first}; if the times are not of these "
            "files, write data.columns.start= without a value"
        )
    return f"no row of the label tables gives a clip{first}; see data.annotations and data.columns"


def _take_unlabelled(labelled: Labelled, files: Mapping[str, Path], cut: StretchOptions, passed: Counter[str]) -> None:
    """Leave recordings without a table out, or take them as background."""
    without = [name for name in files if name not in labelled.seconds]
    if cut.unlabelled == "skip" or cut.unit == "event":
        if without:
            log.warning(
                "%d of %d recordings have no labels, e.g. %s; left out%s", len(without), len(files), without[0],
                "" if cut.unit == "event" else " (data.unlabelled=background uses them as background)",
            )  # fmt: skip
            passed["recording without labels"] += len(without)
        return
    from audiofw.audio.load import seconds_of  # numpy only where labels have times

    for name in without:
        try:
            labelled.seconds[name] = seconds_of(files[name])
            labelled.rows[name] = []
        except DataError as error:
            labelled.flaws.append(Flaw(files[name], None, str(error)))


def _split(row: Annotation, task: str, separator: str | None) -> list[Annotation]:
    """Divide a row with several labels."""
    label = composed(row.label)
    if task == "single" or not label:
        return [row._replace(label=label)]
    return [row._replace(label=each) for each in split_labels(join_labels(label.split(separator or JOINT)))]


def _parts(
    rows: Sequence[Annotation], seconds: float, cut: StretchOptions, passed: Counter[str]
) -> list[LabelledStretch]:
    if cut.unit == "event":
        return events_of(rows, seconds, cut)
    parts, scraps = windows_of(rows, seconds, cut)
    passed["window that barely overlaps a label"] += scraps
    return parts


def _labelled(
    recording: str,
    rows: Sequence[Annotation],
    parts: Sequence[LabelledStretch],
    cut: StretchOptions,
    task: str,
    below: Facts,
    above: Facts,
) -> Iterator[Piece]:
    """Give each part its label, group and fold; without a group, all of a recording are one."""
    shared = {"group": recording} | below | _unanimous(rows)
    together: dict[tuple[float | None, float | None], list[LabelledStretch]] = {}
    for part in parts:
        together.setdefault((part.start, part.end), []).append(part)
    for (start, end), same in together.items():
        merged = same if task == "single" else [same[0]._replace(labels=tuple(x for each in same for x in each.labels))]
        for part in merged:
            label = _label(part.labels, cut, task)
            if label is not None:
                own = {key: value for row in part.rows for key, value in _facts(row).items()}
                yield Piece(recording, start, end, normalised({**shared, **own, **above, "label": label}))


def _label(labels: Sequence[str], cut: StretchOptions, task: str) -> str | None:
    if task == "multilabel":
        names = [label for label in labels if label != cut.background]
        return join_labels(names) if labels or cut.background is not None else None
    return labels[0] if labels else cut.background


def _name_of_background(cut: StretchOptions, task: str) -> str | None:
    return "" if task == "multilabel" else cut.background


def _facts(row: Annotation) -> Facts:
    return {key: value for key, value in (("group", row.group), ("fold", row.fold)) if value}


def _unanimous(rows: Iterable[Annotation]) -> Facts:
    """Group and fold on which all rows of a recording agree."""
    said = [_facts(row) for row in rows]
    return {} if not said else {key: value for key, value in said[0].items() if all(x.get(key) == value for x in said)}


def _thinned(found: list[Piece], background: str | None, ratio: float | None, passed: Counter[str]) -> list[Piece]:
    """Keep at most ``ratio`` background windows for each labelled one, evenly spread."""
    if ratio is None:
        return found
    empty = [i for i, piece in enumerate(found) if piece.facts["label"] == background]
    kept = set(spread_evenly(empty, round(ratio * (len(found) - len(empty)))))
    passed["beyond windows.background_ratio"] += len(empty) - len(kept)
    return [piece for i, piece in enumerate(found) if piece.facts["label"] != background or i in kept]


def _named(found: Iterable[Piece]) -> Iterator[tuple[str, Piece]]:
    """Name the clips; of several with the same stretch, the second ends in ``#2``."""
    counts: Counter[str] = Counter()
    for piece in found:
        name = stretch_name(piece.recording, piece.start, piece.end)
        counts[name] += 1
        yield (name if counts[name] == 1 else f"{name}#{counts[name]}"), piece


def keep_together(groups: Sequence[str | None], recordings: Sequence[str]) -> list[str]:
    """Join the groups that share a recording, so that all of a recording has one group.

    Parameters
    ----------
    groups, recordings : sequence of str [shape=(clips,)]

    Returns
    -------
    list of str
        Groups that share no recording keep their names; joined ones have the first of theirs.

    Examples
    --------
    >>> keep_together(["a", "b", "b", "c"], ["1.wav", "1.wav", "2.wav", "3.wav"])
    ['a', 'a', 'a', 'c']
    """
    first: dict[str, str] = {}

    def root(key: str) -> str:
        while first.setdefault(key, key) != key:
            first[key] = first[first[key]]
            key = first[key]
        return key

    of_recording: dict[str, str] = {}
    names = [group or recording for group, recording in zip(groups, recordings, strict=True)]
    for group, recording in zip(names, recordings, strict=True):
        a, b = root(group), root(of_recording.setdefault(recording, group))
        first[max(a, b)] = min(a, b)
    return [root(group) for group in names]
