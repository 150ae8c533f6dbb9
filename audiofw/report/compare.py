"""Compare two runs: what differs in config, data and code, which answers changed, and whether that is luck."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from audiofw.errors import DataError
from audiofw.evaluation.scores import HIGHER_IS_BETTER
from audiofw.leaderboard.ranking import Leaderboard, rank
from audiofw.leaderboard.runs import Predictions, Run, read_predictions, read_run
from audiofw.leaderboard.table import LeaderboardRow, run_of
from audiofw.report.build import LONGEST, show_clips
from audiofw.report.facts import Facts, read_run_facts
from audiofw.report.recordings import find_again, read_used_part
from audiofw.report.render import render
from audiofw.results.changes import option_changes, version_changes
from audiofw.results.clips import compare_clips, read_clips
from audiofw.results.files import write_text
from audiofw.version import __version__

MOST_PLAYERS = 60
KINDS = ("right → wrong", "wrong → right", "wrong → wrong")


class ChangedClip(NamedTuple):
    """A clip that two runs predict differently."""

    name: str
    label: str
    first: str
    second: str
    kind: str  #: one of `KINDS`


class ScoredRun(NamedTuple):
    """One of the two runs, with its score."""

    name: str
    value: float | None
    interval: tuple[float, float] | None
    n_tested: int | None


@dataclass(frozen=True)
class RunComparison:
    """What differs between two runs."""

    score: str
    runs: tuple[ScoredRun, ScoredRun]
    verdict: str  #: whether the difference is significant, in one line
    notes: Sequence[str]
    options: Sequence[tuple[str, Any, Any]]
    data: Sequence[str]
    code: Sequence[str]
    changed: Sequence[ChangedClip]
    n_compared: int  #: clips that both have tested

    @property
    def counts(self) -> Mapping[str, int]:
        """How many clips changed in which way."""
        found = Counter(clip.kind for clip in self.changed)
        return {kind: found[kind] for kind in KINDS if found[kind]}


def compare_runs(first: Path, second: Path) -> RunComparison:
    """Compare two runs by their folders.

    Parameters
    ----------
    first, second : Path
        Folders of finished runs, or of evaluations.

    Raises
    ------
    DataError
        If one has no results, or the runs are of different tasks.
    """
    facts, runs = [_facts(folder) for folder in (first, second)], [_run(folder) for folder in (first, second)]
    if facts[0].several != facts[1].several:
        raise DataError(f"{first} and {second}: one has a single label per clip, the other several")
    board = rank(runs, ensemble=False)
    rows = {id(run_of(row)): row for row in board.rows}
    a, b = (rows[id(run)] for run in runs)
    ours, theirs = (read_predictions(run) for run in runs)
    changed, n_compared = _changed(ours, theirs) if ours and theirs else ([], 0)
    names = (str(first), str(second))
    return RunComparison(
        score=board.score,
        runs=(_scored(names[0], a), _scored(names[1], b)),
        verdict=_verdict(board, a, b, names),
        notes=[note for note in board.notes if not note.startswith(("≈", "?"))],
        options=option_changes(facts[0].config, facts[1].config),
        data=_data(first, second),
        code=version_changes(facts[0].versions, facts[1].versions),
        changed=changed,
        n_compared=n_compared,
    )


def _facts(folder: Path) -> Facts:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give the folders of two runs")
    return read_run_facts(folder)


def _run(folder: Path) -> Run:
    run = read_run(folder)
    if run is None or run.status != "finished":
        raise DataError(f"{folder}: not a finished run")
    return run


def _scored(name: str, row: LeaderboardRow) -> ScoredRun:
    return ScoredRun(name, row.value, row.interval, run_of(row).metrics.get("n_tested"))


def _changed(a: Predictions, b: Predictions) -> tuple[list[ChangedClip], int]:
    """List the clips that both have tested and predict differently, by kind and name."""
    theirs = {name: i for i, name in enumerate(b.paths)}
    both = [(i, theirs[name]) for i, name in enumerate(a.paths) if name in theirs]
    found = [
        ChangedClip(a.paths[i], a.labels[i], a.predicted[i], b.predicted[j], _kind(a, b, i, j))
        for i, j in both
        if a.predicted[i] != b.predicted[j]
    ]
    return sorted(found, key=lambda clip: (KINDS.index(clip.kind), clip.name)), len(both)


def _kind(a: Predictions, b: Predictions, i: int, j: int) -> str:
    if a.predicted[i] == a.labels[i]:
        return KINDS[0]
    return KINDS[1] if b.predicted[j] == b.labels[j] else KINDS[2]


def _verdict(board: Leaderboard, a: LeaderboardRow, b: LeaderboardRow, names: tuple[str, str]) -> str:
    """Say in one line which is better, and whether the difference is significant, as a leaderboard tests it."""
    if a.value is None or b.value is None:
        return f"{board.score} is undefined for one of them"
    if a.value == b.value:
        return f"{board.score} is the same"
    higher = HIGHER_IS_BETTER[board.score]
    better = names[0] if (a.value > b.value) == higher else names[1]
    said = f"{better} is better by {abs(a.value - b.value):.3f}"
    made = board.rows[-1].comparison
    if made.too_few:
        return f"{said}; {made.n_units} {made.unit} are too few to tell whether that is luck"
    if made.p is None:
        return f"{said}; not tested for significance"
    verdict = "not significant" if made.tied else "significant"
    return f"{said}: {verdict} (p = {made.p:.2g}, sign-flip test over {made.n_units} {made.unit})"


def _data(first: Path, second: Path) -> list[str]:
    a, b = read_clips(first), read_clips(second)
    if a is None or b is None:
        return [f"{first if a is None else second} has no clips.csv, so that recordings cannot be compared"]
    return compare_clips(a, b).lines()


def write_comparison(file: Path, found: RunComparison, first: Path, second: Path, *, audio: bool = True) -> None:
    """Write a page with the comparison and a player for each clip that changed its answer.

    Raises
    ------
    DataError
        If it cannot be written.
    """
    wanted = {clip.name for clip in found.changed[:MOST_PLAYERS]}
    shown: dict[str, Any] = {}
    for folder in (first, second):
        recordings = find_again(read_run_facts(folder))
        left = [
            clip for name, clip in recordings.clips.items() if name in wanted - shown.keys() and clip.path.is_file()
        ]
        read = partial(read_used_part, config=recordings.config, most=LONGEST)
        n_jobs = recordings.config.n_jobs if recordings.config else 1
        shown |= {one.name: one for one in show_clips(left, read, audio, n_jobs)}
    page = render("compare.html", found=found, shown=shown, version=__version__, most_players=MOST_PLAYERS)
    write_text(file, page)
