"""Compare models on one feature table, fold by fold: training time in seconds and accuracy.

    python benchmarks/training.py TABLE PAIR FOLDER [SECONDS]

No further fold is started once the slower model has trained for SECONDS. TABLE is ``article`` (the article's own
steps), ``flatten`` or ``stats`` (audiofw's mel spectrogram, pooled). With ``article``, audiofw's default config is
fitted as well. The fold is the first digit of a file's name.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
from data import labels, sounds

SEED = 42
Make = Callable[[], Any]


def main(table: str, pair: str, folder: str, seconds: str = "inf") -> None:
    paths = sounds(Path(folder))
    y, folds = labels(paths)
    X = article_table(paths) if table == "article" else pooled_table(paths, table)
    models = {name: (make, X) for name, make in PAIRS[pair]().items()}
    if table == "article":
        models["default"] = default(paths)
    said = fold_by_fold(models, y, folds, float(seconds))
    sys.stdout.write(json.dumps({**said, "columns": X.shape[1], "clips": len(X), "n_folds": len(set(folds))}) + "\n")


def article_table(paths: Sequence[Path]) -> np.ndarray:
    from article import table

    return table(list(paths))


def pooled_table(paths: Sequence[Path], pooling: str) -> np.ndarray:
    from audiofw.contract.registry import load_menus
    from audiofw.extraction.recording import Unit

    menus = load_menus()
    chosen = [menus.choose(kind, {"name": name}) for kind, name in (("feature", "mel"), ("pooling", pooling))]
    return table_of(paths, Unit(22050, 0.0, "keep", *chosen))


def default(paths: Sequence[Path]) -> tuple[Make, np.ndarray]:
    """Build model and table as in audiofw's default config."""
    from audiofw.experiment.hydra_app import compose
    from audiofw.extraction.table import units_of

    config, choices = compose([])
    return lambda: choices["model"](SEED, -1), table_of(paths, units_of(config, choices)[0])


def table_of(paths: Sequence[Path], unit: Any) -> np.ndarray:
    from audiofw.data.dataset import Clip
    from audiofw.extraction.extract import tabulate

    return tabulate([Clip(path, path.name, "") for path in paths], unit, progress="").X


def fold_by_fold(
    models: dict[str, tuple[Make, np.ndarray]], y: np.ndarray, folds: np.ndarray, most: float
) -> dict[str, Any]:
    """Fit every model on its own table, fold by fold."""
    seconds: dict[str, list[float]] = {name: [] for name in models}
    right: dict[str, list[int]] = {name: [] for name in models}
    tested: list[int] = []
    for fold in np.unique(folds):
        train, test = folds != fold, folds == fold
        for name, (make, X) in models.items():
            started = time.perf_counter()
            model = make().fit(X[train], y[train])
            seconds[name].append(time.perf_counter() - started)
            right[name].append(int((model.predict(X[test]) == y[test]).sum()))
        tested.append(int(test.sum()))
        if max(map(sum, seconds.values())) > most:
            break
    accuracy = {name: sum(values) / sum(tested) for name, values in right.items()}
    return {"seconds": seconds, "accuracy": accuracy, "tested": sum(tested)}


def plugin(name: str, **options: Any) -> Make:
    """Factory for an audiofw model with its default options."""
    from audiofw.contract.registry import load_menus

    choice = load_menus().choose("model", {"name": name, **options})
    return lambda: choice(SEED, -1)


def gbm() -> dict[str, Make]:
    return {"theirs": plugin("sklearn_gbm", max_features=None), "ours": plugin("sklearn_gbm")}


def lightgbm() -> dict[str, Make]:
    from lightgbm import LGBMClassifier

    return {"theirs": lambda: LGBMClassifier(random_state=SEED, verbosity=-1), "ours": plugin("lightgbm")}


def xgboost() -> dict[str, Make]:
    from xgboost import XGBClassifier

    return {"theirs": lambda: XGBClassifier(random_state=SEED), "ours": plugin("xgboost")}


PAIRS = {"gbm": gbm, "lightgbm": lightgbm, "xgboost": xgboost}
"""Pairs of a library's defaults and audiofw's."""

if __name__ == "__main__":
    main(*sys.argv[1:])
