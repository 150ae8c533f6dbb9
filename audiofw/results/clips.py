"""The clips of a run in ``clips.csv``, with a digest of each recording, which shows what has changed since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from audiofw.bundle.save import content_digest
from audiofw.config.options import Config
from audiofw.data.dataset import Clip
from audiofw.results.files import write_rows
from audiofw.results.folder import CLIPS
from audiofw.system.spreadsheet import read_records

MOST_NAMED = 3


class ListedClip(NamedTuple):
    """A clip as ``clips.csv`` lists it; all values are text."""

    name: str
    label: str
    group: str
    fold: str
    start: str
    end: str
    digest: str  #: of the recording's content; empty if it could not be read


def list_clips(clips: Sequence[Clip], config: Config) -> list[ListedClip]:
    """Describe clips; recordings that have not changed since their features were cached are not read again."""
    digests = _digests({clip.path for clip in clips}, config)
    return [
        ListedClip(
            clip.name,
            clip.label,
            clip.group or "",
            clip.fold or "",
            "" if clip.start is None else repr(clip.start),
            "" if clip.end is None else repr(clip.end),
            digests[clip.path],
        )
        for clip in clips
    ]


def _digests(paths: Iterable[Path], config: Config) -> dict[Path, str]:
    digest = content_digest(config)
    found = dict.fromkeys(paths, "")
    for path in found:
        with suppress(OSError):
            found[path] = digest(path).hex()
    return found


def save_clips(folder: Path, clips: Sequence[Clip], config: Config) -> None:
    """Write ``clips.csv``."""
    write_rows(folder / CLIPS, [ListedClip._fields, *list_clips(clips, config)])


def read_clips(folder: Path) -> list[ListedClip] | None:
    """Read ``clips.csv``; None if a run has none, or it is damaged."""
    try:
        with (folder / CLIPS).open(encoding="utf-8", newline="") as file:
            return [ListedClip(*(row[name] for name in ListedClip._fields)) for row in read_records(file)]
    except (OSError, ValueError, KeyError, TypeError):
        return None


class DataChange(NamedTuple):
    """What differs between the clips of two runs, by name."""

    missing: list[str]  #: only the first has
    added: list[str]  #: only the second has
    changed: list[str]  #: with other content, or another stretch of it
    relabelled: list[str]  #: with another label
    regrouped: list[str]  #: with another group or fold

    def __bool__(self) -> bool:
        return any(self)

    def lines(self) -> list[str]:
        """Say in one line each what differs."""
        words = ("missing", "added", "changed", "with another label", "with another group or fold")
        return [
            f"{len(names)} clip{'s' * (len(names) != 1)} {word} ({_some(names)})"
            for word, names in zip(words, self, strict=True)
            if names
        ]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:MOST_NAMED]) + (", …" if len(names) > MOST_NAMED else "")


def compare_clips(before: Sequence[ListedClip], now: Sequence[ListedClip]) -> DataChange:
    """Find what differs between two lists of clips."""
    first: Mapping[str, ListedClip] = {one.name: one for one in before}
    second: Mapping[str, ListedClip] = {one.name: one for one in now}
    both = [(first[name], second[name]) for name in first if name in second]
    return DataChange(
        missing=[name for name in first if name not in second],
        added=[name for name in second if name not in first],
        changed=[a.name for a, b in both if a[4:] != b[4:]],
        relabelled=[a.name for a, b in both if a.label != b.label],
        regrouped=[a.name for a, b in both if a[2:4] != b[2:4]],
    )
