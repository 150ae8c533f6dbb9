"""Group recordings by where and when recorders made them: ``data.recorder``."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from audiofw.data.headers import read_recorder
from audiofw.data.recorder import Recorded

log = logging.getLogger(__name__)

LEAST = 3  # groups: with fewer, nothing could be chosen inside training clips, and intervals mean little


def read_recorders(paths: Mapping[str, Path]) -> dict[str, Recorded]:
    """Read when and where recordings were made; if the first does not say so, no other is looked at.

    Parameters
    ----------
    paths : mapping of str to Path
        By name.
    """
    known: dict[str, Recorded] = {}
    for name, path in paths.items():
        known[name] = read_recorder(path, name)
        if known[name].time is None and len(known) == 1:
            return {}
    return known


def by_site_and_day(known: Mapping[str, Recorded], *, folders: bool) -> dict[str, str]:
    """Name the group of each recording, ``POND 2025-06-12``, and say that there are such groups.

    Parameters
    ----------
    known : mapping of str to Recorded
        By name.
    folders : bool
        Whether the folder is the site of a recording that names neither site nor serial number.

    Returns
    -------
    dict of str to str
        Empty, and the reason is said, if a recording has no date, or there are fewer than `LEAST` groups.
    """
    undated = [name for name, recorded in known.items() if recorded.time is None]
    groups = {name: f"{_place(name, one, folders)} {one.day}".strip() for name, one in known.items()}
    if (n := len(set(groups.values()))) < LEAST or undated:
        few = f"only {n} of them, e.g. {min(groups.values())}"
        lacking = f"{len(undated)} of {len(known)} recordings have no date in name or header, e.g. "
        log.info("data.recorder: no groups of site and day: %s", f"{lacking}{undated[0]}" if undated else few)
        return {}
    log.warning(  # so that it is seen from Python, too
        "data.recorder: %d recordings have dates in name or header, so they are grouped by site and day: %d groups, "
        "e.g. %r (data.recorder=none: no such groups)", len(known), n, min(groups.values()),
    )  # fmt: skip
    return groups


def _place(name: str, recorded: Recorded, folders: bool) -> str:
    return recorded.site or recorded.serial or (PurePosixPath(name).parent.name if folders else "")
