"""The available models: odd feature tables, ensembles of other plugins, and their contribution to a job's identity."""

import json

import numpy as np
import pytest
from quick import QUICK

from audiofw.bundle.load import load_estimator
from audiofw.bundle.save import dump_estimator
from audiofw.contract.plugin import Plugin
from audiofw.contract.registry import load_menus
from audiofw.errors import ConfigError, PluginError
from audiofw.learn.calibration import calibrated
from audiofw.learn.steps import fit

MENUS = load_menus()
BUILT_IN = [plugin for plugin in MENUS.plugins["model"].values() if plugin.owner == "built in"]
every_model = pytest.mark.parametrize("plugin", BUILT_IN, ids=lambda plugin: plugin.name)


def make(plugin: Plugin, **options):
    if plugin.name == "catboost":
        pytest.importorskip("catboost", reason="an extra; .[test] has it")
    options = {**QUICK.get(plugin.name, {}), **options}
    return MENUS.choose_member("model", plugin.name, options)(0, 1)


def odd_table():
    """Make a wide table: scales that differ by 10⁴⁰, constant columns, and one that is constant only in training."""
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    X = rng.standard_normal((60, 300)) * 10.0 ** rng.integers(-10, 30, 300)
    X[:, 100:150] = 7
    X[:, :90] = 3 * np.eye(3)[y].repeat(30, axis=1) + rng.standard_normal((60, 90))
    X[40:, 299] = 1e30
    X[:40, 299] = 1
    return X.astype(np.float32), y


@every_model
def test_constant_columns_and_huge_scales_do_no_harm(plugin):
    X, y = odd_table()
    model = make(plugin).fit(X[:40], y[:40])
    assert np.isfinite(model.predict_proba(X[40:])).all()
    assert (model.predict(X[40:]) == y[40:]).mean() > (0.5 if plugin.name == "knn" else 0.7)


@every_model
@pytest.mark.filterwarnings("ignore:Variables are collinear")
def test_two_clips_a_class_can_be_fitted(plugin):
    X = np.repeat(np.eye(3), 2, axis=0).astype(np.float32) + np.random.default_rng(0).normal(0, 0.01, (6, 3))
    proba = make(plugin).fit(X, np.repeat([0, 1, 2], 2)).predict_proba(X)
    assert proba.shape == (6, 3)
    assert np.isfinite(proba).all()


@every_model
def test_weights_move_the_answer_or_are_refused(plugin):
    X = np.random.default_rng(0).standard_normal((60, 4))
    y, weights = np.arange(60) % 2, np.where(np.arange(60) % 2, 10.0, 0.1)
    if plugin.name == "knn":
        with pytest.raises(ConfigError, match="Neighbours takes no sample_weight"):
            fit(make(plugin), X, y, weights)
        return
    options = {"min_samples_leaf": 5} if plugin.name in ("extra_trees", "random_forest") else {}  # mixed leaves
    plain, weighed = fit(make(plugin, **options), X, y), fit(make(plugin, **options), X, y, weights)
    new = np.random.default_rng(1).standard_normal((60, 4))
    assert weighed.predict_proba(new)[:, 1].mean() > plain.predict_proba(new)[:, 1].mean() + 0.02


ROUNDS = ("n_estimators", "max_iter", "iterations")


@every_model
@pytest.mark.parametrize("calibration", ["none", "isotonic"])
def test_a_bundle_holds_every_model(plugin, calibration):
    X, y = odd_table()
    few = {key: 3 for key in QUICK.get(plugin.name, {}) if key in ROUNDS}
    model = calibrated(lambda: make(plugin, **few), calibration)().fit(X, y)
    held = load_estimator(dump_estimator(model, ["a", "b", "c"]), "here", set())
    assert held["encoder"].classes_.tolist() == ["a", "b", "c"]
    assert np.array_equal(held["model"].predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize("name", ["svm", "logistic_regression", "knn", "lda"])
@pytest.mark.parametrize("options", [{"select": 5}, {"pca": 5}, {"select": 20, "pca": 500}])
def test_columns_are_chosen_and_turned_inside_the_model(name, options):
    X, y = odd_table()
    model = MENUS.choose_member("model", name, options)(0, 1).fit(X[:40], y[:40])
    assert model[:-1].transform(X).shape[1] <= max(5, min(options.values()))
    assert model.score(X[40:], y[40:]) > 0.6


@pytest.mark.parametrize("name", ["lightgbm", "xgboost", "hist_gbm", "catboost"])
def test_early_stopping_is_an_option_of_boosting(name):
    if name == "catboost":
        pytest.importorskip("catboost", reason="an extra; .[test] has it")
    X, y = np.random.default_rng(0).standard_normal((90, 5)), np.arange(90) % 3
    model = MENUS.choose_member("model", name, {"early_stopping": 3})(0, 1).fit(X, y)
    assert 1 <= model.rounds_ < 50  # there is nothing to learn


# --- members ----------------------------------------------------------------------------------------------

THIRD_PARTY = '''
from audiofw import hookimpl

@hookimpl
def register_models(register):
    register(bayes)
    register(twice)

def bayes(seed, *, smoothing: float = 1e-9):
    """Bayes."""
    from sklearn.naive_bayes import GaussianNB
    return GaussianNB(var_smoothing=smoothing)

def twice(make):
    """Two of them."""
    return make("vote", members=["bayes", "lda"], bayes={"smoothing": 0.5})
'''


@pytest.fixture
def menus(tmp_path):
    (tmp_path / "third.py").write_text(THIRD_PARTY)
    return load_menus([tmp_path])


def test_members_are_any_available_models_with_their_options(menus):
    model = menus.choose("model", {"name": "vote", "members": ["bayes", "svm"], "svm": {"C": 2.0}})(3, 1)
    assert [name for name, _ in model.estimators] == ["bayes", "svm"]
    params = model.get_params()
    assert params["svm__svm__C"] == 2
    assert params["svm__svm__random_state"] == 3
    assert params["bayes__var_smoothing"] == 1e-9


def test_a_third_party_model_may_contain_models_that_contain_models(menus):
    model = menus.choose("model", {"name": "twice"})(0, 1)
    assert model.get_params()["bayes__var_smoothing"] == 0.5


@pytest.mark.parametrize("name", ["vote", "stack"])
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"members": ["svn"]}, "did you mean 'svm'?"),
        ({"members": []}, "give at least one model"),
        ({"members": ["svm", "svm"]}, "each only once"),
        ({"members": ["svm"], "lda": {"pca": 3}}, "model.lda: unknown option"),
        ({"members": ["svm"], "svm": {"CC": 3}}, "model.CC: unknown option (did you mean"),
        ({"members": ["lda"], "lda": {"pcb": 3}}, "model.lda.pcb: unknown option (did you mean 'pca'?)"),
        ({"members": ["svm"], "svm": {"C": -3}}, "model.svm.C=-3: must be float > 0"),
        ({"members": ["svm"], "svm": 3}, "model.svm=3"),
    ],
)
def test_members_that_cannot_be_are_refused_before_any_work(name, options, said):
    with pytest.raises(ConfigError) as refused:
        MENUS.choose_member("model", name, options)(0, 1)
    assert said in str(refused.value)


@pytest.mark.parametrize("weights", [[1.0], [0.0, 0.0]])
def test_weights_that_do_not_fit_the_members_are_refused(weights):
    with pytest.raises(ConfigError, match="give one weight for each of the 2 members"):
        MENUS.choose_member("model", "vote", {"members": ["svm", "lda"], "weights": weights})(0, 1)


def test_the_identity_knows_the_code_and_the_options_of_members(tmp_path):
    def identity(code, **options):
        (tmp_path / "third.py").write_text(code)
        choice = load_menus([tmp_path]).choose_member("model", "vote", {"members": ["bayes", "lda"], **options})
        return json.dumps(choice.identity)

    base = identity(THIRD_PARTY)
    assert base == identity(THIRD_PARTY)
    assert base != identity(THIRD_PARTY + "\nSMOOTHING = 2\n")
    assert base != identity(THIRD_PARTY.replace("1e-9", "1e-8"))
    assert base != identity(THIRD_PARTY, bayes={"smoothing": 0.1})


def test_only_a_model_that_makes_others_holds_the_menus():
    assert MENUS.choose_member("model", "vote", {}).choose is not None
    alone = [MENUS.choose_member(kind, name, {}) for kind, name in (("feature", "mel"), ("model", "svm"))]
    assert [choice.choose for choice in alone] == [None, None]


def test_make_without_menus_is_refused():
    from audiofw.contract.plugin import Choice

    with pytest.raises(PluginError, match=r"needs a choice from load_menus\(\)"):
        Choice(MENUS.find("model", "vote"), {"members": ["svm"]})(0, 1)


# --- the command line -------------------------------------------------------------------------------------


def test_a_calibrated_vote_runs_from_the_command_line(audiofw, sounds, tmp_path):
    sounds(clips=12)
    words = ["data.source=sounds", "model=vote", "model.members=[lda,knn]", "+model.knn.n_neighbors=3"]
    outcome = audiofw(*words, "calibration=sigmoid", "report=false", "hydra.run.dir=run")
    assert outcome.code == 0, outcome.err
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())
    assert metrics["value"] > 0.7


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["model=vote", "model.members=[svm,lihgtgbm]"], "did you mean 'lightgbm'?"),
        (["model=stack", "+model.svm.D=3"], "model.D: unknown option"),
        (["calibration=platt"], "calibration=platt: must be none | temperature | sigmoid | isotonic"),
    ],
)
def test_the_command_line_refuses_in_one_line(audiofw, words, said):
    outcome = audiofw(*words)
    assert outcome.code == 2
    assert said in outcome.err
    assert outcome.err.count("\n") == 1
