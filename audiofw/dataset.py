"""From an archive, a folder or a manifest to the list of labelled clips.

What is known of a clip comes from three places, the later winning: its folders (the parent is the label; a
train, test or validation folder at the top is the fold), its row in a manifest, the named groups of
``data.pattern``.
"""

from __future__ import annotations

import csv
import logging
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from os.path import normpath, relpath
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from audiofw.archive import ACCEPTED, is_archive, unpack
from audiofw.errors import ConfigError, DataError, nearest
from audiofw.places import cache_root

log = logging.getLogger(__name__)


def _extensions(words: str) -> frozenset[str]:
    return frozenset(words.split())


# what libsndfile opens by itself
READABLE = _extensions(
    ".wav .wave .flac .ogg .oga .opus .mp3 .mp2 .aiff .aif .aifc .au .snd .caf .w64 .rf64 .sph .nist .voc"
    " .ircam .sf .paf .pvf .avr .wve .xi .sds .svx .8svx .iff"
)
# sound that libsndfile cannot open: still clips, so that each is listed as a failure instead of vanishing
UNREADABLE = _extensions(".m4a .aac .wma .mp4 .webm .amr .wv .ape .3gp .mka .ac3")
AUDIO = READABLE | UNREADABLE
SPLITS = {"train": "train", "test": "test"} | dict.fromkeys(("validation", "valid", "val", "dev"), "validation")
FIELDS = ("label", "group", "fold")
COLUMNS = {  # the names by which a manifest's columns are guessed, the first that exists
    "path": ("file_name", "path", "filename", "file", "file_path", "filepath"),
    "label": ("label", "category", "class", "class_name", "target"),
    "group": ("group", "speaker", "speaker_id", "source", "src_file", "recording"),
    "fold": ("fold", "split"),
}
MANIFEST = "metadata.csv"
THREE_WAYS = "put the clips into one folder per class, set data.pattern, or add a metadata.csv (file_name, label)"

Facts = dict[str, str]  # what is known of one clip: some of FIELDS


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
    max_unpacked_gb, max_ratio : float
        See `audiofw.archive.unpack`.
    cache_dir : Path, optional
        Where archives are unpacked; by default `audiofw.places.cache_root`.

    Returns
    -------
    Dataset
        Clips sorted by name, whatever the order on the disk.

    Raises
    ------
    DataError
        For a source that is missing, unsafe, or has no labelled sound in it.
    ConfigError
        For a pattern, column or class that cannot be.
    """
    rule = _compiled(pattern)
    chosen = _chosen_columns(columns)
    path = _located(source, cache_dir)
    if path.suffix.lower() in (".csv", ".tsv") and not path.is_dir():
        files, rows, passed = _read_manifest(path, chosen)
        root = path.parent
    else:
        root = path if path.is_dir() else _unpacked(path, max_unpacked_gb, max_ratio, cache_dir)
        files, passed = _walk(root, path)
        files, rows = _with_metadata(root, files, chosen, passed, path)
    facts = _facts(files, rows, rule, passed, path)
    clips = [Clip(files[name], name, **facts[name]) for name in sorted(facts)]
    clips = _limited(_of_classes(clips, include, exclude, passed), limit, passed)
    return Dataset(root, clips, dict(sorted(passed.items())))


# --- the source ------------------------------------------------------------------------------------


def _located(source: str | os.PathLike[str], cache_dir: Path | None) -> Path:
    text = os.fspath(source)
    if text == "demo":
        from audiofw.demo import demo_archive

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
    return unpack(path, max_unpacked_gb=max_unpacked_gb, max_ratio=max_ratio, cache_dir=cache_dir)


# --- files -----------------------------------------------------------------------------------------


def _walk(root: Path, source: Path) -> tuple[dict[str, Path], Counter[str]]:
    """Sound and manifests below a folder, by their relative names, and what was passed over."""
    files: dict[str, Path] = {}
    passed: Counter[str] = Counter()
    for path in _below(root, passed, {root.resolve()}):
        if path.suffix.lower() in AUDIO or path.name == MANIFEST:
            files[_name(path, root)] = path
        else:
            passed[f"not audio ({path.suffix.lower() or 'no extension'})"] += 1
    if not any(path.name != MANIFEST for path in files.values()):
        raise DataError(_no_audio(source, passed + Counter({"not audio (.csv)": len(files)})))
    return files, passed


def _below(folder: Path, passed: Counter[str], roots: set[Path]) -> Iterator[Path]:
    """Plain files at any depth, links followed, except to a folder that is read already."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror}); mend its permissions") from error
    for path in entries:
        if path.name.startswith(".") or path.name == "__MACOSX":
            passed["hidden"] += 1
        elif path.is_dir():
            if path.is_symlink() and not _is_new(path, roots):
                passed["link to a folder that is read already"] += 1
            else:
                yield from _below(path, passed, roots)
        elif path.is_file():
            yield path
        else:
            passed["broken link" if path.is_symlink() else "not a plain file"] += 1


def _is_new(link: Path, roots: set[Path]) -> bool:
    """Whether a linked folder lies apart from all that is read; from now on it counts as read."""
    target = link.resolve()
    apart = not any(target.is_relative_to(root) or root.is_relative_to(target) for root in roots)
    roots |= {target} if apart else set()
    return apart


def _name(path: Path, root: Path) -> str:
    # by text, for pathlib takes seconds over 100 000 files
    whole = str(path)
    name = whole.removeprefix(f"{root}{os.sep}")
    name = (relpath(path, root) if name == whole else name).replace(os.sep, "/")
    # a name that is not UTF-8 must still print
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _no_audio(source: Path, passed: Counter[str]) -> str:
    found = ", ".join(f"{count} {reason}" for reason, count in passed.most_common(6) if count)
    if not found:
        return f"{source}: empty; give a folder or archive with recordings"
    return f"{source}: no audio found; looked for .wav, .flac, .ogg, .mp3 and the like, found {found}"


# --- manifests -------------------------------------------------------------------------------------


def _chosen_columns(columns: Mapping[str, str | None] | None) -> dict[str, str]:
    for key in columns or ():
        if key not in COLUMNS:
            raise ConfigError(f"data.columns: no such key {key!r}{nearest(key, COLUMNS)}; it has {_listed(COLUMNS)}")
    return {key: column for key, column in (columns or {}).items() if column is not None}


def _read_manifest(path: Path, chosen: dict[str, str]) -> tuple[dict[str, Path], dict[str, Facts], Counter[str]]:
    """The files that a user's own manifest lists, wherever they are, and what it says of them."""
    header, table = _table(path)
    used = _used_columns(path, header, chosen, must=("path",))
    rows, missing = _rows(path, table, used, path.parent)
    passed: Counter[str] = Counter()
    _pass_missing(path, missing, bool(rows), passed)
    return (
        {name: file for name, (file, _) in rows.items()},
        {n: facts for n, (_, facts) in rows.items()},
        passed,
    )


def _with_metadata(
    root: Path, files: dict[str, Path], chosen: dict[str, str], passed: Counter[str], source: Path
) -> tuple[dict[str, Path], dict[str, Facts]]:
    """The sound among a folder's files, and what its manifests say of it.

    A manifest with labels decides which files count; one without only adds to what the folders say.
    """
    sound = {name: path for name, path in files.items() if path.name != MANIFEST}
    known: dict[str, Facts] = {}
    labelled = False
    tables = {path: _table(path) for path in _manifests(root, files, sound)}
    passed["not audio (.csv)"] += len(files) - len(sound) - len(tables)
    for path, (header, table) in tables.items():
        used = _used_columns(path, header, chosen, must=("path",) if chosen else ())
        if "path" not in used:
            log.warning("%s: not used, for it has no column for the path: %s", path, _listed(header))
            continue
        labelled |= "label" in used
        rows, missing = _rows(path, table, used, root, within=root)
        _pass_missing(path, missing, bool(rows), passed)
        known |= {name: facts for name, (_, facts) in rows.items()}
        if "label" in used:
            sound |= {name: file for name, (file, _) in rows.items()}
    if chosen and not tables:
        raise ConfigError(
            f"data.columns: names columns, but {source} has no {MANIFEST}; give the manifest as data.source"
        )
    if labelled:
        passed["not in the manifest"] += len(sound) - len(known)
        sound = {name: sound[name] for name in known if name in sound}
    passed += Counter()  # forget zeros
    return sound, known


def _manifests(root: Path, files: dict[str, Path], sound: Iterable[str]) -> list[Path]:
    """The manifest at the top, i.e. beside or above all sound, or else those in its split folders."""
    top = PurePosixPath(*_wrapping(sound))
    for folder in (top, *top.parents):
        if (found := files.get((folder / MANIFEST).as_posix())) is not None:
            return [found]
    inside = [name for name in files if name.endswith(f"/{MANIFEST}")]
    return [
        files[name]
        for name in inside
        if PurePosixPath(name).parent.parent == top and PurePosixPath(name).parts[-2].lower() in SPLITS
    ]


def _table(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Column names and rows of a CSV file delimited by commas, semicolons or tabs."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            delimiter = max(",;\t", key=first.count)
            lines = [[cell.strip() for cell in line] for line in csv.reader(file, delimiter=delimiter) if line]
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8; save it again as CSV in UTF-8") from error
    except (csv.Error, OSError) as error:
        raise DataError(f"{path}: cannot be read as CSV ({error})") from error
    if len(lines) < 2:
        raise DataError(f"{path}: lists no clips; it needs a line of column names, and one line for each clip")
    return lines[0], [dict(zip(lines[0], line, strict=False)) for line in lines[1:]]


def _used_columns(path: Path, header: list[str], chosen: dict[str, str], must: Sequence[str] = ()) -> dict[str, str]:
    """Which column holds the path, the label, the group and the fold: as chosen, or by a usual name."""
    folded = {column.lower(): column for column in reversed(header)}
    used: dict[str, str] = {}
    for key, guesses in COLUMNS.items():
        if key in chosen and chosen[key] not in header:
            raise ConfigError(
                f"{path}: no column {chosen[key]!r}{nearest(chosen[key], header)} for data.columns.{key}; "
                f"it has {_listed(header)}"
            )
        column = chosen.get(key) or next((folded[guess] for guess in guesses if guess in folded), None)
        if column is not None:
            used[key] = column
        elif key in must:
            raise ConfigError(f"{path}: which column is the {key}? Set data.columns.{key} to one of {_listed(header)}")
    return used


def _rows(
    path: Path, table: list[dict[str, str]], used: dict[str, str], root: Path, within: Path | None = None
) -> tuple[dict[str, tuple[Path, Facts]], list[str]]:
    """File and facts of each clip that a manifest lists, by the clip's name; and what it lists in vain."""
    rows: dict[str, tuple[Path, Facts]] = {}
    missing = []
    for row in table:
        listed = row.get(used["path"], "")
        file = _listed_file(path.parent, listed)
        if within and not file.is_relative_to(within):
            raise DataError(f"{path}: the path {listed!r} leads out of the dataset; list only files inside it")
        if not listed or not file.is_file():
            missing.append(listed)
            continue
        facts = {field: value for field in FIELDS if field in used and (value := row.get(used[field], ""))}
        name = _name(file, root)
        before = rows.setdefault(name, (file, facts))[1]
        if before != facts:
            said = " and as ".join(_listed(known.values()) or "nothing" for known in (before, facts))
            raise DataError(f"{path}: lists {listed!r} twice, as {said}; keep one line for each clip")
    return rows, missing


def _listed_file(folder: Path, listed: str) -> Path:
    file = Path(normpath(folder / listed))
    # a manifest written on Windows
    return file if file.exists() or "\\" not in listed else Path(normpath(folder / listed.replace("\\", "/")))


def _pass_missing(path: Path, missing: list[str], some: bool, passed: Counter[str]) -> None:
    if not missing:
        return
    say = f"{path}: {len(missing)} of its files are not there, e.g. {missing[0]!r}"
    if not some:
        raise DataError(f"{say}; paths are relative to the manifest")
    log.warning(say)
    passed["in the manifest, but no such file"] += len(missing)


# --- label, group, fold ----------------------------------------------------------------------------


def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    if pattern is None:
        return None
    try:
        rule = re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"data.pattern: {pattern!r} is not a regular expression: {error}") from error
    for name in rule.groupindex:
        if name not in FIELDS:
            raise ConfigError(
                f"data.pattern: no such group {name!r}{nearest(name, FIELDS)}; it may name {_listed(FIELDS)}"
            )
    if not rule.groupindex:
        raise ConfigError(f"data.pattern: {pattern!r} names none of {_listed(FIELDS)}; write e.g. '(?P<label>[a-z]+)_'")
    return rule


def _facts(
    files: dict[str, Path],
    rows: dict[str, Facts],
    rule: re.Pattern[str] | None,
    passed: Counter[str],
    source: Path,
) -> dict[str, Facts]:
    """Label, and group and fold where known, of every clip that has a label."""
    by_pattern = _by_pattern(files, rule, passed, source)
    elsewhere = any("label" in facts for facts in rows.values()) or "label" in (rule.groupindex if rule else ())
    by_folder = _by_folder(by_pattern, labels=not elsewhere)
    facts = {name: by_folder[name] | rows.get(name, {}) | by_pattern[name] for name in by_pattern}
    unlabelled = [name for name in facts if "label" not in facts[name]]
    if unlabelled:
        say = f"{source}: {len(unlabelled)} of {len(facts)} clips have no label, e.g. {unlabelled[0]}"
        if len(unlabelled) == len(facts):
            raise DataError(f"{say}; {THREE_WAYS}")
        log.warning(say)
        passed["no label"] += len(unlabelled)
    return {name: _with_usual_fold(known) for name, known in facts.items() if "label" in known}


def _by_pattern(
    names: Iterable[str], rule: re.Pattern[str] | None, passed: Counter[str], source: Path
) -> dict[str, Facts]:
    """What the pattern finds in each name; clips without the label that it should give are left out."""
    if rule is None:
        return {name: {} for name in names}
    found = {name: _matched(rule, name) for name in names}
    labels = "label" in rule.groupindex
    strangers = {name for name, facts in found.items() if not facts or (labels and "label" not in facts)}
    if strangers:
        say = f"data.pattern: {rule.pattern!r} does not match {len(strangers)} of {len(found)} clips"
        if len(strangers) == len(found):
            raise DataError(f"{say} of {source}, e.g. {min(strangers)}")
        log.warning("%s, e.g. %s", say, min(strangers))
    if labels:
        passed["no match for data.pattern"] += len(strangers)
        found = {name: facts for name, facts in found.items() if name not in strangers}
    return found


def _matched(rule: re.Pattern[str], name: str) -> Facts:
    match = rule.search(name.rpartition("/")[2]) or rule.search(name)
    return {field: value for field, value in match.groupdict().items() if value} if match else {}


def _by_folder(names: Iterable[str], labels: bool) -> dict[str, Facts]:
    """Parent folder as the label, and a split folder at the top as the fold, unless it must be the label."""
    below = {name: name.split("/") for name in names}
    depth = len(_wrapping(below))
    splits = all(len(parts) > depth + 1 and parts[depth].lower() in SPLITS for parts in below.values())
    if splits and labels:
        splits = any(len(parts) > depth + 2 for parts in below.values())
    facts: dict[str, Facts] = {}
    for name, parts in below.items():
        facts[name] = {"fold": parts[depth]} if splits else {}
        # what lies directly in a split folder, or at the root, has no folder of its class
        if labels and len(parts) > (depth + 2 if splits else 1) and parts[-2] != "..":
            facts[name]["label"] = parts[-2]
    return facts


def _wrapping(names: Iterable[str]) -> tuple[str, ...]:
    """Folders at the top that wrap all clips, down to a split folder; none for clips outside of the root."""
    levels = zip(*(name.split("/")[:-1] for name in names), strict=False)
    return tuple(level[0] for level in takewhile(_wraps, levels))


def _wraps(level: tuple[str, ...]) -> bool:
    return len(set(level)) == 1 and level[0].lower() not in SPLITS and level[0] != ".."


def _with_usual_fold(facts: Facts) -> Facts:
    fold = facts.get("fold")
    return facts | {"fold": SPLITS.get(fold.lower(), fold)} if fold else facts


# --- which of them ---------------------------------------------------------------------------------


def _of_classes(clips: list[Clip], include: Sequence[str], exclude: Sequence[str], passed: Counter[str]) -> list[Clip]:
    classes = sorted({clip.label for clip in clips})
    for option, labels in (("include", include), ("exclude", exclude)):
        for label in map(str, labels or ()):
            if label not in classes:
                hint = nearest(label, classes)
                raise ConfigError(f"data.{option}: no class {label!r}{hint}; there are {_listed(classes)}")
    kept = set(map(str, include or classes)) - set(map(str, exclude or ()))
    if not kept:
        raise ConfigError("data.exclude: leaves out every class; keep at least two")
    passed["of a class left out"] += sum(clip.label not in kept for clip in clips)
    passed += Counter()
    return [clip for clip in clips if clip.label in kept]


def _limited(clips: list[Clip], limit: int | None, passed: Counter[str]) -> list[Clip]:
    """At most `limit` clips of a class, evenly spread: the first are often of one speaker or one day."""
    if limit is None:
        return clips
    if limit < 1:
        raise ConfigError(f"data.limit: {limit} clips of a class are too few; give 1 or more, or null for all")
    classes: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        classes[clip.label].append(clip)
    kept = [clip for members in classes.values() for clip in _spread(members, limit)]
    passed["beyond data.limit"] += len(clips) - len(kept)
    passed += Counter()
    return sorted(kept, key=lambda clip: clip.name)


def _spread(clips: list[Clip], count: int) -> list[Clip]:
    """Pick from the middle of each of `count` equal stretches."""
    if len(clips) <= count:
        return clips
    return [clips[(2 * place + 1) * len(clips) // (2 * count)] for place in range(count)]


def _listed(words: Iterable[str], most: int = 30) -> str:
    words = list(words)
    return ", ".join(words[:most]) + (f" and {len(words) - most} more" if len(words) > most else "")
