"""Find, label-encode and split the clips of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from audiofw.config.options import Config
from audiofw.contract.blame import named
from audiofw.contract.plugin import Choice
from audiofw.data.dataset import Clip, Dataset, find_clips
from audiofw.data.labels import encode_several
from audiofw.data.splits import Fold, make_splits
from audiofw.data.stretches import StretchOptions
from audiofw.errors import DataError


def find_dataset(config: Config) -> Dataset:
    """Find the labelled clips of the config's data source."""
    options = asdict(config.data)
    del options["on_plugin_error"], options["test"]  # used later
    in_time = {key: options.pop(key) for key in ("unit", "widen", "annotated", "background", "unlabelled")}
    windows = config.windows
    cut = StretchOptions(
        **in_time,
        duration=config.audio.duration,
        hop=windows.hop,
        min_overlap=windows.min_overlap,
        background_ratio=windows.background_ratio,
    )
    return find_clips(**options, cut=cut, task=config.task)


def encode(clips: Sequence[Clip], task: str = "single") -> tuple[list[str], np.ndarray]:
    """Encode the labels.

    Returns
    -------
    classes : list of str
        Sorted.
    y : np.ndarray [shape=(clips,)]
        Class indices; with ``task="multilabel"``, an indicator matrix of 0 and 1, ``(clips, classes)``, int8.
    """
    if task == "multilabel":
        return encode_several([clip.label for clip in clips])
    classes, y = np.unique([clip.label for clip in clips], return_inverse=True)
    return classes.tolist(), y


def split(
    clips: Sequence[Clip], choice: Choice, seed: int, task: str = "single"
) -> tuple[list[Fold], list[str], np.ndarray]:
    """Split clips with the chosen plugin; returns the folds, and the classes and ``y`` as `encode` does."""
    classes, y = encode(clips, task)
    groups, folds = known(clips, "group"), known(clips, "fold")
    for asked, values in (("groups", groups), ("folds", folds)):
        if asked in choice.plugin.asks and (values is None or (asked == "folds" and None in values)):
            raise DataError(_lacking(choice.name, asked, clips))
    splitter = choice(seed, groups, folds)
    drawn = any(clip.is_stretch for clip in clips) and "folds" not in choice.plugin.asks  # folds given are kept
    with named({"split": choice.name}):
        made = make_splits(
            splitter,
            y,
            groups=groups,
            classes=classes,
            names=[clip.name for clip in clips],
            recordings=[clip.recording for clip in clips] if drawn else None,
        )
    return made, classes, y


def known(clips: Sequence[Clip], field: str) -> list[str | None] | None:
    """Values of a field (``group`` or ``fold``) of each clip; None if no clip has one."""
    values = [getattr(clip, field) for clip in clips]
    return values if any(value is not None for value in values) else None


def _lacking(split: str, asked: str, clips: Sequence[Clip]) -> str:
    word = asked.removesuffix("s")
    without = [clip.name for clip in clips if getattr(clip, word) is None]
    return (
        f"split={split} needs the {word} of every clip, but {len(without)} of {len(clips)} have none, e.g. "
        f"{without[0]}; set data.pattern with (?P<{word}>…), or data.columns.{word}"
    )
