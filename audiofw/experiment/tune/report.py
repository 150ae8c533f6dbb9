"""What a search found: the best trial, its score while tuning, and its score on clips that no trial has seen."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiofw.config.options import Tune
from audiofw.experiment.tune.study import own_trials
from audiofw.results.files import write_json
from audiofw.system.tables import new_table, open_console

if TYPE_CHECKING:
    import optuna

FILE = "tune.json"


def report(study: optuna.Study, folder: Path, tune: Tune, honest: Path | str | None) -> None:
    """Show what was found on stdout, and write the same into the sweep's folder, as ``tune.json``.

    Parameters
    ----------
    study : optuna.Study
        With a finished trial.
    folder : Path
        Of the sweep.
    tune : Tune
    honest : Path, str or None
        Where the winner's results on the clips held out are; why there are none; None where none were asked for.
    """
    found = summarise_search(study, folder, tune, honest)
    _show(found)
    write_json(folder / FILE, found)


def summarise_search(study: optuna.Study, folder: Path, tune: Tune, honest: Path | str | None) -> dict[str, Any]:
    """Gather what `report` writes."""
    best, score = study.best_trial, study.user_attrs["score"]
    counts = Counter(trial.state.name.lower() for trial in own_trials(study))
    return {
        "score": score,
        "greater_is_better": study.direction.name == "MAXIMIZE",
        "trials": {state: counts[state] for state in ("complete", "pruned", "fail")},
        "best": best.number,
        "options": [word for word in best.user_attrs["words"] if word.partition("=")[0].lstrip("+") in best.params],
        "fixed": study.user_attrs["fixed"],
        "optimistic": {"value": best.value, **_figures(folder / best.user_attrs["folder"], score)},
        "honest": _figures(honest, score) if isinstance(honest, Path) else None,
        "no_honest_score_because": honest if isinstance(honest, str) else None,
        "holdout": tune.holdout_folds or tune.holdout,
        "seed": study.user_attrs["seed"],
    }


def _figures(folder: Path, score: str) -> dict[str, Any]:
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    facts = {key: metrics[key] for key in ("n_clips", "n_tested", "n_folds")}
    interval = metrics["scores"][score]["interval"]
    return {"value": metrics["value"], "interval": interval, "level": metrics["interval_level"], **facts,
            "folder": str(folder)}  # fmt: skip


def _show(found: dict[str, Any]) -> None:
    console, trials = open_console(), found["trials"]
    counts = f"{trials['complete']} finished, {trials['pruned']} pruned, {trials['fail']} failed"
    console.print(f"best of {sum(trials.values())} trials ({counts}): trial {found['best']}", soft_wrap=True)
    console.print(f"  {' '.join(found['options'])}", "", sep="\n", soft_wrap=True)
    less = "" if found["greater_is_better"] else " (less is better)"
    level = f"{found['optimistic']['level']:.0%} interval"
    table = new_table("", "", "clips", f"{found['score']}{less}", level, right=3)
    table.add_row("while tuning", "optimistic: it was chosen for this", *_row(found["optimistic"]))
    if found["honest"]:
        table.add_row("on clips held out", "honest: no trial has seen them", *_row(found["honest"]))
    console.print(table, "", sep="\n")
    if not found["holdout"]:
        console.print("no clips were held out, so there is no honest score; tune.holdout=0.2 holds a fifth out", "")


def _row(figures: dict[str, Any]) -> list[str]:
    interval = figures["interval"]
    spread = " – ".join(f"{end:.3f}" for end in interval) if interval else "–"
    return [str(figures["n_tested"]), f"{figures['value']:.3f}", spread]
