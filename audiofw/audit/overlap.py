"""Compare test clips with the clips that a saved model was trained on: copies, near-duplicates and shared sources."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from audiofw.audio.stretch import Stretch
from audiofw.audit.findings import Finding, Sound, count_of, sounds_same
from audiofw.audit.fingerprint import ENOUGH_INFO, near_pairs
from audiofw.audit.leakage import effect
from audiofw.audit.probe import Probe
from audiofw.data.dataset import Clip
from audiofw.data.provenance import evident_sources

LEAVE_OUT = "list them in a file and set data.skip to it"


class Known(NamedTuple):
    """A clip that a model was trained on, as the audit remembers it."""

    name: str
    label: str
    group: str | None = None
    digest: str | None = None  #: of the decoded samples; None if they were not measured
    prints: np.ndarray | None = None  #: see `audiofw.audit.fingerprint.fingerprint`


class Overlap(NamedTuple):
    """What test clips share with training clips: each test clip's index, with the index of one that it is a copy of."""

    identical: Mapping[int, int]
    near: Mapping[int, int]
    unsure: Mapping[int, int]  #: may be near-duplicates, but the training recordings are needed to tell


def find_overlap(
    clips: Sequence[Clip],
    probes: Sequence[Probe | None],
    known: Sequence[Known],
    *,
    read: Callable[[Stretch], Sound],
    recordings: Mapping[str, Clip],
) -> Overlap:
    """Find the test clips that are copies of training clips.

    Parameters
    ----------
    clips : sequence of Clip
        To be tested.
    probes : sequence of Probe or None [shape=(clips,)]
    known : sequence of Known
        The training clips.
    read : callable
        Reads the probed part of a clip.
    recordings : mapping of str to Clip
        The training clips that are still available, by name: short ones are compared by their waveforms.
    """
    by_digest = {one.digest: j for j, one in reversed(list(enumerate(known))) if one.digest is not None}
    identical = {i: by_digest[one.digest] for i, one in enumerate(probes) if one and one.digest in by_digest}
    near: dict[int, int] = {}
    unsure: dict[int, int] = {}
    for i, j, info in _matches(probes, known, identical):
        ours = recordings.get(known[j].name)
        if i in near:
            continue
        if info >= ENOUGH_INFO or (ours and ours.path.is_file() and sounds_same(clips[i], ours, read)):
            near[i] = j
        elif not (ours and ours.path.is_file()):
            unsure[i] = j
    return Overlap(identical, near, {i: j for i, j in unsure.items() if i not in near})


def _matches(
    probes: Sequence[Probe | None], known: Sequence[Known], identical: Mapping[int, int]
) -> list[tuple[int, int, int]]:
    """Match the fingerprints of test clips and training clips: the two indices, and the number of bits compared."""
    tested = [i for i, one in enumerate(probes) if one and i not in identical]
    trained = [j for j, one in enumerate(known) if one.prints is not None]
    prints = [probes[i].prints for i in tested] + [known[j].prints for j in trained]  # type: ignore[union-attr]
    pairs = near_pairs([one for one in prints if one is not None])
    n = len(tested)
    return [(tested[pair.a], trained[pair.b - n], pair.info) for pair in pairs if pair.a < n <= pair.b]


def overlap_findings(
    clips: Sequence[Clip], known: Sequence[Known], overlap: Overlap, y: np.ndarray, predictions: np.ndarray
) -> list[Finding]:
    """Say what test clips share with training clips, warnings first.

    ``y`` and ``predictions`` are those of the test clips, [shape=(clips,)], -1 where there is none; they show how much
    better the model predicts copies.
    """
    copies = {**overlap.near, **overlap.identical}
    found = [
        _copies("identical", "equal to a training clip in every sample that is used", clips, known, overlap.identical),
        _copies(
            "near-duplicate", "a near-duplicate of a training clip (by audio fingerprint)", clips, known, overlap.near
        ),
        _other_labels(clips, known, copies),
        _shared_groups(clips, known),
        _shared_sources(clips, known),
        _unsure(clips, known, overlap.unsure),
        *_unmeasured(known),
    ]
    mask = np.zeros(len(clips), bool)
    mask[list(copies)] = True
    better = effect(y, predictions, mask)
    return [one._replace(effect=better) if one.kind in ("identical", "near-duplicate") else one for one in found if one]


def _copies(
    kind: Literal["identical", "near-duplicate"],
    words: str,
    clips: Sequence[Clip],
    known: Sequence[Known],
    pairs: Mapping[int, int],
) -> Finding | None:
    if not pairs:
        return None
    i, j = next(iter(pairs.items()))
    verb = "is" if len(pairs) == 1 else "are each"
    said = (
        f"{len(pairs)} of {count_of(len(clips), 'test clip')} {verb} {words}, e.g. {clips[i].name} and {known[j].name}"
    )
    return Finding(kind, "warning", said, f"leave them out: {LEAVE_OUT}", tuple(clips[i].name for i in pairs))


def _other_labels(clips: Sequence[Clip], known: Sequence[Known], pairs: Mapping[int, int]) -> Finding | None:
    wrong = {i: j for i, j in pairs.items() if clips[i].label != known[j].label}
    if not wrong:
        return None
    i, j = next(iter(wrong.items()))
    said = (
        f"{count_of(len(wrong), 'test clip')} with another label than the training clip of the same sound, e.g."
        f" {clips[i].name} ({clips[i].label or 'no label'}) and {known[j].name} ({known[j].label or 'no label'})"
    )
    remedy = f"correct the labels, or leave the clips out: {LEAVE_OUT}"
    return Finding("contradiction", "warning", said, remedy, tuple(clips[i].name for i in wrong))


def _shared_groups(clips: Sequence[Clip], known: Sequence[Known]) -> Finding | None:
    groups = {one.group for one in known if one.group}
    shared = [clip for clip in clips if clip.group in groups]
    if not shared:
        return None
    said = (
        f"{count_of(len(shared), 'test clip')} of groups that training clips have, too, e.g. {shared[0].name}"
        f" (group {shared[0].group})"
    )
    remedy = "test clips of other groups, or rename the groups if only their names are the same"
    return Finding("source", "warning", said, remedy, tuple(clip.name for clip in shared))


def _shared_sources(clips: Sequence[Clip], known: Sequence[Known]) -> Finding | None:
    """Find clear patterns in file names that tell the source, where no groups are given."""
    if any(one.group for one in known) or any(clip.group for clip in clips):
        return None
    ours, theirs = [clip.recording for clip in clips], [one.name for one in known]
    evident = evident_sources([*ours, *theirs])
    if evident is None:
        return None
    trained = set(evident.sources[len(ours) :])
    shared = [clip.name for clip, source in zip(clips, evident.sources, strict=False) if source in trained]
    same = {Path(name).name for name in ours} & {Path(name).name for name in theirs}
    shared = [name for name in shared if Path(name).name not in same]  # copies, or other files with the same names
    if not shared:
        return None
    said = f"{count_of(len(shared), 'test clip')} of the same source as training clips, by file name, e.g. {shared[0]}"
    return Finding("source", "warning", said, f"test other recordings, or leave these out: {LEAVE_OUT}", tuple(shared))


def _unsure(clips: Sequence[Clip], known: Sequence[Known], pairs: Mapping[int, int]) -> Finding | None:
    if not pairs:
        return None
    i, j = next(iter(pairs.items()))
    said = (
        f"{count_of(len(pairs), 'short test clip')} may be near-duplicates of training clips, which are no longer where"
        f" the run found them, so that waveforms cannot be compared, e.g. {clips[i].name} and {known[j].name}"
    )
    return Finding("near-duplicate", "note", said, "listen to them", tuple(clips[i].name for i in pairs))


def _unmeasured(known: Sequence[Known]) -> list[Finding]:
    """Say what could not be compared."""
    if not known:
        said = "the model has no list of its training clips, so copies among the test clips cannot be found"
        return [Finding("identical", "note", said, "train again with this version of audiofw")]
    if all(one.digest is None for one in known):
        said = "the training clips were not measured, so that copies of them among the test clips are not found"
        return [Finding("identical", "note", said, "train again with audit=warn")]
    if all(one.prints is None for one in known):
        said = "the model was trained on too many clips to keep their fingerprints: only exact copies are found"
        return [Finding("near-duplicate", "note", said, "compare the file names")]
    return []
