"""Find what inflates a score: duplicates, sources on both sides of a split, properties that reveal the label.

Each finding names its clips and a remedy.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from audiofw.audio.load import load_stretch
from audiofw.audio.stretch import Stretch
from audiofw.audit.fingerprint import ENOUGH_INFO, Match, near_pairs, same_waveform
from audiofw.audit.leakage import Folds, Sets, leaked
from audiofw.audit.probe import Probe
from audiofw.audit.shortcuts import Shortcut, shortcuts
from audiofw.data.dataset import Clip
from audiofw.data.labels import split_labels
from audiofw.data.provenance import evident_sources
from audiofw.errors import DataError

log = logging.getLogger(__name__)

Sound = tuple[np.ndarray, int]

REMEDIES = {
    "duration": "use the same length of every clip: set audio.duration to at most that of the shortest",
    "loudness": "normalise the levels, or use a feature that does not depend on gain",
    "share of silence": "trim silence from all clips, e.g. audio.trim=60",
    "bandwidth": "give all clips the same bandwidth: set audio.sample_rate to twice the smallest bandwidth of a class",
    "sample rate": "set audio.sample_rate to the lowest sample rate of the clips",
    "bit depth": "export all clips from the originals in one format",
    "number of channels": "record or export all clips with the same number of channels",
    "file size": "compare the duration, bandwidth and format of the classes, on which it depends",
}


class Finding(NamedTuple):
    """Something that may make a score too good, or that is wrong with the data."""

    kind: Literal["identical", "near-duplicate", "contradiction", "source", "shortcut", "damaged", "channels"]
    severity: Literal["note", "warning"]
    message: str  #: one line
    remedy: str  #: one line, with the option to set
    files: tuple[str, ...] = ()  #: names of the clips concerned
    sets: Sets = ()  #: indices of the clips that belong together
    effect: str | None = None  #: how much better leaked clips score, once it is known


def audit(
    clips: Sequence[Clip],
    probes: Sequence[Probe | None],
    folds: Folds = (),
    *,
    seed: int = 42,
    read: Callable[[Stretch], Sound] | None = None,
    task: str = "single",
) -> list[Finding]:
    """Check clips for everything that may inflate a score.

    Parameters
    ----------
    clips : Sequence[Clip]
        The clips of the run.
    probes : Sequence[Probe or None] [shape=(clips,)]
        The result of `audiofw.audit.probe.probe` for each; None for a clip that cannot be read.
    folds : Sequence[tuple[np.ndarray, np.ndarray]]
        Training and test indices of each fold; empty if there is no split yet.
    seed : int
        Seed of the cross-validation in the shortcut test.
    read : callable, optional
        Reads the probed part of a clip, to compare the waveforms of short ones; by default the whole clip.
    task : {"single", "multilabel"}
        Whether a clip may have several labels.

    Returns
    -------
    list[Finding]
        Warnings first.
    """
    groups = [clip.group for clip in clips]
    known = [place for place, one in enumerate(probes) if one is not None]
    found = [
        *find_duplicates(clips, probes, folds, read=read),
        *source_overlap(clips, folds),
        *find_flaws(clips, probes),
        *find_shortcuts(
            [one for one in probes if one is not None],
            [clips[i].label for i in known],
            [str(groups[i]) for i in known] if all(groups) else None,
            seed,
            task=task,
        ),
    ]
    return sorted(found, key=lambda finding: finding.severity != "warning")


def refuse(findings: Iterable[Finding]) -> None:
    """Raise an error if there is a warning.

    Raises
    ------
    DataError
        With the message and remedy of the first warning, and the number of the others.
    """
    warnings = [finding for finding in findings if finding.severity == "warning"]
    if warnings:
        more = f" (and {len(warnings) - 1} more)" if len(warnings) > 1 else ""
        raise DataError(f"audit: {warnings[0].message}; {warnings[0].remedy}{more}")


def count_of(n: int, noun: str) -> str:
    """Count things: ``1 clip``, ``2 clips``."""
    return f"{n} {noun}{'s' * (n != 1)}"


# --- duplicates -------------------------------------------------------------------------------------------


def find_duplicates(
    clips: Sequence[Clip],
    probes: Sequence[Probe | None],
    folds: Folds = (),
    *,
    read: Callable[[Stretch], Sound] | None = None,
) -> list[Finding]:
    """Find clips of one recording: equal in every sample, or near-duplicates. See `audit` for the parameters."""
    identical = _identical(clips, probes)
    near = _near(clips, probes, identical, read or _whole)
    found = [_copies("identical", clips, identical, folds), _copies("near-duplicate", clips, near, folds)]
    return [finding for finding in (_contradiction(clips, (*identical, *near)), *found) if finding]


def _identical(clips: Sequence[Clip], probes: Sequence[Probe | None]) -> Sets:
    sets = _alike(one and one.digest for one in probes)
    return tuple(places for places in sets if len({(clips[i].path, clips[i].label) for i in places}) > 1)


def _alike(keys: Iterable[Any]) -> Sets:
    """Find the sets of indices with the same key; None is not a key."""
    same = defaultdict(list)
    for place, key in enumerate(keys):
        if key is not None:
            same[key].append(place)
    return tuple(tuple(places) for places in same.values() if len(places) > 1)


def _near(
    clips: Sequence[Clip], probes: Sequence[Probe | None], identical: Sets, read: Callable[[Stretch], Sound]
) -> Sets:
    """Find sets of near-duplicates; identical clips are represented by the first of them.

    Stretches of one recording may overlap, and are never divided between training and test.
    """
    others = {place for places in identical for place in places[1:]}
    places = [i for i, one in enumerate(probes) if one is not None and i not in others]

    def is_copy(match: Match) -> bool:
        a, b = clips[places[match.a]], clips[places[match.b]]
        return a.path != b.path and (match.info >= ENOUGH_INFO or sounds_same(a, b, read))

    matches = near_pairs([probes[i].prints for i in places], is_copy)  # type: ignore[union-attr]
    pairs = [(places[match.a], places[match.b]) for match in matches]
    return _connected(pairs, len(probes))


def sounds_same(a: Clip, b: Clip, read: Callable[[Stretch], Sound]) -> bool:
    """Whether two short clips that may be near-duplicates have the same waveform."""
    try:
        return same_waveform(read(a.stretch), read(b.stretch))
    except DataError as error:  # it could be read before: continue without this pair
        log.warning("audit: %s or %s: %s", a.name, b.name, error)
        return False


def _whole(sound: Stretch) -> Sound:
    return load_stretch(sound, sample_rate=None, silence="keep")


def _connected(pairs: Sequence[tuple[int, int]], n_places: int) -> Sets:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ends = np.array(pairs, int).reshape(-1, 2).T
    graph = coo_array((np.ones(len(pairs)), (ends[0], ends[1])), shape=(n_places, n_places))
    return _alike(connected_components(graph, directed=False)[1])


def _copies(
    kind: Literal["identical", "near-duplicate"], clips: Sequence[Clip], sets: Sets, folds: Folds
) -> Finding | None:
    if not sets:
        return None
    words = (
        "are equal in every sample that is used"
        if kind == "identical"
        else "are near-duplicates (by audio fingerprint)"
    )
    across = int(leaked(sets, folds, len(clips)).sum())
    where = f"; {count_of(across, 'test clip')} with a duplicate in the training set" if folds else ""
    first, second, *_ = sets[0]
    second = next((i for i in sets[0] if clips[i].path != clips[first].path), second)
    names = clips[first].name, clips[second].name
    return Finding(
        kind,
        "warning" if across or not folds else "note",
        f"{sum(map(len, sets))} clips in {count_of(len(sets), 'set')} {words}{where}, e.g. {names[0]} and {names[1]}",
        "list the duplicates in a file and set data.skip to it, or make each set a group and use split=group_kfold",
        *_files(clips, sets),
    )


def _contradiction(clips: Sequence[Clip], sets: Sets) -> Finding | None:
    wrong = tuple(places for places in sets if len({clips[i].label for i in places}) > 1)
    if not wrong:
        return None
    a, b = next((i, j) for i in wrong[0] for j in wrong[0] if clips[i].label != clips[j].label)
    said = [clips[i].label or "no label" for i in (a, b)]
    return Finding(
        "contradiction",
        "warning",
        f"{count_of(len(wrong), 'set')} of duplicates with different labels, e.g. {clips[a].name}"
        f" ({said[0]}) and {clips[b].name} ({said[1]})",
        "correct the labels, or list the wrong clips in a file and set data.skip to it",
        *_files(clips, wrong),
    )


def _files(clips: Sequence[Clip], sets: Sets) -> tuple[tuple[str, ...], Sets]:
    return tuple(clips[i].name for places in sets for i in places), sets


# --- sources ----------------------------------------------------------------------------------------------


def source_overlap(clips: Sequence[Clip], folds: Folds) -> list[Finding]:
    """Find sources with clips on both sides of a split, by their groups, or else by clear patterns in file names."""
    recordings = list(dict.fromkeys(clip.recording for clip in clips))
    stated = any(clip.group not in (None, "", clip.recording) for clip in clips)
    evident = None if stated else evident_sources(recordings)
    source_of = dict(zip(recordings, evident.sources, strict=True)) if evident else {}
    sources = [clip.group if stated else source_of.get(clip.recording, clip.group) for clip in clips]
    members: dict[str, list[int]] = {}
    for place, source in enumerate(sources):
        if source:
            members.setdefault(source, []).append(place)
    sets = tuple(tuple(places) for places in members.values() if len(places) > 1)
    mask = leaked(sets, folds, len(clips))
    if not mask.any():
        return []
    sets = tuple(places for places in sets if mask[list(places)].any())
    pattern = f"data.pattern='{evident.pattern}' " if evident else ""
    return [
        Finding(
            "source",
            "warning",
            f"{count_of(int(mask.sum()), 'test clip')} with clips of the same source in the training set"
            f" ({count_of(len(sets), 'source')}{', identified by file name' if evident else ''}), e.g."
            f" {clips[sets[0][0]].name} and {clips[sets[0][1]].name}",
            f"{pattern}split=group_kfold keeps each source on one side of the split",
            *_files(clips, sets),
        )
    ]


# --- shortcuts --------------------------------------------------------------------------------------------


def find_shortcuts(
    probes: Sequence[Probe],
    labels: Sequence[str],
    groups: Sequence[str] | None = None,
    seed: int = 42,
    *,
    task: str = "single",
) -> list[Finding]:
    """Find properties that alone predict the label, strongest first; see `audiofw.audit.shortcuts.shortcuts`.

    Of several labels, each is examined by itself, and a property is reported for the one that it predicts best.
    """
    if task == "single":
        return [_shortcut(one) for one in shortcuts(probes, labels, groups, seed)]
    sets = [set(split_labels(text)) for text in labels]
    found: dict[str, tuple[Shortcut, str]] = {}
    for label in sorted(set().union(*sets)):
        for one in shortcuts(probes, [str(label in each) for each in sets], groups, seed):
            if one.name not in found or found[one.name][0].accuracy < one.accuracy:
                found[one.name] = one, f" '{label}'"
    best_first = sorted(found.values(), key=lambda pair: -pair[0].accuracy)
    return [_shortcut(one, label) for one, label in best_first]


def _shortcut(one: Shortcut, label: str = "") -> Finding:
    return Finding(
        "shortcut",
        "warning" if one.strong else "note",
        f"{one.name} alone predicts the label{label}: balanced accuracy {one.accuracy:.0%}, chance {one.chance:.0%}",
        REMEDIES[one.name],
    )


# --- damaged recordings -----------------------------------------------------------------------------------


def find_flaws(clips: Sequence[Clip], probes: Sequence[Probe | None]) -> list[Finding]:
    """Find truncated recordings, and those whose channels cancel each other out when mixed."""
    cut = [clip.name for clip, one in zip(clips, probes, strict=True) if one and one.missing > 0]
    cancelling = [clip.name for clip, one in zip(clips, probes, strict=True) if one and one.cancels]
    found = []
    if cut:
        what = f"{count_of(len(cut), 'recording')} damaged or truncated (shorter than the header says), e.g. {cut[0]}"
        found.append(Finding("damaged", "warning", what, "copy them again, or list them in data.skip", tuple(cut)))
    if cancelling:
        many = count_of(len(cancelling), "recording")
        what = f"in {many} the channels cancel each other out, so the loudest one is used"
        remedy = "choose a channel: audio.channel=0"
        found.append(Finding("channels", "warning", f"{what}, e.g. {cancelling[0]}", remedy, tuple(cancelling)))
    return found
