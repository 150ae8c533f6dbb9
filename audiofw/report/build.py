"""Write a run's ``report.html`` from its folder and, if they are still available, its recordings."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from audiofw.audio.stretch import Stretch
from audiofw.audit.run import probe_all
from audiofw.config.options import Config
from audiofw.data.dataset import Clip
from audiofw.data.select import spread_evenly
from audiofw.data.splits import Fold
from audiofw.errors import AudiofwError, first_line
from audiofw.evaluation.cross_validate import Evaluation
from audiofw.evaluation.importance import importance
from audiofw.leaderboard.runs import read_json
from audiofw.parallel.executors import Lost
from audiofw.parallel.workers import outcomes
from audiofw.report import advice, figures, health, media, view
from audiofw.report.facts import FILE, Facts, read_run_facts
from audiofw.report.importance_view import view_importance
from audiofw.report.recordings import (
    Mistake,
    RunRecordings,
    choose_classes,
    choose_examples,
    find_again,
    most_doubtful,
    most_wrong,
    read_used_part,
)
from audiofw.report.render import render
from audiofw.report.timelines import collect_timelines
from audiofw.results.advice import advise_on_metrics
from audiofw.results.files import write_json, write_text
from audiofw.results.folder import IMPORTANCE, TEST
from audiofw.system.faults import explain
from audiofw.version import __version__

log = logging.getLogger(__name__)

MOST_DRAWN = 64  # clips, of some hundred kB each
LONGEST = 4.0  # seconds of a clip that are shown and played
AVERAGED = 8  # clips of a class that its mean spectrogram averages
MOST_LISTED = 2000  # mistakes in the table
MOST_HEARD = 40  # of these can be played
SHARE_OF_FIT = 0.15  # of the training time, to spend on permutation importance
LEAST_SECONDS = 1.0


Read = Callable[[Stretch], tuple[np.ndarray, int]]


class ShownClip(NamedTuple):
    """A clip as shown on the page."""

    name: str
    seconds: float
    sr: int
    picture: media.Picture
    waveform: str
    sound: str | None
    db: np.ndarray


def write_after_run(
    folder: Path,
    config: Config,
    clips: Sequence[Clip],
    evaluation: Evaluation,
    X: np.ndarray,
    folds: Sequence[Fold],
    names: Sequence[str],
    naming: str = "",
) -> list[str]:
    """Write ``importance.json`` and ``report.html`` at the end of a run.

    The run's results have been saved already, so an error here does not lose them.

    Parameters
    ----------
    folder : Path
        The run's folder, with its results.
    config : Config
    clips : sequence of Clip
        All clips of the run.
    evaluation : Evaluation
        With the classifiers of the last folds, or of the last one only.
    X : np.ndarray [shape=(clips, d)]
        The features of each clip.
    folds : sequence of Fold
    names : sequence of str [shape=(d,)]
        Names of the columns of X.
    naming : str
        How the feature names its rows, in a sentence for the report.

    Returns
    -------
    list of str
        Why there is no report; otherwise empty.
    """
    try:
        seconds = max(LEAST_SECONDS, SHARE_OF_FIT * sum(fold.fit_seconds for fold in evaluation.folds))
        models, y = evaluation.models, evaluation.y
        if measured := importance(models, folds, X, y, names, seed=config.seed, seconds=seconds):
            write_json(folder / IMPORTANCE, {**measured, "naming": naming})
        write_report(folder, RunRecordings({clip.name: clip for clip in clips}, config), audio=config.report.audio)
    except Exception as error:
        if not isinstance(error, (AudiofwError, OSError)):  # a bug, which must not go unnoticed
            log.warning("a bug in the report:", exc_info=True)
        return [f"no report: {_describe(error, folder)} (to try again: audiofw report {folder})"]
    return []


def _describe(error: Exception, folder: Path) -> str:
    if isinstance(error, OSError):
        return explain(error, folder)
    return f"{type(error).__name__}: {first_line(error)}"


def write_report(
    folder: Path, found: RunRecordings | None = None, *, audio: bool = True, n_jobs: int | None = None
) -> Path:
    """Write ``report.html`` into a run's folder.

    Parameters
    ----------
    folder : Path
    found : Recordings, optional
        By default they are looked up by the run's config. A report can be written without them, too.
    audio : bool
        Whether to embed recordings.
    n_jobs : int, optional
        Number of workers; by default that of the run.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    DataError
        If the folder has no results.
    """
    facts = read_run_facts(folder)
    found = find_again(facts) if found is None else found
    workers = n_jobs or (found.config.n_jobs if found.config else 1)
    write_text(folder / FILE, render("run.html", **collect_run(facts, found, audio=audio, n_jobs=workers)))
    return folder / FILE


def collect_run(facts: Facts, found: RunRecordings, *, audio: bool, n_jobs: int) -> dict[str, Any]:
    """Collect everything that the page shows."""
    usable = _usable(facts, found)
    counts = _count(facts, usable)
    classes = choose_classes(facts)
    by_class = _by_class(facts, list(usable.values()))
    examples = choose_examples(by_class, classes)
    wrong, doubtful = most_wrong(facts), most_doubtful(facts)
    read = partial(read_used_part, config=found.config, most=LONGEST)
    wanted = {clip.name: clip for clips in examples.values() for clip in clips}
    wanted |= {one.name: usable[one.name] for one in (*wrong, *doubtful) if one.name in usable}
    shown = {one.name: one for one in show_clips(list(wanted.values()), read, audio, n_jobs)}
    listed = most_wrong(facts, MOST_LISTED)
    playable = [usable[one.name] for one in listed[:MOST_HEARD] if one.name in usable] if listed[len(wrong) :] else []
    rows = _probe(facts, list(usable.values()), found.config, counts, n_jobs)
    test = read_json(facts.folder / TEST / "metrics.json")
    reliable, matrix = figures.reliability(facts), figures.matrix(facts)
    return {
        **view.of_run(facts, counts, matrix, rows, len(usable)),
        "facts": facts,
        "metrics": facts.metrics,
        "version": __version__,
        "test": test,
        "test_advice": advise_on_metrics(test) if test else [],
        "advice": advice.advise(facts, rows, reliable, counts),
        "timelines": collect_timelines(facts, usable.values(), audio=audio, n_jobs=n_jobs),
        "matrix": matrix,
        "confusions": figures.confusions(facts),
        "curves": figures.curves(facts),
        "reliability": reliable,
        "classes": classes,
        "examples": {name: [shown[c.name] for c in clips if c.name in shown] for name, clips in examples.items()},
        "means": _means(by_class, classes, read, shown, n_jobs),
        "wrong": [(one, shown.get(one.name)) for one in wrong],
        "doubtful": [(one, shown.get(one.name)) for one in doubtful],
        "mistakes": listed,
        "heard": _sounds(playable, read, shown, n_jobs) if audio else {},
        "n_wrong": int(facts.wrong.sum()),
        "several": facts.several,
        "importance": view_importance(facts),
        "health": rows,
        "unavailable": _describe_unavailable(facts, found, usable, [*wrong, *doubtful]),
        "audio": audio,
        "longest_shown": LONGEST,
    }


def _usable(facts: Facts, found: RunRecordings) -> Mapping[str, Clip]:
    """Select the clips that the run could use and that are still available."""
    failed = {row.get("name") for row in facts.failures}
    return {name: clip for name, clip in found.clips.items() if name not in failed and clip.path.is_file()}


def _count(facts: Facts, usable: Mapping[str, Clip]) -> dict[str, int]:
    """Count the clips of each class: all of the run if its recordings are known, else those tested."""
    each = Counter(name for clip in usable.values() for name in facts.classes_of(clip.label))
    if not each:
        each = Counter({row["class"]: row["support"] for row in facts.metrics["per_class"]})
    return {name: each[name] for name in facts.classes}


def _by_class(facts: Facts, clips: Sequence[Clip]) -> dict[str, list[Clip]]:
    """List the clips of each class; one with several labels is in the list of each."""
    found: dict[str, list[Clip]] = {name: [] for name in facts.classes}
    for clip in clips:
        for name in facts.classes_of(clip.label):
            found.setdefault(name, []).append(clip)
    return found


def show_clips(clips: Sequence[Clip], read: Read, audio: bool, n_jobs: int) -> list[ShownClip]:
    """Decode and compress clips in parallel; those that can no longer be read are left out."""
    made = outcomes(partial(_shown, read=read, audio=audio), clips, n_jobs=n_jobs)
    return [one for one in made if not isinstance(one, Lost)]


def _shown(clip: Clip, read: Read, audio: bool) -> ShownClip:
    y, sr = read(clip.stretch)
    return ShownClip(clip.name, len(y) / sr, sr, *_drawn(y.astype(np.float32).tobytes(), sr, audio))


@lru_cache(maxsize=MOST_DRAWN)
def _drawn(samples: bytes, sr: int, audio: bool) -> tuple[media.Picture, str, str | None, np.ndarray]:
    """Draw and compress the samples of a clip, once for all jobs of a sweep that show it."""
    y = np.frombuffer(samples, np.float32)
    db = media.decibels(y, sr)
    return media.picture(db, sr), media.waveform(y), media.sound_uri(y, sr) if audio else None, db


def _sounds(clips: Sequence[Clip], read: Read, shown: Mapping[str, ShownClip], n_jobs: int) -> dict[str, str]:
    """Compress the sounds of clips by their names; those of clips that are shown, too, have been already."""
    new = [clip for clip in clips if clip.name not in shown]
    made = zip(new, outcomes(partial(_sound, read=read), new, n_jobs=n_jobs), strict=True)
    found = {clip.name: shown[clip.name].sound for clip in clips if clip.name in shown}
    found |= {clip.name: sound for clip, sound in made if not isinstance(sound, Lost)}
    return {clip.name: sound for clip in clips if (sound := found.get(clip.name))}


def _sound(clip: Clip, read: Read) -> str:
    return media.sound_uri(*read(clip.stretch))


def _means(
    by_class: Mapping[str, Sequence[Clip]],
    classes: Sequence[str],
    read: Read,
    shown: Mapping[str, ShownClip],
    n_jobs: int,
) -> dict[str, Any]:
    """Average the spectrograms of some clips of each class; also give their number."""
    found = {}
    for name in classes:
        some = spread_evenly(by_class.get(name, []), AVERAGED)
        new = [clip for clip in some if clip.name not in shown]
        made = outcomes(partial(_decibels, read=read), new, n_jobs=n_jobs)
        pairs = [pair for pair in made if not isinstance(pair, Lost)]
        pairs += [(shown[clip.name].db, shown[clip.name].sr) for clip in some if clip.name in shown]
        rates = {sr for _, sr in pairs}
        if len(rates) == 1:  # at different rates a row has different frequencies
            sr = rates.pop()
            found[name] = (_mean_picture([db for db, _ in pairs], sr), len(pairs))
    return found


def _decibels(clip: Clip, read: Read) -> tuple[np.ndarray, int]:
    y, sr = read(clip.stretch)
    return media.decibels(y, sr), sr


def _mean_picture(pictures: Sequence[np.ndarray], sr: int) -> media.Picture:
    mean = media.mean_decibels(pictures)
    return media.picture(mean - mean.max(), sr)


def _probe(
    facts: Facts, clips: Sequence[Clip], config: Config | None, counts: Mapping[str, int], n_jobs: int
) -> list[health.ClassHealth]:
    """Measure the recordings, or read the audit's measurements from the cache."""
    if not clips or config is None:
        return []
    some = health.sample(clips)
    labels = [facts.classes_of(clip.label) for clip in some]
    return health.by_class(labels, probe_all(some, config, n_jobs=n_jobs), counts)


def _describe_unavailable(
    facts: Facts, found: RunRecordings, usable: Mapping[str, Clip], mistakes: Sequence[Mistake]
) -> tuple[str, Sequence[str]] | None:
    """Say which recordings are missing; None if none are."""
    if found.unavailable:
        return f"The recordings are no longer available, so they cannot be shown or played: {found.unavailable}.", ()
    known = facts.predictions.paths if facts.predictions else tuple(one.name for one in mistakes)
    missing = [name for name in known if name not in usable]
    if not missing:
        return None
    text = f"{len(missing)} of {len(known)} test clips are no longer available, so they cannot be shown or played."
    return text, missing
