"""Plain models are written and read as skops does it, which stays the reference; anything else is left to skops."""

import io
import json
import zipfile
from collections import OrderedDict
from functools import partial

import numpy as np
import pytest
import skops.io
from sklearn.dummy import DummyClassifier
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import LabelEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from audiofw.bundle.skops_format import NotPlainError, dump_plain, load_plain
from audiofw.learn.discriminant import ShrunkDiscriminant
from audiofw.learn.novelty import Novelty
from audiofw.learn.preprocessing import Standard

X = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
Y = np.repeat([0, 1], 15)


def model():
    return Pipeline([("scale", Standard(alike=10.0)), ("lda", ShrunkDiscriminant(shrinkage=0.1))]).fit(X, Y)


def held():
    values = {"none": None, "true": True, "small": 1e-300, "text": "é\n", "nan": float("nan"), "big": 2**70}
    numbers = [np.float32(0.1), np.int64(3), np.bool_(True), np.str_("é"), np.array(["a", "bcé"]), np.zeros((0, 3))]
    return {
        "model": model(),
        "encoder": LabelEncoder().fit(["cat", "dog"]),
        "novelty": Novelty().fit(X),
        "values": {**values, "numbers": numbers, "nested": [(1, [2.5, ()]), {}]},
    }


def trusted(data):
    return skops.io.get_untrusted_types(data=data)


def as_text(each):
    """Describe an object in full."""
    if isinstance(each, np.ndarray | np.generic):
        return f"{type(each).__name__} {each.dtype} {each.shape} {each.tolist()!r}"
    if isinstance(each, dict):
        return {key: as_text(value) for key, value in each.items()}
    if isinstance(each, list | tuple):
        return type(each).__name__, [as_text(one) for one in each]
    return repr(each) if not hasattr(each, "__dict__") else (type(each), as_text(vars(each)))


def test_skops_reads_what_is_written_here():
    data = dump_plain(held(), "0.16")
    assert as_text(skops.io.loads(data, trusted=trusted(data))) == as_text(held())


def test_what_skops_writes_is_read_here():
    assert as_text(load_plain(skops.io.dumps(held()))) == as_text(held())


def test_what_is_written_here_is_read_here_and_predicts_the_same():
    found = load_plain(dump_plain(held(), "0.16"))
    assert as_text(found) == as_text(held())
    assert np.array_equal(found["model"].predict_proba(X), held()["model"].predict_proba(X))
    assert np.array_equal(found["novelty"].measure(X), held()["novelty"].measure(X))


def test_equal_models_are_equal_files():
    parts = [zipfile.ZipFile(io.BytesIO(dump_plain(held(), "0.16"))) for _ in range(2)]
    assert parts[0].namelist() == parts[1].namelist()
    assert all(parts[0].read(name) == parts[1].read(name) for name in parts[0].namelist())


def test_an_object_held_twice_is_loaded_as_one():
    scale = StandardScaler().fit(X)
    a, b = load_plain(dump_plain([scale, {"again": scale}], "0.16"))
    assert a is b["again"]


@pytest.mark.parametrize(
    "other",
    [
        DecisionTreeClassifier().fit(X, Y),  # its tree is compiled
        Pipeline([("tree", DecisionTreeClassifier().fit(X, Y))]),
        LocalOutlierFactor(metric=len),
        DummyClassifier(random_state=np.random.RandomState(0)),
        {1: "a key that is not text"},
        *(OrderedDict(a=1), {1, 2}, b"bytes", 1j, partial(len), np.array([None]), len, int, zipfile.ZipFile),
    ],
)
def test_anything_else_is_left_to_skops(other):
    with pytest.raises(NotPlainError):
        dump_plain({"model": other}, "0.16")


@pytest.mark.parametrize("other", [DecisionTreeClassifier().fit(X, Y), OrderedDict(a=1), {1, 2}, np.array([None]), len])
def test_a_file_with_anything_else_is_left_to_skops(other):
    with pytest.raises(NotPlainError):
        load_plain(skops.io.dumps({"model": other}))


def test_nothing_is_created_of_a_class_that_is_not_listed():
    data = dump_plain({"model": model()}, "0.16")
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        files = {name: file.read(name) for name in file.namelist()}
    schema = json.loads(files["schema.json"])
    schema["content"]["model"].update(__module__="sys", __class__="exit")
    changed = io.BytesIO()
    with zipfile.ZipFile(changed, "w") as file:
        for name, content in {**files, "schema.json": json.dumps(schema)}.items():
            file.writestr(name, content)
    with pytest.raises(NotPlainError):
        load_plain(changed.getvalue())
