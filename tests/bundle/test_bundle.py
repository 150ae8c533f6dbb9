"""A run's model gives the same predictions when loaded elsewhere, and hostile bundles are rejected."""

import importlib
import io
import json
import os
import pickle
import shutil
import stat
import sys
import textwrap
from pathlib import Path
from typing import Any
from zipfile import ZipFile, ZipInfo

import numpy as np
import pytest
import soundfile
from bundles import QUICK, change_facts, copy_of, make_run, make_sounds, rewrite, rewrite_schema, zip_of, zipped
from sklearn.utils import all_estimators

import audiofw as fw
from audiofw.bundle import files, load, trust
from audiofw.bundle.golden import MOST_BYTES
from audiofw.bundle.trees import check_trees
from audiofw.bundle.trust import ESTIMATORS, LOADERS, NamedType, is_trusted
from audiofw.errors import DataError, PluginError
from audiofw.results.record import read_record, repeat_run


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return make_run(tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def bundle(run, tmp_path) -> Path:
    return copy_of(run, tmp_path)


def clips_of(run: Path) -> list[Path]:
    return sorted((run.parent / "sounds").rglob("*.wav"))


# --- contents ----------------------------------------------------------------------------------------------------


def table(n: int = 60, d: int = 16) -> tuple[np.ndarray, np.ndarray]:
    y = np.arange(n) % 3
    X = np.random.default_rng(0).normal(size=(n, d)).astype(np.float32)
    X[:, :3] += 2 * np.eye(3, dtype=np.float32)[y]
    return X, y


def test_the_bundle_says_what_it_is(run):
    facts = json.loads((run / "model/bundle.json").read_text())
    metrics = json.loads((run / "metrics.json").read_text())
    assert facts["classes"] == ["high", "low", "mid"]
    assert facts["columns"] == metrics["n_columns"]
    assert facts["audio"]["duration"] == 0.6
    assert facts["feature"]["name"] == "mfcc"
    assert facts["feature"]["owner"] == "built in"
    assert facts["model"]["options"]["n_estimators"] == 8
    assert facts["score"]["value"] == metrics["value"]
    assert facts["score"]["interval"] == metrics["scores"]["accuracy"]["interval"]
    assert "of 36 clips" in facts["score"]["measured_on"]
    assert facts["score"]["audit_warnings"] is None  # audit=false
    assert facts["fitted_on"] == {"refit": True, "clips": 36, "description": "all 36 clips, after scoring"}
    assert facts["training"]["clips"] == 36
    assert facts["versions"].keys() >= {"numpy", "scikit-learn", "lightgbm", "soxr", "libsndfile", "skops"}
    listed = {path.relative_to(run / "model").as_posix() for path in (run / "model").rglob("*") if path.is_file()}
    assert listed == {*facts["files"], "bundle.json", "model_card.md"}
    assert str(run.parent) not in (run / "model/bundle.json").read_text()


def test_a_bundle_says_what_the_audit_warned_of(tmp_path):
    sounds = make_sounds(tmp_path / "sounds", clips=6)
    for i in range(6):
        shutil.copy(sounds / "low/0.wav", sounds / f"low/copy{i}.wav")
    words = [
        f"data.source={sounds}",
        "audio.duration=0.6",
        *QUICK,
        "audit=warn",
        "split=kfold",
        "split.n_splits=3",
        "model=knn",
    ]
    fw.run(words, path=tmp_path / "run")
    found = [
        one for one in json.loads((tmp_path / "run/metrics.json").read_text())["audit"] if one["severity"] == "warning"
    ]
    said = json.loads((tmp_path / "run/model/bundle.json").read_text())["score"]["audit_warnings"]
    assert len(said) == len(found) > 0
    assert "with a duplicate in the training set" in said[0]
    assert [text for text, one in zip(said, found, strict=True) if not text.startswith(one["message"])] == []


def test_the_golden_set_is_small_and_of_every_class(run):
    answers = json.loads((run / "model/golden.json").read_text())
    assert {answer["label"] for answer in answers} == {"low", "mid", "high"}
    assert sum(path.stat().st_size for path in (run / "model/golden").iterdir()) <= MOST_BYTES


def test_a_model_fitted_on_all_clips_knows_the_tested_ones(run):
    model = fw.load_model(run)
    files = clips_of(run)
    assert (model.predict(files) == [path.parent.name for path in files]).all()
    shares = model.predict_proba(files)
    assert shares.shape == (36, 3)
    np.testing.assert_allclose(shares.sum(axis=1), 1)


def test_without_refit_it_is_the_last_folds(tmp_path):
    run = make_run(tmp_path, "bundle.refit=false", "split=kfold", "split.n_splits=3")
    facts = json.loads((run / "model/bundle.json").read_text())
    assert facts["fitted_on"] == {
        "refit": False,
        "clips": 24,
        "description": "24 of 36 clips, the training set of fold 3",
    }
    with (run / "predictions.csv").open() as file:
        header, *rows = (line.strip().split(",") for line in file)
    last = [row for row in rows if row[header.index("fold")] == "3"]
    model = fw.load_model(run)
    shares = model.predict_proba([tmp_path / "sounds" / row[0] for row in last])
    np.testing.assert_allclose(shares, np.array([row[-3:] for row in last], float), atol=1e-5)
    assert len(last) == 12


def test_the_bundle_can_be_left_out(tmp_path):
    assert not (make_run(tmp_path, "bundle=false") / "model").exists()


def test_a_job_that_is_taken_over_brings_its_model(run, tmp_path):
    repeat_run(run, read_record(run), tmp_path, [])
    files = {file.relative_to(run) for file in (run / "model").rglob("*")}
    assert files == {file.relative_to(tmp_path) for file in (tmp_path / "model").rglob("*")}
    assert fw.load_model(tmp_path).facts == fw.load_model(run).facts


def test_a_pooling_of_whole_pictures_pads_as_in_the_run(tmp_path):
    run = make_run(tmp_path, "feature=mel", "pooling=flatten", "pad.value=zero")
    short = clips_of(run)[0]
    y, sr = soundfile.read(short)
    soundfile.write(tmp_path / "short.wav", y[: len(y) // 2], sr)
    assert fw.load_model(run).predict([tmp_path / "short.wav"]) == [short.parent.name]


def test_windows_of_a_clip_are_averaged_as_in_the_run(tmp_path):
    run = make_run(tmp_path, "windows.hop=0.1", "audio.duration=0.3")
    model = fw.load_model(run)
    file = clips_of(run)[0]
    rows = model.unit(file)
    assert len(rows) > 1
    each = model.classifier.predict_proba(rows)
    np.testing.assert_allclose(model.predict_proba([file])[0], each.mean(axis=0))


# --- the golden set ----------------------------------------------------------------------------------------------


def test_verify_says_that_the_answers_are_the_same(audiofw, run):
    outcome = audiofw("verify", str(run))
    assert (outcome.code, outcome.err) == (0, "")
    assert "same predictions as" in outcome.out
    assert "all 36 clips, after scoring" in outcome.out


def test_verify_fails_where_answers_differ(audiofw, bundle):
    answers = json.loads((bundle / "golden.json").read_text())
    answers[0]["probabilities"] = answers[0]["probabilities"][::-1]
    rewrite(bundle, "golden.json", json.dumps(answers).encode())
    outcome = audiofw("verify", str(bundle))
    assert outcome.code == 1
    assert "DIFFERENT predictions" in outcome.out
    assert audiofw("verify", str(bundle), "--tolerance", "1").code == 0


def test_a_zip_of_a_run_or_of_its_model_is_a_bundle(audiofw, bundle, tmp_path):
    files = zip_of(bundle)
    (tmp_path / "model.zip").write_bytes(zipped(files))
    (tmp_path / "run.zip").write_bytes(
        zipped({f"model/{name}": data for name, data in files.items()} | {"config.yaml": b"x"})
    )
    (tmp_path / "above.zip").write_bytes(zipped({f"my run/model/{name}": data for name, data in files.items()}))
    for name in ("model.zip", "run.zip", "above.zip"):
        assert audiofw("verify", str(tmp_path / name)).code == 0


# --- what another audiofw has made -------------------------------------------------------------------------------


def make_it_of_format_1(bundle: Path) -> None:
    """Let a bundle name its classes and plugins as the first format did."""

    def rename(schema: Any) -> None:
        schema["content"]["model"]["__module__"] = "audiofw.learn.early"

    def change(facts: dict[str, Any]) -> None:
        facts.update(format=1, made_of=[["built in", "an_old_name"]])
        facts["model"]["origin"] = ["built in", "an_old_name"]

    rewrite_schema(bundle, rename)
    change_facts(bundle, change)


@pytest.mark.parametrize("command", ["verify", "export", "predict"])
def test_a_bundle_of_an_earlier_audiofw_is_one_line_with_the_remedy(audiofw, bundle, command):
    make_it_of_format_1(bundle)
    outcome = audiofw(command, str(bundle), *(["sound.wav"] if command == "predict" else []))
    assert outcome.code == 1
    (line,) = outcome.err.splitlines()
    assert f"{bundle}: made by an earlier audiofw, train again (bundle format 1;" in line


@pytest.mark.parametrize("found", [load.FORMAT + 1, "2", None])
def test_a_bundle_of_a_later_audiofw_is_refused_in_one_line(bundle, found):
    change_facts(bundle, lambda facts: facts.update(format=found, feature=None))
    refused(bundle, "made by a later audiofw, update audiofw")


# --- changed or damaged bundles ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "facts",
    [
        {"unknown": [1]},
        {"unknown": {"distances": ["far"], "confidences": [], "surprises": []}},
        {"operating": [1]},
        {"operating": {"low": 1}},
        {"fitted_on": {}},
    ],
)
def test_facts_that_only_some_commands_use_are_checked_by_all(bundle, facts):
    change_facts(bundle, lambda found: found.update(facts))
    with pytest.raises(DataError, match=r"bundle\.json"):
        fw.load_model(bundle)


def test_other_versions_and_other_code_are_told_in_one_line(audiofw, bundle, caplog):
    def change(facts):
        facts["versions"].update(numpy="1.0", lightgbm="0.1")
        facts["feature"]["code"] = "0" * 32

    change_facts(bundle, change)
    outcome = audiofw("verify", str(bundle))
    assert outcome.code == 0
    (line,) = caplog.messages
    assert "numpy 1.0 (here " in line
    assert "lightgbm 0.1 (here " in line
    assert "different code of feature=mfcc" in line


def test_equal_versions_are_not_told(run, caplog):
    fw.load_model(run)
    assert not caplog.records


PLUGIN = """
    from audiofw import hookimpl
    import own_models

    @hookimpl
    def register_models(register):
        register(nearest)

    def nearest(seed):
        "The nearest centroid, with shares of distance."
        return own_models.Nearest()
"""

TRUST = """
    @hookimpl
    def register_trusted_types(register):
        register("own_models.Nearest")
"""

OWN_MODELS = """
    import numpy as np
    from sklearn.base import BaseEstimator, ClassifierMixin

    class Nearest(ClassifierMixin, BaseEstimator):
        def fit(self, X, y):
            self.classes_ = np.unique(y)
            self.centroids_ = np.stack([X[y == each].mean(axis=0) for each in self.classes_])
            return self

        def predict_proba(self, X):
            near = 1 / (1e-9 + np.linalg.norm(X[:, None] - self.centroids_, axis=2))
            return near / near.sum(axis=1, keepdims=True)

        def predict(self, X):
            return self.classes_[self.predict_proba(X).argmax(axis=1)]
"""


@pytest.fixture
def own_plugin(tmp_path, monkeypatch):
    folder = tmp_path / "mine"
    folder.mkdir()
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/own_models.py").write_text(textwrap.dedent(OWN_MODELS))
    monkeypatch.syspath_prepend(tmp_path / "lib")
    monkeypatch.setenv("AUDIOFW_PLUGINS_PATH", str(folder))
    yield folder / "nearest_centroid.py"
    sys.modules.pop("own_models", None)


def test_a_plugin_lets_bundles_hold_its_own_classes(audiofw, sounds, own_plugin, monkeypatch):
    own_plugin.write_text(textwrap.dedent(PLUGIN) + textwrap.dedent(TRUST))
    words = [f"data.source={sounds()}", "model=nearest", *QUICK, "hydra.run.dir=run"]
    outcome = audiofw(*words)
    assert (outcome.code, outcome.err) == (0, "")
    assert audiofw("verify", "run").code == 0
    own_plugin.write_text(textwrap.dedent(PLUGIN))
    outcome = audiofw("verify", "run")
    assert outcome.code == 1
    assert "contains own_models.Nearest" in outcome.err
    assert "register_trusted_types" in outcome.err
    monkeypatch.delenv("AUDIOFW_PLUGINS_PATH")
    outcome = audiofw("verify", "run")
    assert outcome.code == 1
    assert "own_models.Nearest" in outcome.err


def test_a_vote_may_hold_what_the_plugins_of_its_members_trust(audiofw, sounds, own_plugin):
    own_plugin.write_text(textwrap.dedent(PLUGIN) + textwrap.dedent(TRUST))
    words = [f"data.source={sounds()}", "model=vote", "model.members=[nearest,knn]", *QUICK, "hydra.run.dir=run"]
    outcome = audiofw(*words)
    assert (outcome.code, outcome.err) == (0, "")
    assert audiofw("verify", "run").code == 0


def test_a_model_that_cannot_be_loaded_again_costs_the_exit_code_not_the_scores(audiofw, sounds, own_plugin):
    own_plugin.write_text(textwrap.dedent(PLUGIN))
    outcome = audiofw(f"data.source={sounds()}", "model=nearest", *QUICK, "hydra.run.dir=run")
    assert outcome.code == 1
    assert outcome.out.startswith("accuracy ")
    (line,) = outcome.err.splitlines()
    assert "no model saved" in line
    assert "own_models.Nearest" in line
    assert not Path("run/model").exists()


def test_a_plugin_that_is_not_here_is_named_with_a_remedy(bundle):
    def change(facts):
        facts["feature"].update(name="loudness", origin=["package", "audiofw-loudness"], owner="audiofw-loudness 1.0")

    change_facts(bundle, change)
    with pytest.raises(PluginError, match=r"feature=loudness: .*pip install audiofw-loudness"):
        fw.load_model(bundle)


# --- hostile bundles ---------------------------------------------------------------------------------------------


class Writes:
    """A pickle that runs code when loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def refused(bundle: Path, *words: str) -> str:
    with pytest.raises(DataError) as refusal:
        fw.load_model(bundle)
    said = str(refusal.value)
    assert "\n" not in said
    for word in words:
        assert word in said
    return said


def test_a_pickle_in_place_of_the_model_is_refused(bundle, tmp_path):
    rewrite(bundle, "model.skops", pickle.dumps(Writes(tmp_path / "written")))
    refused(bundle, "model.skops", "pickle")
    assert not (tmp_path / "written").exists()


def test_a_pickle_beside_the_model_is_refused(bundle, tmp_path):
    (bundle / "model.pkl").write_bytes(pickle.dumps(Writes(tmp_path / "written")))
    refused(bundle, "model.pkl", "pickle")


def test_a_pickle_in_an_array_is_refused(bundle, tmp_path):
    array = io.BytesIO()
    np.save(array, np.array([Writes(tmp_path / "written")], dtype=object), allow_pickle=True)
    with ZipFile(bundle / "model.skops") as file:
        files = {name: file.read(name) for name in file.namelist()}
    victim = next(name for name in files if name.endswith(".npy"))
    rewrite(bundle, "model.skops", zipped({**files, victim: array.getvalue()}))
    refused(bundle, "model.skops")
    assert not (tmp_path / "written").exists()


CONTENT = {
    "__class__": "tuple",
    "__module__": "builtins",
    "__loader__": "TupleNode",
    "content": [
        {
            "__class__": "str",
            "__module__": "builtins",
            "__loader__": "JsonNode",
            "content": '"touch written"',
            "__id__": 1,
        }
    ],
    "__id__": 2,
}

ATTACKS = {
    "os.system": {"__class__": "system", "__module__": "os", "__loader__": "FunctionNode"},
    "builtins.eval": {"__class__": "eval", "__module__": "builtins", "__loader__": "TypeNode"},
    "subprocess.Popen": {
        "__class__": "Popen",
        "__module__": "subprocess",
        "__loader__": "ConstructorFromReduceNode",
        "content": CONTENT,
    },
    "operator.methodcaller": {
        "__class__": "methodcaller",
        "__module__": "operator",
        "__loader__": "OperatorFuncNode",
        "attrs": CONTENT,
    },
    "functools.partial": {
        "__class__": "partial",
        "__module__": "functools",
        "__loader__": "PartialNode",
        "content": {"func": CONTENT, "args": CONTENT, "kwds": CONTENT, "namespace": CONTENT},
    },
    "lightgbm.sklearn.LGBMClassifier": {
        "__class__": "LGBMClassifier",
        "__module__": "lightgbm.sklearn",
        "__loader__": "MethodNode",
        "content": {"func": "set_params", "obj": CONTENT},
    },
    "builtins.int": {"__class__": "int", "__module__": "builtins", "__loader__": "ConstructorFromReduceNode"},
    "trap.Trap": {"__class__": "Trap", "__module__": "trap", "__loader__": "ObjectNode"},
    "audiofw.learn.boosting.clone": {
        "__class__": "clone",
        "__module__": "audiofw.learn.boosting",
        "__loader__": "ObjectNode",
    },
    "audiofw.api.run": {"__class__": "run", "__module__": "audiofw.api", "__loader__": "FunctionNode"},
    "sklearn.preprocessing._function_transformer.FunctionTransformer": {
        "__class__": "FunctionTransformer",
        "__module__": "sklearn.preprocessing._function_transformer",
        "__loader__": "ObjectNode",
    },
    "None.None": {"__class__": None, "__module__": None, "__loader__": "CachedNode"},
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_schema_that_names_another_type_is_refused_by_name(bundle, tmp_path, monkeypatch, name):
    (tmp_path / "trap.py").write_text("from pathlib import Path\nPath('written').touch()\nclass Trap: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    rewrite_schema(bundle, lambda schema: schema["content"].update(attack={**ATTACKS[name], "__id__": 3}))
    refused(bundle, name, "refused")
    assert not (tmp_path / "written").exists()
    assert "trap" not in sys.modules


def test_the_model_itself_may_not_be_another_type(bundle):
    def change(schema):
        schema["content"]["model"].update(__class__="system", __module__="os")

    rewrite_schema(bundle, change)
    refused(bundle, "os.system")


@pytest.mark.parametrize("protocol", [0, 1, -1, True, None, "2", 99])
def test_a_schema_of_another_protocol_is_refused(bundle, protocol):
    rewrite_schema(bundle, lambda schema: schema.update(protocol=protocol))
    refused(bundle, "model.skops")


def test_types_are_listed_by_full_name_and_none_makes_calls():
    every = ESTIMATORS.union(*LOADERS.values())
    assert not {name for name in every if name.startswith(("os.", "subprocess.", "importlib.")) or "*" in name}
    assert not every & {"builtins.eval", "builtins.exec", "builtins.getattr", "builtins.open", "builtins.object"}
    assert not LOADERS.keys() & {"MethodNode", "OperatorFuncNode", "PartialNode", "ConstructorFromReduceNode"}
    assert not {name for name in ESTIMATORS if "FunctionTransformer" in name}


def test_scikit_learns_register_knows_every_estimator_on_the_list_and_adds_none():
    register = {name: f"{cls.__module__}.{cls.__name__}" for name, cls in all_estimators()}
    assert not ESTIMATORS - register.keys(), "this release of scikit-learn has renamed or dropped them"
    for name, full_name in register.items():
        assert is_trusted(NamedType("ObjectNode", full_name), set()) == (name in ESTIMATORS), full_name


@pytest.mark.parametrize(
    "full_name",
    [
        *("Pipeline", "sklearn.Pipeline", "sklearn.pipeline.sys", "sklearn.pipeline.Pipeline.fit", "os.Pipeline"),
        *("sklearn.preprocessing.LabelEncoder", "sklearn.tests.test_pipeline.Pipeline", "sklearn..Pipeline"),
        *("sklearn.clone.Pipeline", "sklearnx.pipeline.Pipeline", "sklearn.compose._target.Pipeline"),
    ],
)
def test_an_estimators_name_elsewhere_is_not_trusted(full_name):
    assert not is_trusted(NamedType("ObjectNode", full_name), set())


@pytest.mark.parametrize("full_name", sorted(set().union(*LOADERS.values())))
def test_what_no_register_lists_stands_where_the_list_says(full_name):
    module, _, name = full_name.rpartition(".")
    if not hasattr(importlib.import_module(module), name):
        pytest.fail(
            f"this release of {module.partition('.')[0]} has moved {full_name}: bundles with it cannot be loaded"
        )


@pytest.mark.parametrize("feature", [-5, 10**6])
def test_a_tree_that_leads_out_of_itself_is_refused(feature):
    from sklearn.ensemble import RandomForestClassifier

    X, y = table()
    forest = RandomForestClassifier(3, random_state=0).fit(X, y)
    check_trees(forest, "sound")
    forest.estimators_[1].tree_.feature[0] = feature
    with pytest.raises(DataError, match="indices out of range"):
        check_trees(forest, "hostile")


@pytest.mark.parametrize("child", [0, -7, 10**9])
def test_a_tree_that_goes_round_is_refused(child):
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.tree import DecisionTreeClassifier

    X, y = table()
    tree = DecisionTreeClassifier(random_state=0).fit(X, y)
    tree.tree_.children_left[0] = child
    with pytest.raises(DataError, match="indices out of range"):
        check_trees(tree, "hostile")
    boosted = HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=5).fit(X, y)
    check_trees(boosted, "sound")
    boosted._predictors[0][0].nodes["left"][0] = child % 2**32
    with pytest.raises(DataError, match="indices out of range"):
        check_trees(boosted, "hostile")


@pytest.mark.parametrize("name", ["model.skops", "golden.json", "golden/0.flac"])
def test_a_changed_file_is_refused(bundle, name):
    data = bytearray((bundle / name).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / name).write_bytes(data)
    refused(bundle, name, "changed")


def test_changed_facts_are_refused(bundle):
    text = (bundle / "bundle.json").read_text()
    (bundle / "bundle.json").write_text(text.replace('"high"', '"mean"'))
    refused(bundle, "bundle.json", "changed")


def test_classes_that_the_model_does_not_know_are_refused(bundle):
    change_facts(bundle, lambda facts: facts.update(classes=["a", "b", "c"]))
    refused(bundle, "classes")


def test_a_missing_file_is_named(bundle):
    (bundle / "golden/1.flac").unlink()
    refused(bundle, "golden/1.flac", "missing")


@pytest.mark.parametrize("name", ["../evil", "/evil", "golden/../../evil", "C:\\evil", "golden\\evil", "golden/.."])
def test_a_zip_whose_names_lead_out_is_refused(bundle, tmp_path, name):
    (tmp_path / "bundle.zip").write_bytes(zipped(zip_of(bundle) | {name: b"evil"}))
    refused(tmp_path / "bundle.zip", "refused")
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize("name", ["sub/dir/evil", ".hidden", "golden/a b", "golden/ü"])
def test_a_zip_with_odd_names_is_refused(bundle, tmp_path, name):
    (tmp_path / "bundle.zip").write_bytes(zipped(zip_of(bundle) | {name: b"evil"}))
    refused(tmp_path / "bundle.zip", "refused")


def test_a_link_in_a_zip_is_refused(bundle, tmp_path):
    link = ZipInfo("golden/link.flac")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with ZipFile(tmp_path / "bundle.zip", "w") as file:
        for name, data in zip_of(bundle).items():
            file.writestr(name, data)
        file.writestr(link, "/etc/passwd")
    refused(tmp_path / "bundle.zip", "golden/link.flac", "link")


def test_a_bomb_is_refused(bundle, tmp_path):
    (tmp_path / "bundle.zip").write_bytes(zipped(zip_of(bundle) | {"golden.json": bytes(300_000_000)}))
    refused(tmp_path / "bundle.zip", "golden.json", "bomb")


def test_a_zip_of_very_many_files_is_refused_unread(bundle, tmp_path, monkeypatch):
    (tmp_path / "bundle.zip").write_bytes(zipped(zip_of(bundle) | {f"more/{i}": b"" for i in range(10_000)}))
    monkeypatch.setattr(files, "ZipFile", lambda *_: pytest.fail("the directory was read whole"))
    refused(tmp_path / "bundle.zip", "more than 10000 files")


def test_a_model_of_very_many_parts_is_refused_unread(bundle, monkeypatch):
    monkeypatch.setattr(trust, "MOST_PARTS", 2000)
    rewrite(bundle, "model.skops", zipped({f"{i}.npy": b"" for i in range(2001)}))
    monkeypatch.setattr(load, "ZipFile", lambda *_: pytest.fail("the directory was read whole"))
    refused(bundle, "model.skops", "more than 2000 parts")


def test_a_bomb_in_the_model_is_refused(bundle):
    with ZipFile(bundle / "model.skops") as file:
        inside = {name: file.read(name) for name in file.namelist()}
    rewrite(bundle, "model.skops", zipped(inside | {"bomb.npy": bytes(300_000_000)}))
    refused(bundle, "model.skops", "bomb")


@pytest.mark.parametrize("name", ["golden/0.flac", "golden", "bundle.json"])
def test_a_link_in_a_folder_is_refused(bundle, tmp_path, name):
    (bundle / name).rename(tmp_path / "elsewhere")
    (bundle / name).symlink_to(tmp_path / "elsewhere")
    refused(bundle, name, "link")


@pytest.mark.parametrize("name", ["../model.skops", "/etc/passwd", "golden/../golden.json"])
def test_facts_that_list_a_file_elsewhere_are_refused(bundle, name):
    change_facts(bundle, lambda facts: facts["files"].update({name: "0" * 32}))
    refused(bundle, name, "missing")


def test_a_plugin_is_never_loaded_from_where_the_bundle_says(bundle, tmp_path):
    (tmp_path / "evil.py").write_text("from pathlib import Path\nPath('written').touch()")
    change_facts(bundle, lambda facts: facts["feature"].update(origin=["file", str(tmp_path / "evil")], name="evil"))
    with pytest.raises(PluginError, match="feature=evil"):
        fw.load_model(bundle)
    assert "audiofw_plugins.evil" not in sys.modules


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"{}", b"[" * 100_000, b'{"digest": 1, "files": 2}', b"\xff\xfe"])
def test_facts_that_are_none_are_refused(bundle, data):
    (bundle / "bundle.json").write_bytes(data)
    refused(bundle, "bundle.json")


@pytest.mark.parametrize(
    "key", ["classes", "audio", "feature", "pad", "columns", "windows", "versions", "format", "files"]
)
def test_facts_that_lack_something_are_refused_in_one_line(bundle, key):
    change_facts(bundle, lambda facts: facts.pop(key) if key != "files" else facts.update(files={}))
    with pytest.raises(fw.AudiofwError) as refusal:
        fw.load_model(bundle)
    assert "\n" not in str(refusal.value)


def test_what_is_no_bundle_is_told_with_a_remedy(audiofw, tmp_path, sounds):
    cases = {"nosuch": "no such file", str(sounds()): "no model found", __file__: "not a model"}
    for path, said in cases.items():
        outcome = audiofw("verify", path)
        assert outcome.code == 1
        assert said in outcome.err
        assert len(outcome.err.splitlines()) == 1


# --- export ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["lda", "lightgbm", "xgboost"])
def test_a_classifier_in_onnx_gives_the_same_answers(audiofw, tmp_path, model):
    run = make_run(tmp_path, f"model={model}")
    outcome = audiofw("export", str(run), "--format", "classifier", "-o", "model.onnx")
    assert (outcome.code, outcome.err) == (0, "")
    assert "0 with a different label" in outcome.out
    import onnxruntime

    trained = fw.load_model(run)
    X = np.concatenate([trained.unit(file) for file in clips_of(run)])
    session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
    _, shares = session.run(None, {session.get_inputs()[0].name: X})
    np.testing.assert_allclose(shares, trained.classifier.predict_proba(X), atol=1e-5)
    assert json.loads(session.get_modelmeta().custom_metadata_map["classes"]) == ["high", "low", "mid"]
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"


def test_an_export_that_changes_predictions_is_refused_and_leaves_no_file(audiofw, run, monkeypatch):
    from audiofw.bundle.onnx import export

    answers = export._answers
    monkeypatch.setattr(export, "_answers", lambda data, X: (answers(data, X)[0], answers(data, X)[1] + 0.01))
    outcome = audiofw("export", str(run), "--format", "classifier", "-o", "model.onnx")
    assert outcome.code == 1
    assert "predicts differently" in outcome.err
    assert "0.01" in outcome.err
    assert not Path("model.onnx").exists()


def test_a_model_without_a_converter_is_told_in_one_line(audiofw, tmp_path):
    pytest.importorskip("catboost")
    run = make_run(tmp_path, "model=catboost", "model.iterations=3")
    outcome = audiofw("export", str(run), "-o", "model.onnx")
    assert outcome.code == 1
    assert len(outcome.err.splitlines()) == 1
    assert "model=catboost: cannot be converted to ONNX: no converter for catboost.core." in outcome.err
    assert "model=lda, svm, logistic_regression" in outcome.err
    assert not Path("model.onnx").exists()
