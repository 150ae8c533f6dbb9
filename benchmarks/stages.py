"""audiofw compared with itself: extraction with and without the cache, and with few and many clips.

python benchmarks/stages.py cache|growth FOLDER SCRATCH
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data import sounds

from audiofw.cache.store import Cache
from audiofw.data.dataset import Clip
from audiofw.experiment.hydra_app import compose
from audiofw.extraction.extract import tabulate
from audiofw.extraction.recording import Unit
from audiofw.extraction.table import units_of

ROUNDS, FEW, LONG_AGO = 3, 100, 3600


def main(which: str, folder: str, scratch: str) -> None:
    clips = [Clip(path, path.name, path.parent.name) for path in sounds(Path(folder))]
    measure = {"cache": from_cache, "growth": growth}[which]
    sys.stdout.write(json.dumps(measure(clips, default_unit(), Path(scratch))) + "\n")


def default_unit() -> Unit:
    """Build the extraction of one recording as in the default config."""
    return units_of(*compose([]))[0]


def from_cache(clips: Sequence[Clip], unit: Unit, scratch: Path) -> dict[str, Any]:
    """Time extraction with an empty cache, then with a full, newly opened one: clips per second for each round."""
    for clip in clips:  # recently written files would be hashed again
        past = time.time() - LONG_AGO
        os.utime(clip.path, (past, past))
    time.sleep(2.5)
    rates: dict[str, list[float]] = {"cold": [], "warm": []}
    for number in range(ROUNDS):
        for name in rates:
            started = time.perf_counter()
            with Cache(scratch / str(number)) as cache:
                tabulate(clips, unit, recipe_cache=cache.recipe_cache(unit.recipe()), progress="")
            rates[name].append(len(clips) / (time.perf_counter() - started))
        shutil.rmtree(scratch / str(number))
    return rates


def growth(clips: Sequence[Clip], unit: Unit, scratch: Path) -> dict[str, Any]:
    """Time a few clips, three times in a row, then all: ms per clip for each round."""
    few = clips[:: max(1, len(clips) // FEW)][:FEW]
    times: dict[str, list[float]] = {"few": [], "all": []}
    tabulate(few, unit, progress="")
    for _ in range(ROUNDS):
        for name, some, again in (("few", few, 3), ("all", clips, 1)):
            started = time.perf_counter()
            for _ in range(again):
                tabulate(some, unit, progress="")
            times[name].append(1000 * (time.perf_counter() - started) / again / len(some))
    return {"n_few": len(few), "n_all": len(clips), **times}


if __name__ == "__main__":
    main(*sys.argv[1:])
