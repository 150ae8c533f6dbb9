"""Typicality: rejecting the least typical clips loses as many known ones as stated, and finds foreign ones."""

import numpy as np
import pytest
import soundfile
from sklearn.decomposition import PCA
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import make_pipeline

from audiofw.data.splits import Fold
from audiofw.evaluation.cross_validate import cross_validate
from audiofw.evaluation.foreign import known_clips, write_sounds
from audiofw.evaluation.unknown import make_reference, measure_distances, measure_losses, typicality
from audiofw.learn.discriminant import ShrunkDiscriminant

RNG = np.random.default_rng(0)


def made(n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Three clusters of rows in 20 columns."""
    y = np.arange(n) % 3
    return RNG.normal(size=(n, 20)) + 3 * np.eye(3, 20)[y], y


def split(splitter, y) -> list[Fold]:
    return [Fold(train, test) for train, test in splitter.split(y, y)]


def evaluated(X, y, **options):
    folds = split(StratifiedKFold(5, shuffle=True, random_state=0), y)
    return cross_validate(lambda: ShrunkDiscriminant(0.3), folds, X, y, n_classes=3, novelty=True, **options)


@pytest.mark.parametrize("share", [0.05, 0.2])
@pytest.mark.parametrize("with_confidence", [True, False])
def test_new_known_clips_are_lost_as_often_as_stated(share, with_confidence):
    distances, proba = RNG.normal(size=4000), RNG.dirichlet([1, 1, 1], size=4000)
    proba = proba if with_confidence else None
    reference = make_reference(distances[:2000], None if proba is None else proba[:2000])
    new = typicality(reference, distances[2000:], None if proba is None else proba[2000:].max(axis=1))
    assert (new <= share).mean() == pytest.approx(share, abs=0.02)
    lost = measure_losses(distances[:2000], None if proba is None else proba[:2000], np.arange(2000) % 5, None, share)
    assert lost == pytest.approx(share, abs=0.02)


def test_typicality_falls_with_distance_and_rises_with_confidence():
    reference = make_reference(np.arange(99.0), np.linspace(0.5, 0.99, 99)[:, None])
    far = typicality(reference, np.array([10.0, 50.0, 98.0, 1e9]), np.full(4, 0.7))
    sure = typicality(reference, np.full(3, 50.0), np.array([0.4, 0.6, 0.99]))
    assert (np.diff(far) <= 0).all()
    assert far[0] > far[2]
    assert (np.diff(sure) > 0).all()


def test_a_reference_of_many_clips_is_thinned_out_and_says_the_same():
    distances = RNG.normal(size=30_000)
    full, half = make_reference(distances[:900], None), make_reference(distances, None)
    assert len(half.distances) == 1000
    new = RNG.normal(size=500)
    assert typicality(full, new, None) == pytest.approx(typicality(half, new, None), abs=0.06)


def test_losses_of_one_group_cannot_be_measured():
    assert measure_losses(np.arange(10.0), None, np.ones(10), np.repeat("a", 10), 0.1) is None


def test_foreign_rows_are_less_typical_than_test_clips():
    X, y = made()
    evaluation = evaluated(X, y)
    distances, proba = known_clips(evaluation)
    reference = make_reference(distances, proba)
    model, foreign = evaluation.models[-1], X[:50] + 8 * RNG.normal(size=(50, 20))
    far = measure_distances(evaluation.novelty, model, foreign, np.arange(50))
    assert (typicality(reference, far, model.predict_proba(foreign).max(axis=1)) < 0.05).mean() > 0.9


def test_distances_are_measured_out_of_fold_and_do_not_change_predictions():
    X, y = made()
    evaluation = evaluated(X, y)
    folds = split(StratifiedKFold(5, shuffle=True, random_state=0), y)
    plain = cross_validate(lambda: ShrunkDiscriminant(0.3), folds, X, y, n_classes=3)
    np.testing.assert_array_equal(plain.probabilities, evaluation.probabilities)
    assert plain.distances is None
    train = measure_distances(evaluation.novelty, evaluation.models[-1], X[folds[-1].train], folds[-1].train)
    assert np.median(train) < np.median(evaluation.distances[folds[-1].test])


def test_a_clip_that_no_fold_tests_has_no_distance():
    X, y = made(60)
    fold = split(KFold(3), y)[:1]
    evaluation = cross_validate(lambda: ShrunkDiscriminant(0.3), fold, X, y, n_classes=3, novelty=True)
    assert np.isnan(evaluation.distances[20:]).all()
    assert np.isfinite(evaluation.distances[:20]).all()


def test_augmented_rows_are_neither_measured_nor_taken_for_training_clips():
    X, y = made(90)
    rows, clip_of = np.vstack([X, X + 50]), np.tile(np.arange(90), 2)
    augmented = np.repeat([False, True], 90)
    evaluation = evaluated(rows, y, clip_of=clip_of, augmented=augmented)
    assert evaluation.novelty.factor_.n_samples_fit_ == 72
    np.testing.assert_allclose(evaluation.distances, evaluated(X, y).distances)


def test_a_clip_of_several_rows_has_their_mean_distance():
    X, y = made(60)
    single = evaluated(X, y)
    model, novelty = single.models[-1], single.novelty
    both = measure_distances(novelty, model, X[:4], np.array([0, 0, 1, 1]))
    assert both == pytest.approx(measure_distances(novelty, model, X[:4], np.arange(4)).reshape(2, 2).mean(axis=1))


def test_distances_are_those_of_the_rows_after_a_pooling_that_learns():
    matrices = np.empty(60, object)
    matrices[:] = [RNG.normal(size=(4, 5)) for _ in range(60)]

    class Pooling(PCA):
        def fit_transform(self, X, y=None):
            return super().fit_transform(np.stack([x.ravel() for x in X]))

        def transform(self, X):
            return super().transform(np.stack([x.ravel() for x in X]))

    folds = split(KFold(3), np.arange(60) % 2)
    evaluation = cross_validate(
        lambda: make_pipeline(Pooling(3), ShrunkDiscriminant(0.3)),
        folds, matrices, np.arange(60) % 2, n_classes=2, novelty=True,
    )  # fmt: skip
    assert evaluation.novelty.scale_.n_features_in_ == 3
    assert np.isfinite(evaluation.distances).all()


def test_with_several_labels_only_distances_count():
    X, y = made(60)
    folds = split(KFold(3), y)
    Y = np.eye(3, dtype=int)[y]
    evaluation = cross_validate(lambda: ShrunkDiscriminant(0.3), folds, X, Y, n_classes=3, novelty=True)
    distances, proba = known_clips(evaluation)
    assert len(distances) == 60
    assert proba is None


def test_the_sounds_asked_about_have_the_level_that_their_name_says(tmp_path):
    sounds = list(write_sounds(tmp_path, 16_000, 0.5))
    assert len(sounds) == 7
    assert {clip.label for clip in sounds} == {"white noise", "pink noise", "hum", "silence"}
    for clip in sounds:
        y, _ = soundfile.read(clip.path)
        if clip.label == "silence":
            assert not y.any()
        else:
            level = float(clip.name.rpartition(", ")[2].removesuffix(" dB"))
            assert 10 * np.log10(np.mean(y**2)) == pytest.approx(level, abs=0.3)
