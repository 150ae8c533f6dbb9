"""From an archive, a folder or a manifest to the list of labelled clips.

What is known of a clip comes from three places, the later winning: its folders (the parent is the label; a
train, test or validation folder at the top is the fold), its row in a manifest, the named groups of
``data.pattern``.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from audiofw.audio.discover import AUDIO, find_sound
from audiofw.data.archive import ACCEPTED, is_archive
from audiofw.data.labels import Facts, compile_pattern, read_facts
from audiofw.data.manifest import apply_metadata, choose_columns, read_manifest
from audiofw.data.select import leave_out, limit_each, of_classes, read_skip_list
from audiofw.data.unpack import unpack_archive
from audiofw.errors import ConfigError, DataError, nearest
from audiofw.system.paths import cache_root


class Clip(NamedTuple):
    """One recording and what is known of it."""

    path: Path  #: the file
    name: str  #: path relative to the dataset's root, posix; what tables show and what orders the clips
    label: str
    group: str | None = None  #: clips of one source share it
    fold: str | None = None  #: the dataset's own fold or split


class Dataset(NamedTuple):
    """The clips of one source, sorted by name."""

    root: Path
    clips: list[Clip]
    passed_over: dict[str, int]  #: what is not among the clips: reason -> count


def find_clips(
    source: str | os.PathLike[str],
    *,
    pattern: str | None = None,
    columns: Mapping[str, str | None] | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    limit: int | None = None,
    skip: str | None = None,
    max_unpacked_gb: float = 100,
    max_ratio: float = 200,
    cache_dir: Path | None = None,
) -> Dataset:
    """Find the labelled clips of a dataset.

    Parameters
    ----------
    source : str
        A zip or tar archive, a folder, a CSV manifest, or the word ``demo`` for synthesised sounds.
    pattern : str, optional
        Regular expression with one or more of the named groups ``label``, ``group`` and ``fold``. It is
        searched in the file's own name first and, if that does not match, in the whole path relative to the
        root: so ``(?P<fold>\\d)-`` finds the ``1-`` of ``001-dog/1-100032-A.ogg``. Without a group
        ``label``, the parent folder stays the label.
    columns : mapping, optional
        Names of the manifest's columns for ``path``, ``label``, ``group`` and ``fold``; those left out or
        None are guessed. A ``metadata.csv`` at the top of the dataset, or in its train and test folders, is
        a manifest, too.
    include, exclude : sequence of str
        Classes to keep (all when empty) and to leave out, by their exact label.
    limit : int, optional
        At most this many clips of each class, spread evenly over the class's clips as their names order them.
    skip : str, optional
        A text file with the clips to leave out, as if they were not there: on each line a name as in
        `Clip.name`, or a glob, whose ``*`` stands for folders, too. Blank lines and ``#`` comments are ignored.
    max_unpacked_gb, max_ratio : float
        See `audiofw.data.unpack.unpack_archive`.
    cache_dir : Path, optional
        Where archives are unpacked; by default `audiofw.system.paths.cache_root`.

    Returns
    -------
    Dataset
        Clips sorted by name, whatever the order on the disk.

    Raises
    ------
    DataError
        For a source that is missing, unsafe, or has no labelled sound in it.
    ConfigError
        For a pattern, column or class that cannot be, or a list of clips to skip that cannot be read.
    """
    rule = compile_pattern(pattern)
    chosen = choose_columns(columns)
    skipped = read_skip_list(skip) if skip is not None else None
    path = _located(source, cache_dir)
    root, files, rows, passed = _listed_files(path, chosen, max_unpacked_gb, max_ratio, cache_dir)
    names = leave_out(files, skipped, passed) if skipped else list(files)
    facts = read_facts(names, rows, rule, passed, path)
    labels = of_classes({name: facts[name]["label"] for name in sorted(facts)}, include, exclude, passed)
    clips = [Clip(files[name], name, **facts[name]) for name in limit_each(labels, limit, passed)]
    return Dataset(root, clips, dict(sorted(passed.items())))


def _listed_files(
    path: Path, columns: dict[str, str], max_unpacked_gb: float, max_ratio: float, cache_dir: Path | None
) -> tuple[Path, dict[str, Path], dict[str, Facts], Counter[str]]:
    """The root, the files by their names, what tables say of them, and what was passed over."""
    if path.suffix.lower() in (".csv", ".tsv") and not path.is_dir():
        return path.parent, *read_manifest(path, columns)
    root = path if path.is_dir() else _unpacked(path, max_unpacked_gb, max_ratio, cache_dir)
    found, passed = find_sound(root, path)
    files, rows = apply_metadata(root, found, columns, passed, path)
    return root, files, rows, passed


def _located(source: str | os.PathLike[str], cache_dir: Path | None) -> Path:
    text = os.fspath(source)
    if text == "demo":
        from audiofw.data.demo import demo_archive

        return demo_archive(cache_dir or cache_root())
    if not text.strip():
        raise ConfigError(f"data.source is empty; give {ACCEPTED}, a folder, a CSV manifest or 'demo'")
    # "~nobody" has no home: then it is an odd name like any other
    path = Path(os.path.expanduser(text)).absolute()  # noqa: PTH111
    if not path.exists():
        raise DataError(_no_such_source(text, path))
    return path


def _no_such_source(text: str, path: Path) -> str:
    if "," in text:
        several = ",".join(part.strip() for part in text.split(","))
        return f"data.source: no such file or folder: {text}; to sweep, write data.source=choice({several})"
    if "://" in text:
        return f"data.source: {text} is a web address; download it first and give the file"
    beside = path.parent
    names = [entry.name for entry in beside.iterdir()] if beside.is_dir() else []
    where = "" if beside.is_dir() else f"; there is no folder {beside}"
    return f"data.source: no such file or folder: {text}{nearest(path.name, names) or where}"


def _unpacked(path: Path, max_unpacked_gb: float, max_ratio: float, cache_dir: Path | None) -> Path:
    if not path.is_file():
        raise DataError(f"{path}: neither a file nor a folder; give {ACCEPTED}, a folder or a CSV manifest")
    if path.suffix.lower() in AUDIO:
        raise DataError(f"{path}: a single recording; give the folder or archive that holds all of them")
    if not is_archive(path):
        raise DataError(f"{path}: not an archive, or damaged; give {ACCEPTED}, a folder, a CSV manifest or 'demo'")
    return unpack_archive(path, max_unpacked_gb=max_unpacked_gb, max_ratio=max_ratio, cache_dir=cache_dir)
