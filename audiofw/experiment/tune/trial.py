"""One trial of a search: the clips that it may use, and the reports of its folds to the study."""

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
    """Select the clips of a trial, without those held out; for the final run, split by these two parts."""
    tune = config.tune
    if not (tune.holdout or tune.holdout_folds):
        return dataset, choices
    rest, aside = set_aside(dataset.clips, tune.holdout, config.seed, tune.holdout_folds, config.task)
    if part.final:
        return dataset._replace(clips=mark(dataset.clips, aside)), {**choices, "split": split_aside()}
    return dataset._replace(clips=rest), choices


def watch(part: TrialRole, config: Config) -> Watch | None:
    """Create a callback that reports each fold to the study, and stops the trial if most others were better so far.

    It opens the study itself, so it works in any process. None if trials are never stopped.
    """
    if part.final or not config.tune.prune:
        return None
    values: list[float] = []

    def tell(result: FoldResult, n_folds: int) -> None:
        value = result.scores.get(config.score)  # None for a score of timelines
        if value is None or result.number == n_folds:  # after the last fold there is nothing to stop
            return
        values.append(value)
        mean = sum(values) / len(values)
        if is_hopeless(part, config.tune, step=result.number, value=mean):
            raise Pruned(f"pruned after fold {result.number} of {n_folds}: mean {config.score} {mean:.3f}")

    return tell
