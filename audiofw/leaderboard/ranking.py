"""Rank runs, compare them with the best, and build an ensemble of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from audiofw.evaluation.scores import NEED_PROBABILITIES, OF_TIMELINES, check_score
from audiofw.leaderboard.ensemble import average_rows
from audiofw.leaderboard.runs import Predictions, Run, read_predictions
from audiofw.leaderboard.significance import compare_rows, contribute
from audiofw.leaderboard.table import LeaderboardRow, differing_options, line_up, run_of
from audiofw.leaderboard.timelines import read_timelines

MOST_MEMBERS = 1000  # runs to select an ensemble from; all their probabilities are in memory


@dataclass(frozen=True, eq=False)
class Leaderboard:
    """Runs, best first, and those without a rank."""

    score: str
    columns: tuple[str, ...]  # the options that differ
    rows: tuple[LeaderboardRow, ...]
    ensemble: LeaderboardRow | None
    failures: tuple[Run, ...]
    pruned: tuple[Run, ...]
    running: tuple[Run, ...]
    notes: tuple[str, ...]

    @property
    def all_runs(self) -> list[Run]:
        """Every run, ranked or not."""
        return [*map(run_of, self.rows), *self.failures, *self.pruned, *self.running]


def rank(runs: Sequence[Run], *, score: str | None = None, ensemble: bool = True) -> Leaderboard:
    """Rank the finished runs and compare them with the best.

    Parameters
    ----------
    runs : sequence of Run
        As `audiofw.leaderboard.runs.read_runs` returns them.
    score : str, optional
        The score to rank by; by default the main score of the first run.
    ensemble : bool
        Whether to build an ensemble of the runs that can be compared with the best.

    Raises
    ------
    ConfigError
        For an unknown score.
    """
    finished = [run for run in runs if run.status == "finished"]
    score, notes = _choose_score(finished, score)
    columns = differing_options(finished)
    rows, averaged = line_up(finished, score, columns), None
    if len(rows) > 1 and score in OF_TIMELINES:
        if score == "psds":
            notes.append("runs are not compared: psds is not a score of single recordings; event_f1 is")
        else:
            heard = [read_timelines(run_of(row), score) for row in rows]
            rows, more = compare_rows(rows, heard, of="recordings")
            notes += more
    elif len(rows) > 1:
        tested = _read_all(rows, score, probabilities=ensemble)
        rows, more = compare_rows(rows, tested)
        notes += more
        if ensemble:
            averaged, more = average_rows(rows, tested, score)
            notes += more
    return Leaderboard(
        score=score,
        columns=tuple(columns),
        rows=tuple(rows),
        ensemble=averaged,
        failures=tuple(run for run in runs if run.status == "failed"),
        pruned=tuple(run for run in runs if run.status == "pruned"),
        running=tuple(run for run in runs if run.status == "running"),
        notes=tuple(notes),
    )


def _choose_score(finished: Sequence[Run], score: str | None) -> tuple[str, list[str]]:
    if score is not None:
        check_score(score)
        return score, []
    asked = list(dict.fromkeys(run.metrics["score"] for run in finished)) or ["accuracy"]
    if len(asked) == 1:
        return asked[0], []
    return asked[0], [
        f"the runs' main scores differ ({', '.join(asked)}): ranked by {asked[0]}, change it with --score"
    ]


def _read_all(rows: Sequence[LeaderboardRow], score: str, *, probabilities: bool) -> list[Predictions | None]:
    """Read each row's predictions; columns equal to the best's are stored once: there may be thousands of runs."""
    oldest = sorted(range(len(rows)), key=lambda i: run_of(rows[i]).started)[:MOST_MEMBERS]
    wanted = set(oldest if probabilities else [])  # selected by score, they would make the ensemble look too good
    tested: list[Predictions | None] = []
    for i, row in enumerate(rows):
        theirs = _read_one(run_of(row), score, probabilities=i in wanted)
        tested.append(_share(theirs, tested[0]) if tested else theirs)
    return tested


def _read_one(run: Run, score: str, *, probabilities: bool) -> Predictions | None:
    """Read a run's predictions and what each clip adds to the score, for which their probabilities may be needed."""
    theirs = read_predictions(run, probabilities=probabilities or score in NEED_PROBABILITIES)
    if theirs is None:
        return None
    contributions = contribute(
        theirs, run.metrics["classes"], score, several=run.several, negative=run.metrics.get("negative")
    )
    return theirs._replace(contributions=contributions, probabilities=theirs.probabilities if probabilities else None)


def _share(theirs: Predictions | None, best: Predictions | None) -> Predictions | None:
    if theirs is None or best is None or theirs.paths != best.paths:
        return theirs
    columns = ("paths", "labels", "folds", "groups")
    same: dict[str, Any] = {
        name: getattr(best, name) for name in columns if getattr(best, name) == getattr(theirs, name)
    }
    return theirs._replace(**same)
