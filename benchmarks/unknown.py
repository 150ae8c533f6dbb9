"""Sounds of no class: how well models tell them from the sounds that they know, in two tasks.

    python benchmarks/unknown.py --esc10 ESC10.ZIP --digits FSDD.ZIP [--networks FOLDER]

*Far*: a model of ESC-10 hears spoken digits, noise, hum and silence; a model of the digits, ESC-10 and the same.
*Near*: a model is trained without one class of ESC-10, and hears its clips; each class is left out in turn. All sounds
are heard by models that were not trained on them. AUROC: the area under the ROC curve between known and foreign sounds;
accepted: the share of the foreign sounds that pass as known where 95 % of the known ones do.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.metrics import roc_auc_score

from audiofw.config.options import Config
from audiofw.data.dataset import Clip
from audiofw.data.splits import Fold
from audiofw.evaluation.cross_validate import Evaluation
from audiofw.evaluation.fit import predict
from audiofw.evaluation.foreign import known_clips, write_sounds
from audiofw.evaluation.unknown import make_reference, measure_distances, surprise
from audiofw.experiment.hydra_app import compose
from audiofw.experiment.run import evaluate_rows, make_model
from audiofw.extraction.clips import find_dataset, split
from audiofw.extraction.extract import Table, join
from audiofw.extraction.table import extract, settled, units_of, width_of

SETS = {
    "esc10": [r"data.pattern='(?P<label>[^/]+)/(?P<fold>\d)-[^/]+\.ogg$'", "split=predefined"],
    "digits": [r"data.pattern='(?P<label>\d)_(?P<group>\w+)_\d+\.wav$'", "split=leave_one_group_out", "data.limit=60"],
}
ROWS = {
    "defaults": [],
    "+experiment=best": ["+experiment=best"],
    "lightgbm": ["model=lightgbm"],
    "yamnet, stats": ["feature=yamnet", "pooling=stats", "audio.duration=10"],
}
NOISES = 10  # of each kind, at each level
KEPT = 0.95  # share of the known sounds
OTHERS = 200  # clips of the other data set


class Told(NamedTuple):
    """How well foreign sounds are told from known ones."""

    auroc: float
    accepted: float


class Trained(NamedTuple):
    """One data set, and how to extract features of it and to fit models."""

    config: Config
    clips: list[Clip]
    folds: list[Fold]
    classes: list[str]
    y: np.ndarray
    table: Table
    hear: Callable[[Sequence[Clip]], Table]
    fit: Callable[[Sequence[Fold]], Evaluation]
    sr: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in SETS:
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=ROWS, metavar="ROW", help="; ".join(ROWS))
    parser.add_argument("--networks", type=Path, help="folder with the files of pretrained networks")
    args = parser.parse_args()
    if args.networks:
        os.environ["AUDIOFW_NETWORKS"] = str(args.networks)
    for name in args.only or [row for row in ROWS if args.networks or "yamnet" not in row]:
        sets = {data: train(getattr(args, data), [*SETS[data], *ROWS[name]]) for data in SETS}
        sys.stdout.write(table_of(name, sets["esc10"], sets["digits"]))
        sys.stdout.flush()


def train(archive: Path, words: Sequence[str]) -> Trained:
    """Extract the features of a data set."""
    config, choices = compose([f"data.source={archive}", "audio.silence=keep", *words])
    dataset = find_dataset(config)
    unit = units_of(config, choices)[0]
    table = extract(dataset.clips, unit, config)
    clips = [dataset.clips[i] for i in table.kept]
    folds, classes, y = split(clips, choices["split"], config.seed, config.task)
    make = partial(make_model, config, choices, widths=table.widths)
    rows = join(table, [])
    hear = partial(extract, unit=settled(unit, table), config=config, width=width_of(table))

    def fit(folds: Sequence[Fold]) -> Evaluation:
        return evaluate_rows(make, folds, rows, y, clips, classes, config)

    return Trained(config, clips, folds, classes, y, table, hear, fit, getattr(unit, "sample_rate", None) or 44_100)


def table_of(name: str, esc10: Trained, digits: Trained) -> str:
    """Write the results of one configuration as two tables."""
    lines = [f"\n{name}\n", "| far | AUROC | accepted |", "| --- | --- | --- |"]
    for own, known, other, heard in (("ESC-10", esc10, "digits", digits), ("digits", digits, "ESC-10", esc10)):
        for sound, told in far(known, heard, other):
            lines.append(f"| {own} against {sound} | {told.auroc:.3f} | {told.accepted:.1%} |")
    told = {known: near(esc10, number) for number, known in enumerate(esc10.classes)}
    lines += ["", "| near: class of ESC-10 left out | AUROC | accepted |", "| --- | --- | --- |"]
    lines += [f"| {known} | {one.auroc:.3f} | {one.accepted:.1%} |" for known, one in told.items()]
    aurocs = [one.auroc for one in told.values()]
    mean = np.mean([one.accepted for one in told.values()])
    return "\n".join([*lines, f"| mean (worst) | {np.mean(aurocs):.3f} ({min(aurocs):.3f}) | {mean:.1%} |", ""])


def far(known: Trained, other: Trained, name: str) -> Iterator[tuple[str, Told]]:
    """Let the model of the last fold hear other sounds."""
    evaluation = known.fit(known.folds)
    every = max(1, len(other.clips) // OTHERS)
    yield name, hear(evaluation, known, other.clips[::every])
    with tempfile.TemporaryDirectory() as scratch:
        sounds: dict[str, list[Clip]] = {}
        for seed in range(NOISES):
            folder = Path(scratch) / str(seed)
            folder.mkdir()
            for clip in write_sounds(folder, known.sr, known.config.audio.duration or 5.0, seed):
                sounds.setdefault(clip.label, []).append(clip)
        for kind, clips in sounds.items():
            yield kind, hear(evaluation, known, clips)


def hear(evaluation: Evaluation, known: Trained, clips: Sequence[Clip]) -> Told:
    model, table = evaluation.models[-1], known.hear(clips)
    _, proba = predict(model, table.X, table.clip_of, len(known.classes))
    distances = measure_distances(evaluation.novelty, model, table.X, table.clip_of)
    return told_apart(*known_clips(evaluation), distances, proba)


def near(known: Trained, left_out: int) -> Told:
    """Train without a class, and tell its clips from those of the others."""
    folds = [Fold(fold.train[known.y[fold.train] != left_out], fold.test) for fold in known.folds]
    distances, proba = known_clips(known.fit(folds))
    foreign = known.y == left_out
    rest = None if proba is None else proba[~foreign]
    return told_apart(distances[~foreign], rest, distances[foreign], None if proba is None else proba[foreign])


def told_apart(distances: np.ndarray, proba: np.ndarray | None, foreign: np.ndarray, their: np.ndarray | None) -> Told:
    """Compare known with foreign sounds, given their distances and probabilities."""
    reference = make_reference(distances, proba)
    own = surprise(reference, distances, None if proba is None else proba.max(axis=1))
    other = surprise(reference, foreign, None if their is None else their.max(axis=1))
    truth = np.repeat([0, 1], [len(own), len(other)])
    return Told(roc_auc_score(truth, np.concatenate([own, other])), float((other <= np.quantile(own, KEPT)).mean()))


if __name__ == "__main__":
    main()
