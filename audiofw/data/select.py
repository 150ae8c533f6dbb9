"""Which clips are taken: none that ``data.skip`` lists, those of some classes, so many of each class."""

from __future__ import annotations

import logging
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import translate
from pathlib import Path
from typing import NamedTuple

from audiofw.data.labels import listing
from audiofw.errors import ConfigError, nearest

log = logging.getLogger(__name__)

_TRAILING_COMMENT = re.compile(r"\s+#.*")
_IS_GLOB = re.compile(r"[*?[]")


class Line(NamedTuple):
    """One line of a skip list."""

    number: int
    text: str


class SkipList(NamedTuple):
    """What ``data.skip`` names."""

    file: Path
    lines: list[Line]


# --- data.skip -------------------------------------------------------------------------------------


def read_skip_list(skip: str | os.PathLike[str]) -> SkipList:
    """Read the clips to leave out: one name or glob a line; lines that are blank or begin with ``#`` say nothing.

    Raises
    ------
    ConfigError
        For a file that is missing or cannot be read as UTF-8.
    """
    if not os.fspath(skip).strip():
        raise ConfigError("data.skip is empty; give a text file with one clip name a line, or null")
    file = Path(os.path.expanduser(skip)).absolute()  # noqa: PTH111  # "~nobody" is an odd name like any other
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError as error:
        raise ConfigError(f"data.skip: no such file: {skip}{nearest(file.name, _beside(file))}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"data.skip: {skip}: not UTF-8; save it again as plain text in UTF-8") from error
    except OSError as error:
        raise ConfigError(f"data.skip: {skip}: cannot be read ({error.strerror}); give a text file") from error
    told = [Line(number, line.strip()) for number, line in enumerate(lines, 1)]
    return SkipList(file, [line for line in told if line.text and not line.text.startswith("#")])


def _beside(file: Path) -> list[str]:
    return [entry.name for entry in file.parent.iterdir()] if file.parent.is_dir() else []


def leave_out(names: Iterable[str], skip: SkipList, passed: Counter[str]) -> list[str]:
    """The names that a skip list does not match, in their order; what it names in vain is warned of.

    Raises
    ------
    ConfigError
        If it leaves out everything.
    """
    names = dict.fromkeys(names)
    found = {line: _matching(line.text, names) for line in skip.lines}
    if vain := [line for line, matches in found.items() if not matches]:
        _warn(skip, vain, names)
    skipped = {name for matches in found.values() for name in matches}
    if names and len(skipped) == len(names):
        raise ConfigError(f"data.skip: {skip.file} leaves out every clip; take some lines out of it")
    passed["listed in data.skip"] += len(skipped)
    passed += Counter()
    return [name for name in names if name not in skipped]


def _matching(text: str, names: Mapping[str, None]) -> list[str]:
    """Names that a line means: the one it spells, or those of its glob, whose ``*`` stands for folders, too."""
    # a name may hold any of *?[#, so the plain reading comes first
    for said in dict.fromkeys((text, _TRAILING_COMMENT.sub("", text))):
        if said in names:
            return [said]
        if _IS_GLOB.search(said) and (matches := list(filter(re.compile(translate(said)).match, names))):
            return matches
    return []


def _warn(skip: SkipList, vain: Sequence[Line], names: Iterable[str]) -> None:
    number, text = vain[0]
    log.warning(
        "data.skip: %s: %d of its %d lines match no clip, e.g. line %d, %r%s",
        skip.file, len(vain), len(skip.lines), number, text, nearest(text, _likely(text, list(names))),
    )  # fmt: skip


def _likely(text: str, names: Sequence[str]) -> Sequence[str]:
    """Some names that a line may mean: to compare it with 100 000 takes 20 s."""
    folder, _, file = text.rpartition("/")
    same_file = [name for name in names if name.rpartition("/")[2] == file]
    same_folder = [name for name in names if name.rpartition("/")[0] == folder]
    return (same_file or same_folder or names)[:1000]


# --- classes ---------------------------------------------------------------------------------------


def of_classes(
    labels: Mapping[str, str], include: Sequence[str], exclude: Sequence[str], passed: Counter[str]
) -> dict[str, str]:
    """The clips of the chosen classes, from name to label.

    Raises
    ------
    ConfigError
        For a class that there is not, or when none is left.
    """
    classes = sorted(set(labels.values()))
    for option, chosen in (("include", include), ("exclude", exclude)):
        for label in map(str, chosen or ()):
            if label not in classes:
                hint = nearest(label, classes)
                raise ConfigError(f"data.{option}: no class {label!r}{hint}; there are {listing(classes)}")
    kept = set(map(str, include or classes)) - set(map(str, exclude or ()))
    if not kept:
        raise ConfigError("data.exclude: leaves out every class; keep at least two")
    passed["of a class left out"] += sum(label not in kept for label in labels.values())
    passed += Counter()
    return {name: label for name, label in labels.items() if label in kept}


def limit_each(labels: Mapping[str, str], limit: int | None, passed: Counter[str]) -> list[str]:
    """Names of at most `limit` clips of a class, evenly spread: the first are often of one speaker or one day.

    Raises
    ------
    ConfigError
        For a limit below 1.
    """
    if limit is None:
        return list(labels)
    if limit < 1:
        raise ConfigError(f"data.limit: {limit} clips of a class are too few; give 1 or more, or null for all")
    classes: dict[str, list[str]] = defaultdict(list)
    for name in sorted(labels):
        classes[labels[name]].append(name)
    kept = {name for members in classes.values() for name in _spread(members, limit)}
    passed["beyond data.limit"] += len(labels) - len(kept)
    passed += Counter()
    return [name for name in labels if name in kept]


def _spread(names: Sequence[str], count: int) -> Sequence[str]:
    """Pick from the middle of each of `count` equal stretches."""
    if len(names) <= count:
        return names
    return [names[(2 * place + 1) * len(names) // (2 * count)] for place in range(count)]
