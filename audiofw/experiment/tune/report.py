"""Report a search: the best trial, its score during tuning, and its score on clips that no trial has seen."""

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


def report(study: optuna.Study, folder: Path, tune: Tune, held_out: Path | str | None) -> None:
    """Print the result of a search, and write it to ``tune.json`` in the sweep's folder.

    Parameters
    ----------
    study : optuna.Study
        With at least one finished trial.
    folder : Path
        The sweep's folder.
    tune : Tune
    held_out : Path, str or None
        Folder of the best trial's results on the held-out clips, or why there are none; None if nothing is held out.
    """
    found = summarise_search(study, folder, tune, held_out)
    _show(found)
    write_json(folder / FILE, found)


def summarise_search(study: optuna.Study, folder: Path, tune: Tune, held_out: Path | str | None) -> dict[str, Any]:
    """Collect what `report` writes."""
    best, score = study.best_trial, study.user_attrs["score"]
    counts = Counter(trial.state.name.lower() for trial in own_trials(study))
    return {
        "score": score,
        "greater_is_better": study.direction.name == "MAXIMIZE",
        "trials": {state: counts[state] for state in ("complete", "pruned", "fail")},
        "best": best.number,
        "options": [word for word in best.user_attrs["words"] if word.partition("=")[0].lstrip("+") in best.params],
        "fixed": study.user_attrs["fixed"],
        "during_tuning": {"value": best.value, **_figures(folder / best.user_attrs["folder"], score)},
        "held_out": _figures(held_out, score) if isinstance(held_out, Path) else None,
        "held_out_error": held_out if isinstance(held_out, str) else None,
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
    console.print(f"trial {found['best']} is the best of {sum(trials.values())} ({counts}):", soft_wrap=True)
    console.print(f"  {' '.join(found['options'])}", "", sep="\n", soft_wrap=True)
    less = "" if found["greater_is_better"] else " (lower is better)"
    level = f"{found['during_tuning']['level']:.0%} interval"
    table = new_table("", "", "clips", f"{found['score']}{less}", level, right=3)
    table.add_row("during tuning", "optimistic: selected by this score", *_row(found["during_tuning"]))
    if found["held_out"]:
        table.add_row("on held-out clips", "unbiased: unseen by any trial", *_row(found["held_out"]))
    console.print(table, "", sep="\n")
    if not found["holdout"]:
        console.print("no clips were held out, so there is no unbiased score; use tune.holdout=0.2", "")


def _row(figures: dict[str, Any]) -> list[str]:
    interval = figures["interval"]
    spread = " – ".join(f"{end:.3f}" for end in interval) if interval else "–"
    return [str(figures["n_tested"]), f"{figures['value']:.3f}", spread]
