"""The split plugins, and the checks of a split before any model is fitted."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path

import numpy as np
import pytest
from sklearn import model_selection as ms

from audiofw.data.splits import make_splits, warn_of_shared_groups
from audiofw.errors import ConfigError, DataError, PluginError

PLUGINS = Path(__file__).parents[2] / "plugins" / "splits"
Y = np.repeat([0, 1], [30, 20])
CLASSES = ["cat", "dog"]


def load(name):
    """Return the function of a built-in split plugin."""
    spec = importlib.util.spec_from_file_location(f"split_{name}", PLUGINS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    registered = []
    module.register_splits(registered.append)
    (function,) = registered
    assert function.__name__ == name
    return function


def split(splitter, y=Y, groups=None, classes=CLASSES):
    return make_splits(splitter, y, groups=groups, classes=classes, names=[f"clip{i}.wav" for i in range(len(y))])


class Splitter:
    """A third-party splitter that yields the given folds."""

    def __init__(self, *folds):
        self.folds = folds

    def split(self, X, y=None, groups=None):
        return iter(self.folds)


def in_test(folds):
    return np.bincount(np.concatenate([fold.test for fold in folds]), minlength=len(Y))


# --- the splits of the plugins ---


def test_holdout_without_stratify_is_train_test_split():
    from sklearn.model_selection import train_test_split

    (fold,) = split(load("holdout")(42, test_size=0.2, stratify=False))
    train, test = train_test_split(np.arange(len(Y)), test_size=0.2, random_state=42)
    np.testing.assert_array_equal(fold.train, train)
    np.testing.assert_array_equal(fold.test, test)


def test_holdout_with_stratify_is_the_stratified_train_test_split():
    from sklearn.model_selection import train_test_split

    (fold,) = split(load("holdout")(7, test_size=0.3))
    train, test = train_test_split(np.arange(len(Y)), test_size=0.3, random_state=7, stratify=Y)
    np.testing.assert_array_equal(fold.train, train)
    np.testing.assert_array_equal(fold.test, test)


@pytest.mark.parametrize("stratify", [True, False])
def test_kfold_tests_every_clip_once(stratify):
    folds = split(load("kfold")(0, n_splits=4, stratify=stratify))
    assert len(folds) == 4
    assert (in_test(folds) == 1).all()


def test_kfold_is_stratified_and_shuffled_by_the_seed():
    first, again, other = (split(load("kfold")(seed)) for seed in (1, 1, 2))
    assert [Y[fold.test].sum() for fold in first] == [4] * 5
    assert all((a.test == b.test).all() for a, b in zip(first, again, strict=True))
    assert any((a.test != b.test).any() for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("stratify", [True, False])
def test_repeated_kfold_tests_every_clip_in_every_repeat(stratify):
    folds = split(load("repeated_kfold")(0, n_splits=4, n_repeats=2, stratify=stratify))
    assert len(folds) == 8
    assert (in_test(folds) == 2).all()
    assert set(map(tuple, (f.test for f in folds[:4]))).isdisjoint(map(tuple, (f.test for f in folds[4:])))


@pytest.mark.parametrize("stratify", [True, False])
def test_group_kfold_keeps_groups_whole(stratify, caplog):
    groups = np.array([f"g{i % 10}" for i in range(len(Y))])
    folds = split(load("group_kfold")(0, groups, n_splits=5, stratify=stratify), groups=groups)
    assert (in_test(folds) == 1).all()
    assert all(np.intersect1d(groups[fold.train], groups[fold.test]).size == 0 for fold in folds)
    warn_of_shared_groups(folds, groups)
    assert not caplog.records


def test_leave_one_group_out_tests_one_group_at_a_time():
    groups = [f"g{i % 10}" for i in range(len(Y))]
    folds = split(load("leave_one_group_out")(groups), groups=groups)
    assert [{groups[i] for i in fold.test} for fold in folds] == [{f"g{i}"} for i in range(10)]


def test_predefined_tests_each_numbered_fold_once_in_their_order():
    names = [str(i % 11 + 1) for i in range(len(Y))]
    folds = split(load("predefined")(names))
    assert [{names[i] for i in fold.test} for fold in folds] == [{str(i)} for i in range(1, 12)]
    assert (in_test(folds) == 1).all()


@pytest.mark.parametrize("test", ["test", "Test", "TEST", "testing"])
@pytest.mark.parametrize("validation", ["validation", "Valid", "val", "dev"])
def test_predefined_tests_on_test_alone_and_trains_on_the_rest(test, validation):
    names = np.array(["train", validation, test])[np.arange(len(Y)) % 3]
    (fold,) = split(load("predefined")(list(names)))
    assert set(names[fold.test]) == {test}
    assert set(names[fold.train]) == {"train", validation}


def test_predefined_holds_out_together_the_folds_that_the_user_names():
    names = np.array([str(i % 5 + 1) for i in range(len(Y))])
    (fold,) = split(load("predefined")(list(names), test=["4", "5"]))
    assert set(names[fold.test]) == {"4", "5"}
    assert set(names[fold.train]) == {"1", "2", "3"}


@pytest.mark.parametrize(
    ("names", "test", "error", "words"),
    [
        (["train", "val"], None, ConfigError, ["no fold named 'test'", "split.test=[", "train (1 clips)"]),
        (["1", "2"], ["3"], ConfigError, ["split.test=[3]", "unknown fold", "1 (1 clips), 2 (1 clips)"]),
        (["1", "1"], None, DataError, ["nothing is left to train on"]),
        (["test", "test"], None, DataError, ["nothing is left to train on"]),
        (["1", "2"], ["1", "2"], DataError, ["nothing is left to train on"]),
        (["1", "", None], None, DataError, ["2 of 3 clips have no fold"]),
    ],
)
def test_predefined_refuses_folds_that_make_no_split(names, test, error, words):
    with pytest.raises(error) as caught:
        load("predefined")(names, test=test)
    assert all(word in str(caught.value) for word in words)
    assert "\n" not in str(caught.value)


# --- data that is rejected before any model is fitted ---


def kfold(n=5, **options):
    return load("kfold")(0, n_splits=n, **options)


REFUSED = {
    "no clip": (kfold(), [], None, ["no clips"]),
    "one class": (kfold(), [0] * 40, None, ["only one class, 'cat' (40 clips)", "data.pattern", "data.include"]),
    "a class of one clip": (
        load("holdout")(0), [0] * 9 + [1], None,
        ["'dog' (clip9.wav)", "clips: dog 1, cat 9", "data.exclude=[dog]"],
    ),
    "a class of one clip, folds": (kfold(2), [0] * 9 + [1], None, ["only one clip of 'dog'", "data.exclude=[dog]"]),
    "fewer clips than folds": (kfold(stratify=False), [0, 1, 0], None, ["5 folds of 3 clips", "split.n_splits=3"]),
    "fewer clips than repeated folds": (
        load("repeated_kfold")(0, stratify=False), [0, 1, 0], None, ["5 folds of 3 clips", "split.n_splits=3"],
    ),
    "every class smaller than the folds": (
        kfold(), [0, 0, 0, 1, 1], None, ["5 folds", "largest class has 3", "split.n_splits=3"],
    ),
    "a test part too small for the classes": (
        load("holdout")(0, test_size=0.1), [0, 0, 0, 1, 1, 1], None,
        ["test_size=0.1", "5 and 1 clips", "all 2 classes", "split.stratify=false"],
    ),
    "no training part": (load("holdout")(0, test_size=0.9, stratify=False), [0, 1], None, ["ShuffleSplit", "empty"]),
    "no groups": (load("group_kfold")(0, None), [0, 1] * 5, None, ["10 of 10 have none", "(?P<group>…)"]),
    "some groups": (load("leave_one_group_out")(None), [0, 1] * 2, ["a", "b", None, ""], ["2 of 4 have none"]),
    "too few groups": (
        load("group_kfold")(0, None), [0, 1] * 5, ["a", "b"] * 5, ["2 group(s) cannot make 5 folds", "n_splits=2"],
    ),
    "one group": (load("leave_one_group_out")(None), [0, 1] * 5, ["a"] * 10, ["1 group(s)", "needs no groups"]),
    "a class in one group": (
        load("leave_one_group_out")(None), [0, 0, 0, 1, 1], ["a", "b", "a", "c", "c"],
        ["fold 3 of 3", "training set has no clip of 'dog' (2 in total)", "data.exclude=[dog]"],
    ),
    "a class only in the test fold": (
        load("predefined")(["train", "train", "test"]), [0, 0, 1], None,
        ["fold 1 of 1", "no clip of 'dog' (1 in total)"],
    ),
    "an empty test part": (Splitter(([0, 1], [])), [0, 1], None, ["fold 1 of 1", "test set is empty"]),
}  # fmt: skip


@pytest.mark.parametrize(("splitter", "y", "groups", "words"), REFUSED.values(), ids=REFUSED)
def test_data_that_cannot_be_split_is_refused_in_one_line(splitter, y, groups, words):
    with pytest.raises(DataError) as caught:
        split(splitter, np.array(y, int), groups)
    message = str(caught.value)
    assert "\n" not in message
    assert [word for word in words if word not in message] == [], message


def raise_type_error():
    raise TypeError("groups must be a dict")
    yield


@pytest.mark.parametrize(
    ("splitter", "words"),
    [
        (object(), ["object", "no method split"]),
        (Splitter(), ["made no folds"]),
        (Splitter(([0, 1, 2], [2, 3])), ["1 clip(s) in both", "clip2.wav"]),
        (Splitter(([0, 1], [2, 4])), ["test set has indices outside 0 … 3"]),
        (Splitter(([-1, 0, 1], [2])), ["training set has indices outside"]),
        (Splitter(([0, 1], [2, 2])), ["clip twice"]),
        (Splitter(([True, True, False, False], [False, False, True, True])), ["two arrays of indices"]),
        (Splitter([0, 1, 2]), ["two arrays of indices"]),
        (Splitter(5), ["Splitter failed", "not iterable"]),
        (
            type("Broken", (), {"split": lambda *_: raise_type_error()})(),
            ["Broken failed: TypeError: groups must be a dict"],
        ),
    ],
)
def test_splitter_that_breaks_the_contract_is_refused_in_one_line(splitter, words):
    with pytest.raises(PluginError) as caught:
        split(splitter, np.array([0, 1, 0, 1]))
    message = str(caught.value)
    assert "\n" not in message
    assert [word for word in words if word not in message] == [], message


def test_reason_of_scikit_learn_is_kept():
    with pytest.raises(DataError, match="train set will be empty") as caught:
        split(load("holdout")(0, test_size=0.9, stratify=False), np.array([0, 1]))
    assert isinstance(caught.value.__cause__, ValueError)


def test_class_that_is_missing_from_a_test_part_is_no_error():
    folds = split(Splitter(([0, 1, 2], [3]), ([0, 2, 3], [1])), np.array([0, 0, 1, 1]))
    assert [fold.test.tolist() for fold in folds] == [[3], [1]]


@pytest.mark.filterwarnings("error::UserWarning")
def test_split_that_mixes_groups_is_warned_of_once(caplog):
    groups = [f"g{i % 10}" for i in range(len(Y))]
    with caplog.at_level(logging.WARNING):
        warn_of_shared_groups(split(kfold(), groups=groups), groups)
    (record,) = caplog.records
    assert "10 of 10 groups" in record.getMessage()


def test_clips_without_a_group_count_as_groups_of_their_own(caplog):
    groups = ["a", *[None] * (len(Y) - 1)]
    warn_of_shared_groups(split(kfold(), groups=groups), groups)
    assert not caplog.records


# --- several labels per clip ---


SEVERAL = (np.random.default_rng(1).random((60, 4)) < (0.1, 0.2, 0.4, 0.6)).astype(np.int8)
FOUR = ["ant", "bat", "cat", "dog"]


@pytest.mark.parametrize("name", ["kfold", "group_kfold", "repeated_kfold"])
def test_folds_of_several_labels_share_out_each_label(name):
    groups = [str(i // 2) for i in range(60)]
    given = (42, groups) if name == "group_kfold" else (42,)
    folds = split(load(name)(*given, n_splits=3), SEVERAL, groups, FOUR)
    assert len(folds) == (9 if name == "repeated_kfold" else 3)
    for fold in folds:
        assert (np.abs(SEVERAL[fold.test].sum(axis=0) - SEVERAL.sum(axis=0) / 3) <= 2).all()
        if name == "group_kfold":
            assert not np.intersect1d(fold.train // 2, fold.test // 2).size


def test_repeats_of_several_labels_differ():
    folds = split(load("repeated_kfold")(0, n_splits=2, n_repeats=2), SEVERAL, None, FOUR)
    assert folds[0].test.tolist() != folds[2].test.tolist()


def test_a_holdout_of_several_labels_has_its_size_and_labels():
    (fold,) = split(load("holdout")(0, test_size=0.25), SEVERAL, None, FOUR)
    assert abs(len(fold.test) - 15) <= 2
    assert (np.abs(SEVERAL[fold.test].sum(axis=0) - SEVERAL.sum(axis=0) / 4) <= 1.5).all()


def test_splitters_that_do_not_stratify_are_left_as_they_are():
    from sklearn.model_selection import KFold

    folds = split(KFold(3), SEVERAL, None, FOUR)
    assert [fold.test.tolist() for fold in folds] == [test.tolist() for _, test in KFold(3).split(SEVERAL)]


def test_a_label_of_a_single_clip_is_not_refused_among_several():
    y = SEVERAL.copy()
    y[:, 0] = np.arange(60) == 7
    assert len(split(load("kfold")(0, n_splits=5), y, None, FOUR)) == 5


@pytest.mark.parametrize(("y", "why"), [(np.ones((6, 2)), "has the same labels, cat;dog"), (np.zeros((6, 0)), "label")])
def test_clips_that_do_not_differ_in_their_labels_are_refused(y, why):
    with pytest.raises(DataError, match=f"every one of 6 clips .*{why}.*nothing to tell apart"):
        split(load("kfold")(0, n_splits=2), y.astype(np.int8), None, ["cat", "dog"][: y.shape[1]])


# ---- stretches of recordings

RECORDINGS = [f"{number // 6}.wav" for number in range(60)]
OF_WINDOWS = np.array([0, 0, 0, 1, 1, 2] * 10)


@pytest.mark.parametrize(
    "splitter",
    [
        ms.StratifiedShuffleSplit(n_splits=1, test_size=0.2, random_state=42),
        ms.ShuffleSplit(n_splits=1, test_size=0.2, random_state=42),
        ms.StratifiedKFold(5, shuffle=True, random_state=42),
        ms.KFold(5, shuffle=True, random_state=42),
        ms.RepeatedStratifiedKFold(n_splits=5, n_repeats=2, random_state=42),
        ms.RepeatedKFold(n_splits=5, n_repeats=2, random_state=42),
    ],
    ids=lambda splitter: type(splitter).__name__,
)
def test_no_recording_is_on_both_sides_of_any_split(splitter):
    folds = make_splits(splitter, OF_WINDOWS, groups=None, classes="abc", names=RECORDINGS, recordings=RECORDINGS)
    assert len(folds) == splitter.get_n_splits()
    for fold in folds:
        train, test = ({RECORDINGS[i] for i in part} for part in fold)
        assert (len(train), len(test), train & test) == (8, 2, set())
        assert np.bincount(OF_WINDOWS[fold.test]).tolist() == [6, 4, 2]


def test_whole_recordings_are_stratified_by_all_their_classes():
    recordings = [f"{i // 4}.wav" for i in range(40)]
    y = np.array([0, 0, 0, 0] * 8 + [0, 0, 0, 1] * 2)  # the rare class is in two recordings
    splitter = ms.StratifiedKFold(2, shuffle=True, random_state=1)
    folds = make_splits(splitter, y, groups=None, classes="ab", names=recordings, recordings=recordings)
    assert [int(y[fold.test].sum()) for fold in folds] == [1, 1]


def test_groups_wider_than_recordings_stay_whole():
    groups = [f"site {int(name[0]) // 2}" for name in RECORDINGS]
    splitter = ms.StratifiedGroupKFold(5, shuffle=True, random_state=42)
    for fold in make_splits(splitter, OF_WINDOWS, groups=groups, classes="abc", names=groups, recordings=RECORDINGS):
        assert len({groups[i] for i in fold.test}) == 1


def test_too_few_recordings_are_refused_with_a_remedy():
    few = [f"{number // 20}.wav" for number in range(60)]
    with pytest.raises(DataError, match=r"3 recordings cannot make 5 parts; set split\.n_splits=3, or add recordings"):
        make_splits(ms.StratifiedKFold(5), OF_WINDOWS, groups=None, classes="abc", names=few, recordings=few)
    with pytest.raises(DataError, match=r"1 recording cannot make 2 parts; add recordings"):
        make_splits(
            ms.StratifiedShuffleSplit(n_splits=1, test_size=0.2), OF_WINDOWS, groups=None, classes="abc", names=few,
            recordings=["a.wav"] * 60,
        )  # fmt: skip


def test_clips_that_are_whole_recordings_are_drawn_as_ever():
    names = [f"{i}.wav" for i in range(60)]
    splitter = ms.StratifiedShuffleSplit(n_splits=1, test_size=0.2, random_state=42)
    plain, told = (
        make_splits(splitter, OF_WINDOWS, groups=None, classes="abc", names=names, recordings=each)
        for each in (None, names)
    )
    np.testing.assert_array_equal(plain[0].test, told[0].test)


def test_two_recordings_are_too_few_for_a_small_test_set():
    two = ["a.wav"] * 30 + ["b.wav"] * 30
    splitter = ms.StratifiedShuffleSplit(n_splits=1, test_size=0.2, random_state=0)
    with pytest.raises(
        DataError, match=r"2 recordings are too few for parts of these sizes; set split\.test_size=0\.5"
    ):
        make_splits(splitter, OF_WINDOWS, groups=None, classes="abc", names=two, recordings=two)
    halves = ms.StratifiedShuffleSplit(n_splits=1, test_size=0.5, random_state=0)
    (fold,) = make_splits(halves, OF_WINDOWS, groups=None, classes="abc", names=two, recordings=two)
    assert fold.test.size == 30


def test_one_class_in_recordings_is_refused_with_its_own_remedy():
    with pytest.raises(DataError, match=r"only one class, 'a' \(60 clips\).*; data\.unit=windows adds a class"):
        make_splits(ms.KFold(5), np.zeros(60, int), groups=None, classes="a", names=RECORDINGS, recordings=RECORDINGS)
