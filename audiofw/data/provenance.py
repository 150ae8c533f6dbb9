"""Which clips were cut from one recording, as far as the names of the files tell it evidently."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

SEPARATORS = "-_. "
MAX_TAIL = 4  # letters of what tells takes of one source apart: A, 03, take
MAX_TAILS = 3
MEAN_SOURCE = 20  # clips; more than that is a speaker, a day or a class


class Evident(NamedTuple):
    """Sources told by names."""

    sources: list[str]  #: of each clip
    pattern: str  #: for ``data.pattern``: finds the source in the name of a file


def evident_groups(names: Sequence[str]) -> list[str] | None:
    """The source of each clip, when the names of the files tell it evidently, as in ``2-122104-A``, ``2-122104-B``.

    A source is what stands before the last short tails of a name, if it has a number of 4 digits or more, if some
    clips share it, and if there are at most 20 clips to a source: so a speaker or a class is none.

    Parameters
    ----------
    names : Sequence[str] [shape=(clips,)]
        Names or paths of the files.

    Returns
    -------
    list[str] [shape=(clips,)] or None
        A clip without such a name is a source by itself.
    """
    evident = evident_sources(names)
    return evident.sources if evident else None


def evident_sources(names: Sequence[str]) -> Evident | None:
    """As `evident_groups`, with the pattern that gives the sources."""
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
