"""A run's clips, by its config: found, numbered by their classes, and split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from audiofw.config.options import Config
from audiofw.contract.blame import named
from audiofw.contract.plugin import Choice
from audiofw.data.dataset import Clip, Dataset, find_clips
from audiofw.data.splits import Fold, make_splits
from audiofw.errors import DataError


def find(config: Config) -> Dataset:
    """Find the labelled clips that the config names."""
    options = asdict(config.data)
    del options["on_error"], options["on_plugin_error"]  # what bad clips do is settled where they are read
    return find_clips(**options)


def encode(clips: Sequence[Clip]) -> tuple[list[str], np.ndarray]:
    """Number the labels in sorted order: the classes, and ``y`` of shape ``(clips,)``."""
    classes, y = np.unique([clip.label for clip in clips], return_inverse=True)
    return classes.tolist(), y


def split(clips: Sequence[Clip], choice: Choice, seed: int) -> tuple[list[Fold], list[str], np.ndarray]:
    """Split clips by the chosen plugin: the folds, the classes, and the clips' classes as numbers."""
    classes, y = encode(clips)
    groups, folds = known(clips, "group"), known(clips, "fold")
    for asked, values in (("groups", groups), ("folds", folds)):
        if asked in choice.plugin.asks and (values is None or (asked == "folds" and None in values)):
            raise DataError(_lacking(choice.name, asked, clips))
    splitter = choice(seed, groups, folds)
    with named({"split": choice.name}):
        made = make_splits(splitter, y, groups=groups, classes=classes, names=[clip.name for clip in clips])
    return made, classes, y


def known(clips: Sequence[Clip], field: str) -> list[str | None] | None:
    """Gather what is known of each clip; None when nothing is known of any."""
    values = [getattr(clip, field) for clip in clips]
    return values if any(value is not None for value in values) else None


def _lacking(split: str, asked: str, clips: Sequence[Clip]) -> str:
    word = asked.removesuffix("s")
    without = [clip.name for clip in clips if getattr(clip, word) is None]
    return (
        f"split={split} needs the {word} of every clip, and {len(without)} of {len(clips)} have none, as {without[0]}: "
        f"name it in data.pattern, (?P<{word}>…), or in a manifest's column, data.columns.{word}"
    )
