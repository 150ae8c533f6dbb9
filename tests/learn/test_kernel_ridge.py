"""Kernel ridge regression: exact, out of fold and with landmarks; what is chosen in the training rows."""

import numpy as np
import pytest

from audiofw.learn.inner_splits import inner_splits
from audiofw.learn.kernel_ridge import RidgeTargets, SoftKernelRidge, solve_columns, solve_rows, spread_rows


def make_rows(n=60, d=80, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    return rng.standard_normal((n, d)) + 0.8 * rng.standard_normal((3, d))[y], y


def make_data(y, alpha=0.1, weight=None, groups=None):
    weight = np.ones(len(y)) if weight is None else weight
    return RidgeTargets(np.eye(y.max() + 1)[y], weight, inner_splits(y, groups, n_splits=3), alpha)


def make_kernel(X):
    return np.exp(-0.01 * np.square(X[:, None] - X).sum(axis=2))


def test_scores_are_those_of_scikit_learns_regression():
    from sklearn.kernel_ridge import KernelRidge
    from sklearn.preprocessing import StandardScaler

    X, y = make_rows()
    model = SoftKernelRidge(alpha=0.5, gamma=0.3, scale=1.0).fit(X[:40], y[:40])
    Z, shares = StandardScaler().fit(X[:40]).transform(X), np.bincount(y[:40]) / 40
    theirs = KernelRidge(kernel="rbf", alpha=0.5, gamma=0.3 / 80).fit(Z[:40], np.eye(3)[y[:40]] - shares)
    ours = model.decision_function(X[40:]) / model.sharpness_
    assert np.allclose(ours, theirs.predict(Z[40:]) + shares, atol=2e-3)  # the rows are kept in 16 bits


@pytest.mark.parametrize("by_columns", [False, True])
def test_scores_out_of_fold_are_those_of_a_model_that_never_saw_the_fold(by_columns):
    X, y = make_rows(30)
    kernel, weight = make_kernel(X), np.linspace(0.5, 1.5, 30)
    data = make_data(y, weight=weight, groups=np.arange(30) // 2)
    solved = solve_columns(np.linalg.cholesky(kernel), data) if by_columns else solve_rows(kernel.copy(), data)
    for train, test in data.splits:
        known = data.shares(train)
        ridge = kernel[np.ix_(train, train)] + np.diag(data.alpha / weight[train])
        coef = np.linalg.solve(ridge, data.indicators[train] - known)
        assert np.allclose(solved[2][test], kernel[np.ix_(test, train)] @ coef + known)
    assert not np.isnan(solved[2]).any()


def test_a_class_with_one_group_is_trained_on_but_not_tested():
    X, y = make_rows(30)
    groups = np.where(y == 2, 99, np.arange(30))
    data = make_data(y, groups=groups)
    for scores in (solve_rows(make_kernel(X), data)[2], solve_columns(np.linalg.cholesky(make_kernel(X)), data)[2]):
        assert np.array_equal(np.isnan(scores).any(axis=1), y == 2)


def test_a_weight_of_two_counts_as_two_rows():
    X, y = make_rows(30)
    twice = np.append(np.arange(30), 4)
    weighted = solve_rows(make_kernel(X), make_data(y, weight=np.where(np.arange(30) == 4, 2.0, 1.0)))
    repeated = solve_rows(make_kernel(X[twice]), make_data(y[twice]))
    assert np.allclose(
        make_kernel(X) @ weighted[0] + weighted[1], (make_kernel(X[twice]) @ repeated[0])[:30] + repeated[1]
    )


def test_landmarks_approximate_the_kernel():
    X, y = make_rows(360, 5)
    models = [SoftKernelRidge(scale=1.0, landmarks=n).fit(X[:300], y[:300]) for n in (300, 150)]
    exact, few = (model.predict_proba(X[300:]) for model in models)
    assert models[1].rows_.shape == (150, 5)
    assert np.abs(exact - few).max() < 0.05


@pytest.mark.parametrize(("loud", "chosen"), [("noise", {1.0}), ("signal", {0.0, 0.5})])
def test_the_scaling_of_columns_is_chosen_in_the_training_rows(loud, chosen):
    X, y = make_rows(90, 400)
    X[:, 20:] = np.random.default_rng(1).standard_normal((90, 380))
    X *= np.where((np.arange(400) >= 20) == (loud == "noise"), 8.0, 1.0)
    assert SoftKernelRidge().fit(X, y).scale_ in chosen


def test_probabilities_for_unknown_groups_do_not_boast():
    from sklearn.metrics import log_loss

    rng = np.random.default_rng(0)
    groups, y = np.repeat(np.arange(30), 5), np.repeat(np.arange(30) % 3, 5)
    X = rng.standard_normal((30, 40))[groups] + 0.05 * rng.standard_normal((150, 40))  # a group tells nothing of others
    model = SoftKernelRidge().fit(X[:100], y[:100], groups=groups[:100])
    assert log_loss(y[100:], model.predict_proba(X[100:])) < 1.2 * np.log(3)


def test_importance_is_that_of_the_columns_that_tell_classes_apart():
    X, y = make_rows(90, 60)
    X[:, 20:] = np.random.default_rng(1).standard_normal((90, 40))
    shares = SoftKernelRidge().fit(X, y).feature_importances_
    assert shares[:20].mean() > 2 * shares[20:].mean()


def test_rows_are_chosen_from_all_classes_in_proportion():
    codes = np.repeat([0, 1, 2], [800, 190, 10])
    some = spread_rows(codes, 100, seed=0)
    assert np.abs(np.bincount(codes[some]) - [80, 19, 1]).max() <= 1
    assert len(np.unique(some)) == 100
