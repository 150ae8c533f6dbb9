"""Sounds of no class: how typical a clip is of the clips that a model was trained on.

Two things are compared with the test clips, which the model was not trained on either: the distance of a clip's
features from the training clips' (`audiofw.learn.novelty`), and, with one label per clip, the model's confidence. Each
gives the share of test clips that are at least as strange. *Typicality* combines both into one such share (a conformal
p-value): rejecting clips below 0.05 loses 5 % of the known ones, if these are like the tested clips.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from audiofw.evaluation.conformal import deal, thin_out
from audiofw.evaluation.fit import Sample, classifier_rows, mean_over_rows, one_blas_thread, rows_of


class Reference(NamedTuple):
    """What was measured on test clips: sorted, and thinned out if there are many."""

    distances: Sequence[float]
    confidences: Sequence[float]  #: empty if they are not used
    surprises: Sequence[float]  #: see `surprise`


def fit_novelty(model: Any, sample: Sample, clips: np.ndarray) -> Any:
    """Fit a `Novelty` on the rows of some clips, as the model's classifier takes them, without augmented copies."""
    from audiofw.learn.novelty import Novelty, even_places  # scikit-learn takes its time to import

    rows = rows_of(clips, sample.clip_of, without=sample.augmented)
    if sample.is_on_disk:
        rows = rows[even_places(len(rows), Novelty().most)]  # as it does itself, but without reading the others
    with one_blas_thread():
        return Novelty().fit(_dense(classifier_rows(model, sample.take(rows))))


def measure_distances(novelty: Any, model: Any, X: np.ndarray, clip_of: np.ndarray) -> np.ndarray:
    """Measure how far clips are from those that ``novelty`` was fitted on.

    Parameters
    ----------
    novelty : Novelty
    model : classifier
        Fitted on the same clips; it may begin with a pooling that learns.
    X : np.ndarray [shape=(rows, d)]
    clip_of : np.ndarray [shape=(rows,)]
        Index of each row's clip; the rows of a clip are consecutive.

    Returns
    -------
    np.ndarray [shape=(clips,)]
        Mean over the clip's rows.
    """
    with one_blas_thread():
        distances = novelty.measure(_dense(classifier_rows(model, X)))
    return mean_over_rows(distances[:, None], clip_of)[:, 0]


def _dense(rows: Any) -> np.ndarray:
    return np.asarray(rows.toarray() if hasattr(rows, "toarray") else rows)  # a pooling may return a sparse matrix


def make_reference(distances: np.ndarray, proba: np.ndarray | None) -> Reference:
    """Sort what was measured on test clips.

    Parameters
    ----------
    distances : np.ndarray [shape=(clips,)]
        Of clips from the training clips of their fold.
    proba : np.ndarray [shape=(clips, n_classes)] or None
        Out-of-fold probabilities; None if they are not to be used.
    """
    confidences = np.empty(0) if proba is None else proba.max(axis=1)
    bare = Reference(np.sort(distances).tolist(), np.sort(confidences).tolist(), ())
    surprises = np.sort(surprise(bare, distances, None if proba is None else confidences))
    return Reference(*(thin_out(np.asarray(each)).tolist() for each in (*bare[:2], surprises)))


def surprise(reference: Reference, distances: np.ndarray, confidences: np.ndarray | None) -> np.ndarray:
    """Add up how rare such a distance, and such a low confidence, are among test clips (Fisher's method)."""
    rarity = -np.log(_share_above(reference.distances, distances))
    if confidences is not None and len(reference.confidences):
        rarity -= np.log(_share_above(-np.asarray(reference.confidences)[::-1], -confidences))
    return rarity


def typicality(reference: Reference, distances: np.ndarray, confidences: np.ndarray | None) -> np.ndarray:
    """Compute the share of test clips that are at least as strange, counting the clip itself, ``(clips,)``."""
    return _share_above(reference.surprises, surprise(reference, distances, confidences))


def _share_above(ordered: Sequence[float] | np.ndarray, values: np.ndarray) -> np.ndarray:
    """Share of the numbers in ``ordered`` and the value itself that are at least that value."""
    nearly = 1e-9 * (1 + np.abs(values))  # rounding must not make a test clip stranger than itself
    return (len(ordered) - np.searchsorted(ordered, values - nearly) + 1) / (len(ordered) + 1)


def read_reference(facts: Mapping[str, Any] | None) -> Reference | None:
    """Read the reference that a bundle contains; None if it has none."""
    return None if not facts else Reference(**{name: facts[name] for name in Reference._fields})


def measure_losses(
    distances: np.ndarray, proba: np.ndarray | None, parts: np.ndarray, groups: np.ndarray | None, share: float
) -> float | None:
    """Measure how many known clips are lost by rejecting that share, by the reference of other folds.

    Parameters
    ----------
    distances, proba
        As for `make_reference`.
    parts : np.ndarray [shape=(clips,)]
        The fold that tested each clip; a single fold is divided into parts.
    groups : np.ndarray [shape=(clips,)], optional
    share : float

    Returns
    -------
    float or None
        None if there is only one part.
    """
    parts = deal(parts, groups)
    if len(np.unique(parts)) < 2:
        return None
    lost = np.zeros(len(distances), bool)
    for number in np.unique(parts):
        own = parts == number
        reference = make_reference(distances[~own], None if proba is None else proba[~own])
        confidences = None if proba is None else proba[own].max(axis=1)
        lost[own] = typicality(reference, distances[own], confidences) <= share
    return float(lost.mean())
