"""Several labels per clip: clips of ESC-10 mixed two by two, audiofw's models beside scikit-learn's one-vs-rest.

    python benchmarks/mixtures.py ESC10.ZIP FOLDER [--models lda logistic_regression svm lightgbm vote]

Every clip is mixed twice, each time with one of another class and of the same fold, so that no source is on both sides
of a split. ``FOLDER`` gets the mixtures and ``table.csv`` (path, label, fold). All models are given the same rows of
features, and are scored out of fold on ESC-10's own five folds.
"""

from __future__ import annotations

import argparse
import csv
import io
import re
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

NAMED = re.compile(r"(?:\d+ - )?(?P<label>[^/]+)/(?P<fold>\d)-[^/]+\.ogg$")
LOUDER = 6.0  # dB, the most that one of the two is louder than the other
LEVEL = 0.05  # root mean square of each sound, before one of them is made louder
OPTIONS = ("task=multilabel", "split=predefined", "audio.duration=5", "data.on_error=raise")
QUIET = ("report=false", "bundle=false", "audit=false")


class Sound(NamedTuple):
    """One clip of ESC-10."""

    label: str
    fold: str
    y: np.ndarray
    sr: int


class Line(NamedTuple):
    """The out-of-fold scores of one model."""

    model: str
    map: float
    map_of_folds: float
    f1_micro: float
    f1_macro: float
    subset_accuracy: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", nargs="+", default=["lda", "logistic_regression", "svm", "lightgbm", "vote"])
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    table = args.folder / "table.csv"
    if not table.exists():
        write_mixtures(list(read_sounds(args.archive)), args.folder, args.seed)
    sys.stdout.write(
        "| model | mAP | mAP, mean of folds | F1 micro | F1 macro | subset accuracy |\n" + "| --- " * 6 + "|\n"
    )
    for make in (reference, *(partial(measure, model=model) for model in args.models)):
        line = make(table)
        sys.stdout.write(f"| {line.model} | " + " | ".join(f"{value:.3f}" for value in line[1:]) + " |\n")
        sys.stdout.flush()


# --- the mixtures -----------------------------------------------------------------------------------------


def read_sounds(archive: Path) -> Iterator[Sound]:
    """Read the clips of ESC-10, in the order of their names."""
    with zipfile.ZipFile(archive) as opened:
        for name in sorted(opened.namelist()):
            if found := NAMED.search(name):
                y, sr = soundfile.read(io.BytesIO(opened.read(name)), dtype="float32")
                yield Sound(found["label"], found["fold"], y if y.ndim == 1 else y.mean(axis=1), sr)


def write_mixtures(sounds: Sequence[Sound], folder: Path, seed: int = 0) -> None:
    """Write the mixtures, and last the table."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, rows = np.random.default_rng(seed), [("path", "label", "fold")]
    for number, (a, b) in enumerate(pair(sounds, rng)):
        name = f"{number:03}.wav"
        soundfile.write(folder / name, mix(a, b, rng), a.sr, subtype="PCM_16")
        rows.append((name, ";".join(sorted([a.label, b.label])), a.fold))
    with (folder / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def pair(sounds: Sequence[Sound], rng: np.random.Generator) -> list[tuple[Sound, Sound]]:
    """Pair each sound, as the first of two, with one of another class and the same fold."""
    pairs = []
    for fold in sorted({sound.fold for sound in sounds}):
        own = [sound for sound in sounds if sound.fold == fold]
        order = rng.permutation(len(own))
        while any(own[i].label == own[j].label for i, j in enumerate(order)):
            wrong = [i for i, j in enumerate(order) if own[i].label == own[j].label]
            i, j = wrong[0], rng.integers(len(own))
            order[[i, j]] = order[[j, i]]
        pairs += [(own[i], own[j]) for i, j in enumerate(order)]
    return pairs


def mix(a: Sound, b: Sound, rng: np.random.Generator) -> np.ndarray:
    """Add two sounds, one of which is up to `LOUDER` dB louder than the other."""
    size, gain = max(len(a.y), len(b.y)), rng.uniform(-LOUDER, LOUDER) / 2
    y = sum(
        np.pad(sound.y, (0, size - len(sound.y)))
        * LEVEL
        / np.sqrt(np.mean(sound.y**2) + 1e-12)
        * 10 ** (side * gain / 20)
        for sound, side in ((a, 1), (b, -1))
    )
    return y / max(1.0, np.abs(y).max())


# --- the models -------------------------------------------------------------------------------------------


def measure(table: Path, model: str) -> Line:
    """Score one of audiofw's models, whose thresholds are chosen in each training part."""
    import audiofw

    with tempfile.TemporaryDirectory() as scratch:
        options = [f"data.source={table}", f"model={model}", *OPTIONS, *QUIET]
        scores = audiofw.run(options, path=Path(scratch) / "run").metrics["scores"]
    names = ("f1_micro", "f1_macro", "subset_accuracy")
    return Line(model, scores["map"]["pooled"], scores["map"]["mean"], *(scores[name]["pooled"] for name in names))


def reference(table: Path) -> Line:
    """Score scikit-learn's one-vs-rest logistic regression on the same rows, with its thresholds of 0.5."""
    from sklearn import metrics
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import PredefinedSplit
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MultiLabelBinarizer, StandardScaler
    from threadpoolctl import threadpool_limits

    import audiofw

    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    X = audiofw.features([table.parent / row["path"] for row in rows], ["audio.duration=5"])
    y = MultiLabelBinarizer().fit_transform([row["label"].split(";") for row in rows])
    proba, of_folds = np.zeros(y.shape), []
    for train, test in PredefinedSplit([int(row["fold"]) for row in rows]).split():
        model = make_pipeline(StandardScaler(), OneVsRestClassifier(LogisticRegression(max_iter=1000)))
        with threadpool_limits(1, user_api="blas"):  # on matrices of this size, more threads wait for each other
            proba[test] = model.fit(X[train], y[train]).predict_proba(X[test])
        of_folds.append(metrics.average_precision_score(y[test], proba[test]))
    said = proba >= 0.5
    return Line(
        "scikit-learn's one-vs-rest logistic",
        metrics.average_precision_score(y, proba),
        float(np.mean(of_folds)),
        metrics.f1_score(y, said, average="micro"),
        metrics.f1_score(y, said, average="macro"),
        metrics.accuracy_score(y, said),
    )


if __name__ == "__main__":
    main()
