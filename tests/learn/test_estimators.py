"""Estimators of `audiofw.learn` keep groups together, never see test rows, and work on degenerate tables."""

import warnings

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from audiofw.bundle.load import load_estimator
from audiofw.bundle.save import dump_estimator
from audiofw.errors import ConfigError
from audiofw.learn.boosting import Boosted, best_before_pause, find_rounds
from audiofw.learn.calibration import Calibrated, calibrated
from audiofw.learn.discriminant import ShrunkDiscriminant, discriminate
from audiofw.learn.inner_splits import inner_splits
from audiofw.learn.kernel_ridge import SoftKernelRidge
from audiofw.learn.neighbours import Neighbours
from audiofw.learn.preprocessing import Best, Directions, Standard
from audiofw.learn.stacking import Stack
from audiofw.learn.svm import SoftSVC
from audiofw.learn.voting import LEAST, Vote


def make_table(n: int = 90, n_classes: int = 3, distance: float = 2.0, seed: int = 0):
    """Make rows of overlapping classes in groups of three; returns X, y, groups."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % n_classes
    X = rng.standard_normal((n, 6)) + distance * np.eye(n_classes, 6)[y]
    return X, y, np.array([f"g{i // (3 * n_classes)}c{i % n_classes}" for i in range(n)])


class Spy(ClassifierMixin, BaseEstimator):
    """A classifier that records, in a list shared with its clones, the rows that it is fitted on and predicts.

    The first column of a row is its index.
    """

    def __init__(self, notes=None):
        self.notes = notes

    def __sklearn_clone__(self):
        return Spy(self.notes)

    def fit(self, X, y, sample_weight=None, groups=None):
        self.classes_ = np.unique(y)
        self.notes.append(("fit", X[:, 0].astype(int), sample_weight, groups))
        self.model_ = GaussianNB().fit(X[:, 1:], y, sample_weight)
        return self

    def predict_proba(self, X):
        self.notes.append(("ask", X[:, 0].astype(int)))
        return self.model_.predict_proba(X[:, 1:])

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def numbered(X):
    return np.column_stack([np.arange(len(X)), X])


# --- inner splits -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_no_group_is_on_both_sides_and_every_tested_class_is_trained_on(seed):
    rng = np.random.default_rng(seed)
    y, groups = rng.integers(0, 4, 100), rng.integers(0, 12, 100)
    splits = inner_splits(y, groups, n_splits=4, seed=seed)
    assert len(splits) > 1
    for train, test in splits:
        assert not set(groups[train]) & set(groups[test])
        assert set(y[test]) <= set(y[train])
    tested = np.concatenate([test for _, test in splits])
    assert len(tested) == len(set(tested)) > 50


def test_without_groups_every_row_is_tested_once_in_even_parts():
    splits = inner_splits(np.repeat(["a", "b"], [20, 10]), n_splits=5)
    assert sorted(np.concatenate([test for _, test in splits])) == list(range(30))
    assert {len(test) for _, test in splits} == {6}


def test_a_class_of_one_group_is_trained_on_and_never_tested():
    y, groups = np.repeat([0, 1, 2], 6), [*"aabbcc", *"ddeeff", *"gggggg"]
    splits = inner_splits(y, groups, n_splits=3)
    assert len(splits) == 3
    for train, test in splits:
        assert 2 in y[train]
        assert 2 not in y[test]


@pytest.mark.parametrize("groups", [None, [*"abcdefghijkl"]])
def test_a_class_of_two_clips_is_split_one_and_one(groups):
    y = np.array([0] * 10 + [1, 1])
    splits = inner_splits(y, groups, n_splits=5)
    assert [sum(y[test]) for _, test in splits] == [1, 1]
    assert [sum(y[train]) for train, _ in splits] == [1, 1]


NOTHING_TO_TEST = {
    "one group each": ([0, 0, 0, 1, 1, 1], [*"aaabbb"]),
    "one clip each": ([0, 1], None),
    "two clips each": ([0, 0, 1, 1], None),  # only one row per class would be left for training
    "one class": ([0, 0, 0], None),
    "nothing": ([], None),
}


@pytest.mark.parametrize(("y", "groups"), NOTHING_TO_TEST.values(), ids=NOTHING_TO_TEST)
def test_there_is_no_split_where_no_class_can_be_tested(y, groups):
    assert inner_splits(y, groups) == []


def test_splits_are_drawn_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert inner_splits([0] * 10 + [1] * 2 + [2], [*range(12), 12], n_splits=5)


# --- all estimators with inner splits ---------------------------------------------------------------------

WRAPPERS = {
    "stack": lambda model: Stack([("one", model)]),
    "logistic stack": lambda model: Stack([("one", model)], final="logistic"),
    "temperature": lambda model: Calibrated(model, "temperature"),
    "sigmoid": lambda model: Calibrated(model, "sigmoid"),
    "isotonic": lambda model: Calibrated(model, "isotonic"),
}


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_a_row_is_predicted_only_by_fits_without_its_group_until_all_is_fitted(wrap):
    X, y, groups = make_table()
    notes = []
    model = wrap(Spy(notes)).fit(numbered(X[:60]), y[:60], groups=groups[:60])
    fitted_on, asked, whole = [], 0, 0
    for what, rows, *_ in notes:
        if what == "fit":
            fitted_on, whole = rows, whole + (len(rows) == 60)
        else:
            assert not set(groups[rows]) & set(groups[fitted_on])
            asked += len(rows)
    assert (asked, whole) == (60, 1)
    model.predict_proba(numbered(X)[60:])
    assert set(notes[-1][1]) == set(range(60, 90))
    assert not any(set(rows) & set(range(60, 90)) for what, rows, *_ in notes[:-1])


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_members_are_handed_their_rows_weights_and_groups(wrap):
    X, y, groups = make_table(60)
    notes, weights = [], np.linspace(0.5, 1.5, 60)
    wrap(make_pipeline(Spy(notes))).fit(numbered(X), y, sample_weight=weights, groups=groups)
    fits = [note[1:] for note in notes if note[0] == "fit"]
    assert len(fits) > 2
    for rows, sample_weight, given in fits:
        assert np.array_equal(sample_weight, weights[rows])
        assert np.array_equal(given, groups[rows])


@pytest.mark.parametrize("wrap", [*WRAPPERS.values(), lambda m: Vote([("one", m)])], ids=[*WRAPPERS, "vote"])
def test_weights_for_a_member_that_takes_none_are_refused(wrap):
    X, y, _ = make_table(30)
    with pytest.raises(ConfigError, match="KNeighborsClassifier takes no sample_weight"):
        wrap(KNeighborsClassifier()).fit(X, y, sample_weight=np.ones(30))


ESTIMATORS = {
    **{name: wrap(LogisticRegression()) for name, wrap in WRAPPERS.items()},
    "vote": Vote([("a", LogisticRegression()), ("b", GaussianNB())], weights=[2, 1]),
    "svm": SoftSVC(),
    "discriminant": ShrunkDiscriminant(),
    "kernel ridge": SoftKernelRidge(),
    "few landmarks": SoftKernelRidge(landmarks=30),
    "neighbours": Neighbours(),
    "boosted": Boosted(DecisionTreeClassifier(max_depth=2)),
}
every_estimator = pytest.mark.parametrize("model", ESTIMATORS.values(), ids=ESTIMATORS)


@every_estimator
def test_it_is_a_scikit_learn_classifier(model):
    X, y, _ = make_table()
    names = np.array(["ant", "bee", "cow"])
    model = clone(clone(model))
    before = repr(model.get_params())
    fitted = model.fit(X, names[y])
    assert fitted is model
    assert repr(model.get_params()) == before
    assert list(model.classes_) == ["ant", "bee", "cow"]
    assert np.array_equal(model.predict(X), model.classes_[model.predict_proba(X).argmax(axis=1)])
    assert np.allclose(model.predict_proba(X).sum(axis=1), 1)
    assert model.score(X, names[y]) > 0.6


@every_estimator
@pytest.mark.parametrize("groups", [None, ["a", "a", "b", "b", "c", "c"], [*"abcdef"]], ids=["none", "one each", "two"])
def test_two_clips_a_class_are_enough(model, groups):
    X = np.repeat(np.eye(3), 2, axis=0) * 5 + np.random.default_rng(0).normal(0, 0.1, (6, 3))
    y = np.repeat([0, 1, 2], 2)
    proba = clone(model).fit(X, y, **({"groups": groups} if takes_groups(model) else {})).predict_proba(X)
    assert proba.shape == (6, 3)
    assert np.isfinite(proba).all()


def takes_groups(model) -> bool:
    return "groups" in model.fit.__code__.co_varnames


@every_estimator
def test_a_bundle_holds_it(model):
    X, y, _ = make_table(30)
    fitted = clone(model).fit(X, y)
    held = load_estimator(dump_estimator(fitted, ["a", "b", "c"]), "here", set())
    assert np.array_equal(held["model"].predict_proba(X), fitted.predict_proba(X))


# --- voting and stacking ----------------------------------------------------------------------------------


def test_one_member_cannot_forbid_what_the_others_say():
    X, y, _ = make_table()
    zeros = DecisionTreeClassifier(max_depth=1).fit(X, y)  # it has two leaves for three classes
    vote = Vote([("tree", zeros), ("a", LogisticRegression()), ("b", GaussianNB())]).fit(X, y)
    assert vote.score(X, y) > zeros.score(X, y) + 0.1
    assert (vote.predict_proba(X) > 0).all()


@pytest.mark.parametrize("mean", ["arithmetic", "geometric"])
@pytest.mark.parametrize("weights", [None, [3, 1]])
def test_a_vote_is_the_mean_of_its_members(weights, mean):
    X, y, _ = make_table()
    members = {"a": LogisticRegression(), "b": GaussianNB()}
    vote = Vote(list(members.items()), weights=weights, mean=mean).fit(X, y)
    each = np.maximum([member.fit(X, y).predict_proba(X) for member in members.values()], LEAST)
    average = np.average(each, axis=0, weights=weights)
    if mean == "geometric":
        average = np.exp(np.average(np.log(each), axis=0, weights=weights))
    expected = average / average.sum(axis=1, keepdims=True)
    assert np.allclose(vote.predict_proba(X), expected, atol=2 * LEAST if mean == "arithmetic" else 1e-9)


@pytest.mark.parametrize("final", ["weights", "logistic"])
def test_a_stack_of_shuffled_labels_scores_at_chance(final):
    X, y, groups = make_table(300)
    shuffled = np.random.default_rng(1).permutation(y)
    overfit = DecisionTreeClassifier(random_state=0)  # memorises its training rows
    model = Stack([("tree", overfit), ("bayes", GaussianNB())], final=final)
    model.fit(X[:150], shuffled[:150], groups=groups[:150])
    assert abs(model.score(X[150:], shuffled[150:]) - 1 / 3) < 0.12
    assert model.predict_proba(X[:150]).max(axis=1).mean() < 0.9  # it does not trust the tree


@pytest.mark.parametrize("final", ["weights", "logistic"])
def test_a_stack_believes_the_better_member(final):
    X, y, _ = make_table(150)
    noise = make_pipeline(Directions(1), DecisionTreeClassifier(random_state=0))
    stack = Stack([("noise", noise), ("bayes", GaussianNB())], final=final).fit(X[:100], y[:100])
    alone = GaussianNB().fit(X[:100], y[:100])
    assert log_loss(y[100:], stack.predict_proba(X[100:])) < log_loss(y[100:], alone.predict_proba(X[100:])) + 0.1
    if final == "weights":
        assert stack.powers_[1] > 3 * stack.powers_[0]


@pytest.mark.parametrize("final", ["weights", "logistic"])
def test_a_stack_votes_where_a_class_has_one_group(final):
    X, y, groups = make_table(60)
    groups[y == 2] = "same"
    members = [("a", LogisticRegression()), ("b", GaussianNB())]
    stack = Stack(members, final=final).fit(X, y, groups=groups)
    assert np.allclose(stack.predict_proba(X), Vote(members).fit(X, y).predict_proba(X))


# --- calibration ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["temperature", "sigmoid", "isotonic"])
def test_calibration_makes_boastful_probabilities_honest(method):
    X, y, _ = make_table(900, distance=1.0)
    boastful = DecisionTreeClassifier(max_depth=8, random_state=0)
    plain = clone(boastful).fit(X[:600], y[:600])
    honest = calibrated(lambda: clone(boastful), method)().fit(X[:600], y[:600])
    before, after = (log_loss(y[600:], model.predict_proba(X[600:])) for model in (plain, honest))
    assert after < before / 2
    if method == "temperature":
        assert np.array_equal(honest.predict(X), plain.predict(X))


def test_calibration_none_leaves_the_model_alone():
    assert calibrated(GaussianNB, "none") is GaussianNB


def test_calibration_of_what_has_no_probabilities_is_refused():
    from sklearn.svm import LinearSVC

    with pytest.raises(ConfigError, match="LinearSVC gives no probabilities"):
        calibrated(LinearSVC, "sigmoid")()


def test_probabilities_stay_as_they_are_where_a_class_has_one_group():
    X, y, groups = make_table(60)
    groups[y == 2] = "same"
    model = Calibrated(GaussianNB()).fit(X, y, groups=groups)
    assert np.allclose(model.predict_proba(X), GaussianNB().fit(X, y).predict_proba(X))


# --- early stopping ---------------------------------------------------------------------------------------


def boosters():
    from lightgbm import LGBMClassifier
    from sklearn.ensemble import HistGradientBoostingClassifier
    from xgboost import XGBClassifier

    return {
        "lightgbm": LGBMClassifier(n_estimators=150, num_leaves=4, min_child_samples=5, n_jobs=1, verbosity=-1),
        "xgboost": XGBClassifier(n_estimators=150, max_depth=2, learning_rate=0.1, n_jobs=1),
        "hist_gbm": HistGradientBoostingClassifier(max_iter=150, max_leaf_nodes=4, early_stopping=False),
    }


def count_rounds(model) -> int:
    """Number of rounds of a fitted booster."""
    if hasattr(model, "booster_"):
        return model.booster_.current_iteration()
    if hasattr(model, "get_booster"):
        return model.get_booster().num_boosted_rounds()
    return getattr(model, "tree_count_", None) or getattr(model, "n_iter_", None) or model.n_estimators_


def check_early_stopping(booster):
    X, y, groups = make_table(90, distance=1.5)
    model = Boosted(booster, early_stopping=10).fit(X, y, groups=groups)
    split = inner_splits(y, groups, n_splits=5, seed=0)[0]
    assert model.rounds_ == find_rounds(booster, X, y, split, 10)
    assert 1 <= model.rounds_ < 140
    assert count_rounds(model.estimator_) == model.rounds_
    rows = Boosted(booster, early_stopping=10).fit(X[split.train], y[split.train]).predict_proba(X)
    assert not np.allclose(model.predict_proba(X), rows)  # all rows were used for training
    assert Boosted(booster, early_stopping=10).fit(X, y, groups=y).rounds_ is None


@pytest.mark.parametrize("name", ["lightgbm", "xgboost", "hist_gbm"])
def test_boosting_is_fitted_anew_with_the_number_of_rounds_that_was_found(name):
    check_early_stopping(boosters()[name])


def test_catboost_is_fitted_anew_with_the_number_of_rounds_that_was_found():
    catboost = pytest.importorskip("catboost")
    options = {"verbose": False, "allow_writing_files": False, "thread_count": 1}
    check_early_stopping(catboost.CatBoostClassifier(iterations=150, depth=2, learning_rate=0.2, **options))


def test_labels_with_a_gap_and_weights_reach_early_stopping():
    X, y, _ = make_table(60)
    for booster in boosters().values():
        model = Boosted(booster, early_stopping=5).fit(X, 2 * y + 1, sample_weight=np.linspace(0.5, 2, 60))
        assert list(model.classes_) == [1, 3, 5]
        assert model.rounds_ >= 1


def test_the_least_loss_before_the_first_long_pause_counts():
    assert best_before_pause([5, 4, 3, 4, 4, 4, 1], patience=3) == 3
    assert best_before_pause([5, 4, 3, 4, 4, 2, 4], patience=3) == 6
    assert best_before_pause([], patience=3) == 1


# --- columns ----------------------------------------------------------------------------------------------


def test_scaling_is_that_of_standard_scaler_where_nothing_is_odd():
    X = make_table()[0]
    assert np.allclose(Standard().fit_transform(X), StandardScaler().fit_transform(X))


def test_scaling_survives_constants_huge_numbers_and_outliers():
    rng = np.random.default_rng(0)
    X = np.column_stack(
        [rng.standard_normal(50), np.full(50, 0.1), 1e30 * rng.standard_normal(50), 1e-30 * rng.random(50)]
    )
    scale = Standard().fit(X.astype(np.float32))
    assert np.allclose(scale.transform(X.astype(np.float32)).std(axis=0), [1, 0, 1, 1], atol=1e-3)
    odd = np.array([[1e9, 1e9, 0, 0]], np.float32)
    assert scale.transform(odd)[0, :2].tolist() == [10, 0]


def test_the_best_columns_are_kept_and_constant_ones_last():
    X, y, _ = make_table(distance=4)
    wide = np.column_stack([np.zeros(90), X, np.ones(90)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        best = Best(3).fit(wide, y)
    assert best.get_support(indices=True).tolist() == [1, 2, 3]
    assert Best(100).fit_transform(wide, y).shape == wide.shape


def test_there_are_no_more_directions_than_rows():
    assert Directions(50).fit_transform(np.random.default_rng(0).random((4, 20))).shape == (4, 4)


def test_svm_probabilities_rank_as_its_predictions_and_are_better_than_a_guess():
    X, y, groups = make_table(150, distance=1.0)
    model = SoftSVC().fit(X[:100], y[:100], groups=groups[:100])
    assert log_loss(y[100:], model.predict_proba(X[100:])) < 0.95 * np.log(3)
    assert np.array_equal(model.decision_function(X).argmax(axis=1), model.predict(X))
    two = SoftSVC().fit(X[y < 2], y[y < 2])
    assert np.array_equal(two.decision_function(X[y < 2]) > 0, two.predict(X[y < 2]) == 1)
    assert two.score(X[y < 2], y[y < 2]) > 0.7


# --- discriminant analysis --------------------------------------------------------------------------------


def test_hardly_shrunken_it_is_scikit_learns():
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    X, y, _ = make_table()
    ours, theirs = ShrunkDiscriminant(shrinkage=0.0).fit(X, y), LinearDiscriminantAnalysis(solver="lsqr").fit(X, y)
    scores = theirs.decision_function(X)
    ours = ours.decision_function(X) / ours.sharpness_
    assert np.allclose(ours - ours[:, :1], scores - scores[:, :1], rtol=0.01, atol=0.01)


@pytest.mark.parametrize("shrinkage", [0.1, 0.9])
def test_tables_wider_than_long_are_solved_as_others_are(shrinkage):
    X, y, _ = make_table(30)
    weight = np.linspace(0.5, 2, 30) / 37.5
    wide = np.hstack([X, np.random.default_rng(1).standard_normal((30, 40))])
    coef, intercept = discriminate(wide, y, weight, [shrinkage])[0]
    means = np.stack([np.average(wide[y == code], axis=0, weights=weight[y == code]) for code in range(3)])
    spread = (wide - means[y]) * np.sqrt(weight)[:, None]
    shape = (1 - shrinkage) * spread.T @ spread + shrinkage * np.sum(spread**2) / 46 * np.eye(46)
    solved = np.linalg.solve(shape, means.T)
    expected = wide @ solved + np.log(np.bincount(y, weight)) - np.sum(means.T * solved, axis=0) / 2
    ours = wide @ coef.T + intercept
    assert np.allclose(ours - ours[:, :1], expected - expected[:, :1])


def test_a_flat_shape_is_shrunken_less_than_a_ball():
    rng = np.random.default_rng(0)
    y = np.arange(400) % 2
    turn = np.linalg.qr(rng.standard_normal((8, 8)))[0]
    flat = (rng.standard_normal((400, 8)) * [1, 1, 1, 1, 9, 9, 9, 9] + y[:, None]) @ turn
    ball = rng.standard_normal((40, 100)) + 0.3 * y[:40, None]
    assert ShrunkDiscriminant().fit(flat, y).shrinkage_ < ShrunkDiscriminant().fit(ball, y[:40]).shrinkage_


def test_probabilities_from_a_table_wider_than_long_do_not_boast():
    X, y, groups = make_table(90, distance=1.0)
    wide = np.hstack([X, np.random.default_rng(0).standard_normal((90, 300))])
    model = ShrunkDiscriminant().fit(wide[:60], y[:60], groups=groups[:60])
    assert log_loss(y[60:], model.predict_proba(wide[60:])) < 1.1 * np.log(3)


def test_columns_in_one_unit_keep_their_proportions():
    X = np.random.default_rng(0).normal(size=(50, 3)) * [1.0, 0.1, 3.0]
    scaled = Standard(alike=10.0).fit_transform(X)
    np.testing.assert_allclose(scaled.std(axis=0) / scaled.std(axis=0)[0], X.std(axis=0) / X.std(axis=0)[0])
    with_hertz = np.column_stack([X, 1000 * X[:, 0]])
    np.testing.assert_allclose(Standard(alike=10.0).fit_transform(with_hertz).std(axis=0), 1.0)
