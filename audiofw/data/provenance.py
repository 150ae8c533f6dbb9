"""Guess from file names which clips were cut from the same recording."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

SEPARATORS = "-_. "
MAX_TAIL = 4  # maximum length of a suffix that distinguishes clips of one source: A, 03, take
MAX_TAILS = 3
MEAN_SOURCE = 20  # clips per source on average; a larger group is rather a speaker, a day or a class


class Evident(NamedTuple):
    """Sources that are evident from file names."""

    sources: list[str]  #: source of each clip
    pattern: str  #: for ``data.pattern``, to extract the source from a file name


def evident_groups(names: Sequence[str]) -> list[str] | None:
    """Return the source of each clip if it is evident from the file names, as in ``2-122104-A``, ``2-122104-B``.

    A source is the part of a name before one to three short suffixes, if it contains a number of at least 4 digits, if
    several clips share it, and if there are at most 20 clips per source on average. The last condition excludes
    speakers and classes.

    Parameters
    ----------
    names : Sequence[str] [shape=(clips,)]
        Names or paths of the files.

    Returns
    -------
    list[str] [shape=(clips,)] or None
        A clip whose name does not match is its own source.
    """
    evident = evident_sources(names)
    return evident.sources if evident else None


def evident_sources(names: Sequence[str]) -> Evident | None:
    """Like `evident_groups`, with the pattern that extracts the sources."""
    stems = [PurePosixPath(name).stem for name in names]
    for tails in range(1, MAX_TAILS + 1):
        tail = rf"(?:[{SEPARATORS}][^{SEPARATORS}]{{1,{MAX_TAIL}}}){{{tails}}}"
        rule = re.compile(rf"(.*\d{{4}}.*?){tail}")
        found = [rule.fullmatch(stem) for stem in stems]
        sources = [one[1] if one else stem for one, stem in zip(found, stems, strict=True)]
        counts = Counter(one[1] for one in found if one)
        if _is_evident(counts):
            return Evident(sources, rf"^(?P<group>.*\d{{4}}.*?){tail}\.[^.]+$")
    return None


def _is_evident(counts: Counter[str]) -> bool:
    shared = [count for count in counts.values() if count > 1]
    return len(counts) > 1 and len(shared) > 1 and counts.total() <= MEAN_SOURCE * len(counts)
