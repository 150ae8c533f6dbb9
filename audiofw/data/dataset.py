"""From an archive, a folder or a manifest to the list of labelled clips.

Label, group and fold of a clip come from three sources, in increasing priority: its folders (the parent folder is the
label; a train, test or validation folder at the top is the fold), its row in a manifest, and the named groups of
``data.pattern``.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from audiofw.audio.stretch import Stretch
from audiofw.data.annotations.collect import Labelled, collect, report_flaws
from audiofw.data.annotations.rows import Annotation, Flaw
from audiofw.data.intime import Piece, keep_together, pieces
from audiofw.data.labels import (
    JOINT,
    Facts,
    all_doubts,
    check_separator,
    compile_pattern,
    facts_of_recordings,
    label_clips,
    split_labels,
)
from audiofw.data.limits import Limits
from audiofw.data.manifest import choose_columns
from audiofw.data.recorder import Recorded
from audiofw.data.select import SkipList, leave_out, limit_each, of_classes, read_skip_list
from audiofw.data.sites import by_site_and_day, read_recorders
from audiofw.data.source import find_source, list_files
from audiofw.data.stretches import StretchOptions
from audiofw.errors import ConfigError

log = logging.getLogger(__name__)


class Clip(NamedTuple):
    """One recording, or a stretch of one, with its label, group and fold."""

    path: Path  #: the file
    name: str  #: POSIX path relative to the dataset's root, and the stretch: ``rec.wav@12.5-15``; the sort key of clips
    label: str  #: several as one text, see `audiofw.data.labels.join_labels`
    group: str | None = None  #: shared by clips of the same source
    fold: str | None = None  #: the dataset's own fold or split
    start: float | None = None  #: seconds; None, like ``end``: the whole recording
    end: float | None = None
    recorded: Recorded = Recorded()  #: when, where and with what, as far as its recording says so

    @property
    def stretch(self) -> Stretch:
        """The part of the recording that is read."""
        return Stretch(self.path, self.start, self.end)

    @property
    def is_stretch(self) -> bool:
        """Whether it is only part of its recording."""
        return self.start is not None or self.end is not None

    @property
    def recording(self) -> str:
        """Name of the recording that it is, or is a stretch of."""
        return self.name.rpartition("@")[0] if self.is_stretch else self.name


class Annotated(NamedTuple):
    """A recording, and all that is labelled in it."""

    path: Path
    name: str  #: as in `Clip.recording`
    seconds: float
    rows: Sequence[Annotation]


class Dataset(NamedTuple):
    """The clips of one data source, sorted by name."""

    root: Path
    clips: list[Clip]
    passed_over: dict[str, int]  #: files that are not clips: reason -> count
    flaws: Sequence[Flaw] = ()  #: rows of label tables that cannot be used
    recordings: Sequence[Annotated] = ()  #: those with labels in time


def find_clips(
    source: str | os.PathLike[str],
    *,
    pattern: str | None = None,
    columns: Mapping[str, str | None] | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    limit: int | None = None,
    skip: str | None = None,
    task: str = "single",
    separator: str | None = None,
    annotations: str | None = None,
    cut: StretchOptions = StretchOptions(),  # noqa: B008  # immutable
    recorder: str = "none",
    on_error: str = "skip",
    max_unpacked_gb: float = 100,
    max_ratio: float = 200,
    max_entries: int = 200_000,
    cache_dir: Path | None = None,
) -> Dataset:
    """Find the labelled clips of a dataset.

    Parameters
    ----------
    source : str
        A zip or tar archive, a folder, a CSV manifest, or the word ``demo`` for synthesised sounds.
    pattern : str, optional
        Regular expression with one or more of the named groups ``label``, ``group`` and ``fold``. It is first
        searched for in the file name and, without a match, in the whole path relative to the root:
        ``(?P<fold>\\d)-`` finds the ``1-`` of ``001-dog/1-100032-A.ogg``. Without a group ``label``, the label is the
        parent folder.
    columns : mapping, optional
        Names of a table's columns for ``path``, ``label``, ``group``, ``fold``, ``start``, ``end``, ``low`` and
        ``high``; missing or None ones are guessed. A ``metadata.csv`` at the top of the dataset, or in its train and
        test folders, is also a manifest. ``root`` is the folder that a manifest's paths are relative to.
    include, exclude : sequence of str
        Labels of the classes to keep (empty: all) and to exclude.
    limit : int, optional
        Maximum number of clips per class, taken at even intervals from the class's sorted clips.
    skip : str, optional
        Text file with clips to ignore: one name as in `Clip.name`, or glob, per line; ``*`` also matches ``/``. Blank
        lines and ``#`` comments are ignored.
    task : {"single", "multilabel"}
        Whether a label's text may hold several labels, see `audiofw.data.labels.join_labels`.
    separator : str, optional
        Between several labels; by default ``;`` in manifests, ``,`` in names of folders and files.
    annotations : str, optional
        Tables of what is where in the recordings: a file, a folder or a glob pattern. A manifest with the columns start
        and end is one itself.
    cut : Cut
        How recordings with such a table become clips.
    recorder : {"none", "auto"}
        Whether to read dates and sites that recorders write, and to group clips by them where no groups are given;
        see `audiofw.data.sites`.
    on_error : {"skip", "raise"}
        Whether rows of these tables that cannot be used are listed in `Dataset.flaws`, or raise an error.
    max_unpacked_gb, max_ratio, max_entries
        See `audiofw.data.unpack.unpack_archive`.
    cache_dir : Path, optional
        Where archives are unpacked; by default `audiofw.system.paths.cache_root`.

    Returns
    -------
    Dataset
        Clips sorted by name, independent of the order on disk.

    Raises
    ------
    DataError
        If the source is missing, unsafe, or contains no labelled audio.
    ConfigError
        If the pattern, a column or a class is invalid, or the skip list cannot be read.
    """
    if annotations is not None and not annotations.strip():
        raise ConfigError(
            "data.annotations is empty; set it to a label table, a folder of them or a pattern, or to null"
        )
    rule, chosen = compile_pattern(pattern), choose_columns(columns)
    skipped = read_skip_list(skip) if skip is not None else None
    path = find_source(source, cache_dir)
    joint = (separator or JOINT) if task == "multilabel" else None
    limits = Limits(max_unpacked_gb, max_ratio, max_entries)
    listed = list_files(path, chosen, limits, cache_dir, annotations, joint)
    flaws: Sequence[Flaw] = ()
    recordings: Sequence[Annotated] = ()
    if listed.tables is None:
        names = leave_out(listed.files, skipped, listed.passed) if skipped else list(listed.files)
        facts = label_clips(
            names, listed.rows, rule, listed.passed, path, task=task, separator=separator, background=cut.background
        )
        found = {name: _clip(listed.files[name], name, facts[name]) for name in sorted(facts)}
    else:
        check_separator(separator, task)
        labelled = collect(listed.tables, listed.files, listed.root, chosen)
        known = facts_of_recordings(listed.files, listed.rows, rule, listed.passed, path)
        made = pieces(labelled, listed.files, cut, known, listed.passed, task=task, separator=separator)
        report_flaws(labelled, on_error)
        found = _stretches(_not_skipped(made, skipped, listed.passed), listed.files)
        flaws, recordings = labelled.flaws, _annotated(labelled, listed.files, made, found)
        for doubt in all_doubts([clip.label for clip in found.values() if clip.label], task):
            log.warning("%s: %s", path, doubt)
    read = split_labels if task == "multilabel" else None
    labels = of_classes({name: clip.label for name, clip in found.items()}, include, exclude, listed.passed, read)
    kept = limit_each(labels, limit, listed.passed, read)
    clips = [found[name]._replace(label=labels[name]) for name in kept]
    clips = _dated(clips) if recorder == "auto" else clips
    return Dataset(listed.root, clips, dict(sorted(listed.passed.items())), flaws, recordings)


def _dated(clips: Sequence[Clip]) -> list[Clip]:
    """Add when and where clips were recorded and, unless there are groups, group them by it."""
    if not (known := read_recorders({clip.recording: clip.path for clip in clips})):
        return [*clips]
    given = any(clip.group not in (None, clip.recording) for clip in clips)
    groups = {} if given else by_site_and_day(known, folders=any(clip.is_stretch for clip in clips))
    return [
        clip._replace(recorded=known[clip.recording], group=groups.get(clip.recording, clip.group)) for clip in clips
    ]


def _not_skipped(made: Mapping[str, Piece], skipped: SkipList | None, passed: Counter[str]) -> dict[str, Piece]:
    if skipped is None:
        return dict(made)
    recordings = {name: piece.recording for name, piece in made.items()}
    return {name: made[name] for name in leave_out(made, skipped, passed, recordings)}


def _annotated(
    labelled: Labelled, files: Mapping[str, Path], made: Mapping[str, Piece], found: Mapping[str, Clip]
) -> list[Annotated]:
    """List the recordings with labels, without those of which all clips are skipped."""
    gone = {piece.recording for piece in made.values()} - {clip.recording for clip in found.values()}
    names = [name for name in sorted(labelled.rows) if name not in gone]
    return [Annotated(files[name], name, labelled.seconds[name], labelled.rows[name]) for name in names]


def _clip(path: Path, name: str, facts: Facts) -> Clip:
    return Clip(path, name, facts["label"], facts.get("group"), facts.get("fold"))


def _stretches(made: Mapping[str, Piece], files: Mapping[str, Path]) -> dict[str, Clip]:
    """Make clips of pieces; all of one recording have one group."""
    groups = keep_together([piece.facts["group"] for piece in made.values()], [p.recording for p in made.values()])
    return {
        name: _clip(files[piece.recording], name, {**piece.facts, "group": group})._replace(
            start=piece.start, end=piece.end
        )
        for (name, piece), group in zip(made.items(), groups, strict=True)
    }
