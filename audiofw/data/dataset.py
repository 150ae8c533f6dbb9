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

from audiofw.audio.discover import AUDIO, find_sound
from audiofw.audio.stretch import Stretch
from audiofw.data.annotations.collect import collect, find_tables, say
from audiofw.data.annotations.rows import Annotation, Flaw
from audiofw.data.archive import ACCEPTED, is_archive
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
from audiofw.data.manifest import apply_metadata, choose_columns, read_manifest
from audiofw.data.select import leave_out, limit_each, of_classes, read_skip_list
from audiofw.data.stretches import Cut
from audiofw.data.timed import is_in_time, listed_recordings, manifests_in_time
from audiofw.data.unpack import unpack_archive
from audiofw.errors import ConfigError, DataError, nearest
from audiofw.system.paths import cache_root, located

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
    cut: Cut = Cut(),  # noqa: B008  # immutable
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
    rule = compile_pattern(pattern)
    chosen = choose_columns(columns)
    skipped = read_skip_list(skip) if skip is not None else None
    path = _located(source, cache_dir)
    if annotations is not None and not annotations.strip():
        raise ConfigError(
            "data.annotations is empty; set it to a label table, a folder of them or a pattern, or to null"
        )
    joint = (separator or JOINT) if task == "multilabel" else None
    limits = Limits(max_unpacked_gb, max_ratio, max_entries)
    listed = _listed_files(path, chosen, limits, cache_dir, annotations, joint)
    root, files, rows, passed, tables = listed
    flaws: Sequence[Flaw] = ()
    annotated: list[Annotated] = []
    if tables is None:
        names = leave_out(files, skipped, passed) if skipped else list(files)
        facts = label_clips(names, rows, rule, passed, path, task=task, separator=separator, background=cut.background)
        found = {name: _clip(files[name], name, facts[name]) for name in sorted(facts)}
    else:
        check_separator(separator, task)
        labelled = collect(tables, files, root, {key: name for key, name in chosen.items() if key != "root"})
        known = facts_of_recordings(files, rows, rule, passed, path)
        made = pieces(labelled, files, cut, known, passed, task=task, separator=separator)
        say(labelled, on_error)
        flaws = labelled.flaws
        annotated = [Annotated(files[n], n, labelled.seconds[n], rows) for n, rows in labelled.rows.items()]
        recordings = {name: piece.recording for name, piece in made.items()}
        names = leave_out(made, skipped, passed, recordings) if skipped else list(made)
        found = _stretches({name: made[name] for name in names}, files)
        for doubt in all_doubts([clip.label for clip in found.values() if clip.label], task):
            log.warning("%s: %s", path, doubt)
    read = split_labels if task == "multilabel" else None
    labels = of_classes({name: clip.label for name, clip in found.items()}, include, exclude, passed, read)
    kept = limit_each(labels, limit, passed, read)
    clips = [found[name]._replace(label=labels[name]) for name in kept]
    return Dataset(root, clips, dict(sorted(passed.items())), flaws, annotated)


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


class Listed(NamedTuple):
    """The files of a data source, and what tables say of them."""

    root: Path
    files: dict[str, Path]  #: by name
    rows: dict[str, Facts]  #: by manifests
    passed: Counter[str]  #: ignored files by reason
    tables: list[Path] | None  #: of labels in time; None if there are none


def _listed_files(
    path: Path,
    columns: dict[str, str],
    limits: Limits,
    cache_dir: Path | None,
    annotations: str | None,
    joint: str | None,
) -> Listed:
    of_rows = {} if annotations else columns  # data.columns is about the label tables
    if path.suffix.lower() in (".csv", ".tsv") and not path.is_dir():
        if annotations is None and is_in_time(path, columns):
            root, files = listed_recordings(path, columns)
            return Listed(root, files, {}, Counter(), [path])
        listed = read_manifest(path, of_rows, joint)
        return Listed(*listed, find_tables(annotations, path.parent, columns) if annotations else None)
    root = path if path.is_dir() else _unpacked(path, limits, cache_dir)
    found, passed = find_sound(root, path)
    tables = find_tables(annotations, root, columns) if annotations else manifests_in_time(root, found, columns)
    if tables:  # a manifest that is one of them does not list clips
        found = {name: file for name, file in found.items() if file not in tables}
        of_rows = {}
    files, rows = apply_metadata(root, found, of_rows, passed, path, joint)
    return Listed(root, files, rows, passed, tables or None)


def _located(source: str | os.PathLike[str], cache_dir: Path | None) -> Path:
    text = os.fspath(source)
    if text == "demo":
        from audiofw.data.demo import demo_archive

        return demo_archive(cache_dir or cache_root())
    if not text.strip():
        raise ConfigError(f"data.source is empty; set it to {ACCEPTED}, a folder, a CSV manifest or 'demo'")
    path = located(text).absolute()
    if not path.exists():
        raise DataError(_no_such_source(text, path))
    return path


def _no_such_source(text: str, path: Path) -> str:
    if "," in text:
        several = ",".join(part.strip() for part in text.split(","))
        return f"data.source: no such file or folder: {text}; to sweep, write data.source=choice({several})"
    if "://" in text:
        return f"data.source: {text} is a web address; download it first and use the file"
    beside = path.parent
    names = [entry.name for entry in beside.iterdir()] if beside.is_dir() else []
    where = "" if beside.is_dir() else f"; the folder {beside} does not exist"
    return f"data.source: no such file or folder: {text}{nearest(path.name, names) or where}"


def _unpacked(path: Path, limits: Limits, cache_dir: Path | None) -> Path:
    if not path.is_file():
        raise DataError(f"{path}: neither a file nor a folder; use {ACCEPTED}, a folder or a CSV manifest")
    if path.suffix.lower() in AUDIO:
        raise DataError(f"{path}: a single recording; use the folder or archive that contains all of them")
    if not is_archive(path):
        raise DataError(f"{path}: not an archive, or damaged; use {ACCEPTED}, a folder, a CSV manifest or 'demo'")
    return unpack_archive(path, **limits._asdict(), cache_dir=cache_dir)
