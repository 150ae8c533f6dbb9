"""One job's part in a search: which clips it may see, and whom it tells of its folds."""

from __future__ import annotations

from collections.abc import Mapping

from audiofw.config.options import Config
from audiofw.contract.plugin import Choice
from audiofw.data.dataset import Dataset
from audiofw.evaluation.cross_validate import FoldResult
from audiofw.experiment.run import Watch
from audiofw.experiment.tune.holdout import mark, set_aside, split_aside
from audiofw.experiment.tune.part import Pruned, TrialRole
from audiofw.experiment.tune.study import is_hopeless


def narrow(
    part: TrialRole, config: Config, dataset: Dataset, choices: Mapping[str, Choice]
) -> tuple[Dataset, Mapping[str, Choice]]:
    """Leave a trial the clips that were not set aside; for the last run, split the two from each other."""
    tune = config.tune
    if not (tune.holdout or tune.holdout_folds):
        return dataset, choices
    rest, aside = set_aside(dataset.clips, tune.holdout, config.seed, tune.holdout_folds)
    if part.final:
        return dataset._replace(clips=mark(dataset.clips, aside)), {**choices, "split": split_aside()}
    return dataset._replace(clips=rest), choices


def watch(part: TrialRole, config: Config) -> Watch | None:
    """Make what tells the study of each fold, and stops the trial where most others were better by then.

    It opens the study anew, so it works in whatever process the job runs. None where trials are never stopped.
    """
    if part.final or not config.tune.prune:
        return None
    values: list[float] = []

    def tell(result: FoldResult, n_folds: int) -> None:
        value = result.scores[config.score]
        if value is None or result.number == n_folds:  # a trial that has come so far may finish
            return
        values.append(value)
        mean = sum(values) / len(values)
        if is_hopeless(part, config.tune, step=result.number, value=mean):
            raise Pruned(f"pruned after fold {result.number} of {n_folds}: mean {config.score} {mean:.3f}")

    return tell
