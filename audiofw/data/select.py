"""Select clips: skip those listed in ``data.skip``, filter by class, limit the number per class."""

from __future__ import annotations

import logging
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import translate
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, TypeVar

from audiofw.data.labels import composed, join_labels, listing
from audiofw.errors import ConfigError, nearest
from audiofw.system.paths import located

log = logging.getLogger(__name__)

T = TypeVar("T")

_TRAILING_COMMENT = re.compile(r"\s+#.*")
_IS_GLOB = re.compile(r"[*?[]")


class Line(NamedTuple):
    """One line of a skip list."""

    number: int
    text: str


class SkipList(NamedTuple):
    """The contents of the file that ``data.skip`` names."""

    file: Path
    lines: list[Line]


# --- data.skip -------------------------------------------------------------------------------------


def read_skip_list(skip: str | os.PathLike[str]) -> SkipList:
    """Read a skip list: one name or glob per line; blank lines and lines starting with ``#`` are ignored.

    Raises
    ------
    ConfigError
        If the file is missing or is not UTF-8 text.
    """
    if not os.fspath(skip).strip():
        raise ConfigError("data.skip is empty; set it to a text file with one clip name per line, or to null")
    file = located(skip).absolute()
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError as error:
        raise ConfigError(f"data.skip: no such file: {skip}{nearest(file.name, _beside(file))}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"data.skip: {skip}: not UTF-8; save it as plain text in UTF-8") from error
    except OSError as error:
        raise ConfigError(f"data.skip: {skip}: cannot be read ({error.strerror}); use a text file") from error
    told = [Line(number, line.strip()) for number, line in enumerate(lines, 1)]
    return SkipList(file, [line for line in told if line.text and not line.text.startswith("#")])


def _beside(file: Path) -> list[str]:
    return [entry.name for entry in file.parent.iterdir()] if file.parent.is_dir() else []


def leave_out(
    names: Iterable[str], skip: SkipList, passed: Counter[str], recordings: Mapping[str, str] | None = None
) -> list[str]:
    """Return the names that a skip list does not match, in order; warns about lines that match nothing.

    Parameters
    ----------
    names : iterable of str
        Of clips.
    skip : SkipList
    passed : Counter
        Updated.
    recordings : mapping of str to str, optional
        The recording of each clip, if it is a stretch; a line that matches it matches all its clips.

    Raises
    ------
    ConfigError
        If no clip is left.
    """
    names = dict.fromkeys(names)
    clips: dict[str, list[str]] = {name: [name] for name in names}
    for name, recording in (recordings or {}).items():
        clips.setdefault(recording, []).append(name)
    found = {line: [clip for name in _matching(line.text, clips) for clip in clips[name]] for line in skip.lines}
    if vain := [line for line, matches in found.items() if not matches]:
        _warn(skip, vain, names)
    skipped = {name for matches in found.values() for name in matches}
    if names and len(skipped) == len(names):
        raise ConfigError(f"data.skip: {skip.file} excludes every clip; remove some of its lines")
    passed["listed in data.skip"] += len(skipped)
    passed += Counter()
    return [name for name in names if name not in skipped]


def _matching(text: str, names: Mapping[str, Any]) -> list[str]:
    """Names that a line matches: literally, or as a glob in which ``*`` also matches ``/``."""
    # a name may contain *, ?, [ or #, so try it literally first
    for said in dict.fromkeys((text, _TRAILING_COMMENT.sub("", text))):
        if said in names:
            return [said]
        if not said.isascii() and (same := [name for name in names if composed(name) == composed(said)]):
            return same
        if _IS_GLOB.search(said):
            rule = re.compile(translate(composed(said)))
            if matches := [name for name in names if rule.match(composed(name))]:
                return matches
    return []


def _warn(skip: SkipList, vain: Sequence[Line], names: Iterable[str]) -> None:
    number, text = vain[0]
    log.warning(
        "data.skip: %s: %d of its %d lines match no clip, e.g. line %d, %r%s",
        skip.file, len(vain), len(skip.lines), number, text, nearest(text, _likely(text, list(names))),
    )  # fmt: skip


def _likely(text: str, names: Sequence[str]) -> Sequence[str]:
    """Candidate names for a suggestion: comparing with all of 100 000 takes 20 s."""
    folder, _, file = text.rpartition("/")
    same_file = [name for name in names if name.rpartition("/")[2] == file]
    same_folder = [name for name in names if name.rpartition("/")[0] == folder]
    return (same_file or same_folder or names)[:1000]


# --- classes ---------------------------------------------------------------------------------------


Read = Callable[[str], list[str]]  # the labels in a clip's text; without it, the text is the one label


def of_classes(
    labels: Mapping[str, str],
    include: Sequence[str],
    exclude: Sequence[str],
    passed: Counter[str],
    read: Read | None = None,
) -> dict[str, str]:
    """Keep the clips of the chosen classes; returns name -> label.

    With several labels per clip, the others are removed. A clip that had no label is kept; one that loses them all is
    not.

    Raises
    ------
    ConfigError
        For an unknown class, or if no class is left.
    """
    classes = sorted(_count_classes(labels, read))
    for option, chosen in (("include", include), ("exclude", exclude)):
        for label in _as_labels(chosen):
            if label not in classes:
                hint = nearest(label, classes)
                raise ConfigError(f"data.{option}: no class {label!r}{hint}; classes: {listing(classes)}")
    kept = set(_as_labels(include) or classes) - set(_as_labels(exclude))
    if classes and not kept:
        raise ConfigError("data.exclude excludes every class; keep at least two")
    left = labels if read is None else {name: join_labels(kept & {*read(text)}) for name, text in labels.items()}
    stay = {name: label for name, label in left.items() if label in kept or (read and (label or not labels[name]))}
    passed["in an excluded class"] += len(labels) - len(stay)
    passed += Counter()
    return stay


def _count_classes(labels: Mapping[str, str], read: Read | None) -> Counter[str]:
    return Counter(label for text in labels.values() for label in (read(text) if read else [text]))


def _as_labels(chosen: Sequence[str]) -> list[str]:
    return [composed(str(label)) for label in chosen or ()]


def limit_each(
    labels: Mapping[str, str], limit: int | None, passed: Counter[str], read: Read | None = None
) -> list[str]:
    """Keep at most `limit` clips per class, evenly spaced, since the first ones are often of one speaker or one day.

    With several labels per clip, those with a rare class are taken first, and none that would exceed the limit of a
    class.

    Raises
    ------
    ConfigError
        If the limit is below 1.
    """
    if limit is None:
        return list(labels)
    if limit < 1:
        raise ConfigError(f"data.limit={limit}: must be 1 or more clips per class, or null for all")
    kept = _limit_single(labels, limit) if read is None else _limit_several(labels, limit, read)
    passed["beyond data.limit"] += len(labels) - len(kept)
    passed += Counter()
    return [name for name in labels if name in kept]


def _limit_single(labels: Mapping[str, str], limit: int) -> set[str]:
    classes: dict[str, list[str]] = defaultdict(list)
    for name in sorted(labels):
        classes[labels[name]].append(name)
    return {name for members in classes.values() for name in spread_evenly(members, limit)}


def _limit_several(labels: Mapping[str, str], limit: int, read: Read) -> set[str]:
    counts, taken, kept = _count_classes(labels, read), Counter[str](), set()
    spread = Random(0).sample(sorted(labels), len(labels))  # neighbours are often alike
    for name in sorted(spread, key=lambda name: min((counts[label] for label in read(labels[name])), default=0)):
        own = read(labels[name]) or [""]  # of none of the classes: limited like a class
        if all(taken[label] < limit for label in own):
            taken.update(own)
            kept.add(name)
    return kept


def spread_evenly(items: Sequence[T], most: int) -> Sequence[T]:
    """Pick the middle of each of `most` equal intervals: neighbours are often alike."""
    if len(items) <= most:
        return items
    return [items[(2 * place + 1) * len(items) // (2 * most)] for place in range(most)]
