"""Score the run that a sweep or search has chosen on ``data.test``, which none of its jobs has seen."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from audiofw.experiment.evaluate import score_test_set
from audiofw.leaderboard.ranking import rank
from audiofw.leaderboard.runs import read_json, read_runs
from audiofw.leaderboard.table import run_of
from audiofw.report.facts import read_run_facts
from audiofw.report.recordings import find_again
from audiofw.results.console import print_test_set
from audiofw.results.folder import TEST
from audiofw.system.paths import HELD_OUT

log = logging.getLogger(__name__)


def score_chosen(folder: Path, source: str) -> int:
    """Score the winner's final run, or else the best of a sweep, and print the scores.

    Parameters
    ----------
    folder : Path
        The sweep's folder; the results are written into ``test`` in it.
    source : str
        The test set.

    Returns
    -------
    int
        The exit code: 1 if it could not be scored.
    """
    run = _chosen(folder)
    if run is None:
        return 0
    config = find_again(read_run_facts(run)).config
    if config is None:
        log.error("test set not scored: %s: config.yaml cannot be read", run)
        return 1
    config = replace(config, data=replace(config.data, test=source))
    if missing := score_test_set(run, config, folder / TEST):
        log.error(missing[0])
        return 1
    print_test_set(folder, run)
    return 0


def _chosen(folder: Path) -> Path | None:
    if read_json(folder / HELD_OUT / "metrics.json"):
        return folder / HELD_OUT
    board = rank(read_runs([folder]), ensemble=False)
    return run_of(board.rows[0]).folder if board.rows else None
