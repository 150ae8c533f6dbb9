"""One classifier per label."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from audiofw.errors import ConfigError
from audiofw.learn.boosting import Boosted
from audiofw.learn.one_vs_rest import OneVsRest, one_vs_rest

CHANCE = np.random.default_rng(0)
X = CHANCE.standard_normal((120, 6))
Y = (X[:, :3] + 0.5 * CHANCE.standard_normal((120, 3)) > (-0.3, 0.5, 1)).astype(np.int8)


def test_probabilities_are_those_of_scikit_learns_one_vs_rest():
    ours = OneVsRest(LogisticRegression()).fit(X, Y)
    np.testing.assert_allclose(
        ours.predict_proba(X), OneVsRestClassifier(LogisticRegression()).fit(X, Y).predict_proba(X)
    )


def test_labels_are_predicted_from_their_thresholds_on():
    model = OneVsRest(LogisticRegression()).fit(X, Y)
    np.testing.assert_array_equal(model.predict(X), model.predict_proba(X) >= 0.5)
    model.thresholds_ = np.array([0.1, 0.5, 0.9])
    np.testing.assert_array_equal(model.predict(X), model.predict_proba(X) >= [0.1, 0.5, 0.9])


@pytest.mark.parametrize(("label", "share"), [(np.zeros(120), 0.0), (np.ones(120), 1.0)])
def test_a_label_that_all_or_none_have_is_constant(label, share):
    model = OneVsRest(LogisticRegression()).fit(X, np.column_stack([Y[:, 0], label]))
    assert model.one_sided_.tolist() == [False, True]
    assert set(model.predict_proba(X)[:, 1]) == {share}


def test_balanced_labels_weigh_as_much_as_their_absence():
    ours = OneVsRest(LogisticRegression(), balance="balanced").fit(X, Y)
    for k in range(3):
        alone = LogisticRegression(class_weight="balanced").fit(X, Y[:, k])
        np.testing.assert_allclose(ours.estimators_[k].coef_, alone.coef_, rtol=1e-4)


def test_weights_of_rows_reach_each_classifier_within_a_pipeline():
    weight = np.where(np.arange(120) < 60, 1.0, 0.0)
    model = OneVsRest(make_pipeline(StandardScaler(), LogisticRegression())).fit(X, Y, sample_weight=weight)
    scaled = StandardScaler().fit_transform(X)
    alone = LogisticRegression().fit(scaled, Y[:, 1], sample_weight=weight)
    np.testing.assert_allclose(model.estimators_[1][-1].coef_, alone.coef_, rtol=1e-6)


def test_a_model_without_weights_does_without_unless_labels_are_to_be_balanced():
    model = OneVsRest(KNeighborsClassifier()).fit(X, Y, sample_weight=np.ones(120))
    assert model.predict_proba(X).shape == (120, 3)
    with pytest.raises(ConfigError, match="balance=balanced: KNeighborsClassifier takes no sample_weight"):
        OneVsRest(KNeighborsClassifier(), balance="balanced").fit(X, Y)


def test_groups_reach_early_stopping_and_keep_a_copy_of_a_row_out_of_its_inner_test():
    """Copies of the same noise: with groups, no round helps on unseen rows, and without, many seem to."""
    from sklearn.ensemble import GradientBoostingClassifier

    rows, labels = np.repeat(CHANCE.standard_normal((40, 8)), 5, axis=0), CHANCE.integers(2, size=40).repeat(5)
    model = OneVsRest(Boosted(GradientBoostingClassifier(n_estimators=60, random_state=0), early_stopping=5))
    apart = model.fit(rows, labels[:, None], groups=np.arange(40).repeat(5)).estimators_[0].rounds_
    mixed = model.fit(rows, labels[:, None], groups=np.arange(200)).estimators_[0].rounds_
    assert apart < 0.5 * mixed


def test_a_pooling_that_learns_stays_before_all_classifiers():
    pipeline = Pipeline([("pooling", StandardScaler()), ("model", LogisticRegression())])
    wrapped = one_vs_rest(pipeline, pools=True).fit(X, Y)
    assert [name for name, _ in wrapped.steps] == ["pooling", "model"]
    assert len(wrapped[1].estimators_) == 3


def test_a_model_without_probabilities_is_refused():
    with pytest.raises(ConfigError, match="task=multilabel: RidgeClassifier gives no probabilities"):
        one_vs_rest(make_pipeline(StandardScaler(), RidgeClassifier()))


def test_class_indices_are_refused():
    with pytest.raises(ValueError, match="indicator matrix"):
        OneVsRest(LogisticRegression()).fit(X, Y[:, 0])
