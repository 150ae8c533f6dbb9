"""Say before any work how much memory a run on many clips needs, and which models need less."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

from audiofw.cache.folder import GB
from audiofw.config.options import Config
from audiofw.contract.registry import load_menus
from audiofw.errors import AudiofwError
from audiofw.evaluation.large import takes_passes
from audiofw.extraction.recording import Unit

log = logging.getLogger(__name__)

LEAST_CLIPS = 1000  # trying a feature out takes time, and fewer clips make no large table
COPIES = 2  # of the training rows, at least: of the table's float32, and the model's own


def warn_of_memory(config: Config, make_model: Callable[[], Any], unit: Unit, n_clips: int) -> None:
    """Warn in one line if the table is large and will be read into memory all the same."""
    if n_clips < LEAST_CLIPS or config.max_table_gb is None or not (width := unit.try_out()):
        return
    size = 4 * n_clips * width
    if size <= config.max_table_gb * GB:
        return
    needed = f"{COPIES * size / GB:.1f} GB of memory for {n_clips} clips of {width} columns"
    if unit.pooling.learns:
        log.warning("pooling=%s is fitted on clips in memory: at least %s", unit.pooling.name, needed)
    elif config.normalize == "group" or config.task == "multilabel":
        option = "normalize=group" if config.normalize == "group" else "task=multilabel"
        log.warning("%s reads all training clips into memory: at least %s", option, needed)
    elif not takes_passes(make_model(), width):
        others = ", ".join(models_in_passes(config.seed, width)) or "none"
        said = "this model reads all training clips into memory: at least %s; models that read a part at a time: %s"
        log.warning(said, needed, others)


def models_in_passes(seed: int, width: int) -> Iterator[str]:
    """List the models that, with their default options, are fitted in passes."""
    menus = load_menus()
    for name in menus.plugins["model"]:
        try:
            if takes_passes(menus.choose_member("model", name, {})(seed, 1), width):
                yield name
        except (AudiofwError, ImportError):  # a library is not installed
            continue
