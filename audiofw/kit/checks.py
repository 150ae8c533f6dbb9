"""The contract of each kind of plugin as checks, which say what to change if a plugin does not meet it.

Each takes a `Trial` and returns a note, mostly empty; `ContractError` says what is wrong and what to do about it.
"""

from __future__ import annotations

import math
import re
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from audiofw.audio.segments import Segments
from audiofw.contract.menus import Menus
from audiofw.contract.plugin import Choice, Plugin
from audiofw.contract.schema import Option, make_schema
from audiofw.errors import AudiofwError, PluginError, one_line
from audiofw.extraction.columns import name_columns
from audiofw.extraction.recording import LONGEST_FRAME, Unit
from audiofw.kit.sounds import LONG_SECONDS, RATES, SR, Sound, make_clips, make_long_clip
from audiofw.parallel.executors import Lost, pack_function
from audiofw.parallel.workers import outcomes

COLUMN = re.compile(r"[^.@]+(\.[^.@]+)*(@\d+/\d+)?")
COMPANIONS = {"feature": "mfcc", "pooling": "stats", "model": "lda", "split": "kfold"}
"""Fast built-in plugins to combine with a plugin of another kind."""


class ContractError(AssertionError):
    """A plugin does not meet the contract."""


@dataclass(frozen=True)
class Trial:
    """A plugin to be tried, with all others, and options that replace its defaults."""

    plugin: Plugin
    menus: Menus
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def choice(self) -> Choice:
        """The plugin with its options bound."""
        return self.menus.choose_member(self.plugin.kind.name, self.plugin.name, self.options)

    def choose(self, kind: str) -> Choice:
        """The plugin itself, or the one of another kind that it is combined with."""
        return self.choice if kind == self.plugin.kind.name else self.menus.choose_member(kind, COMPANIONS[kind], {})

    @property
    def sr(self) -> int:
        """The rate that it declares to need, or the usual one."""
        return self.choice.sample_rate or SR

    def __call__(self, y: np.ndarray, sr: int | None = None) -> Any:
        """Call the feature on a copy of a clip, which is padded to the length that it declares to need."""
        return run_feature(self.choice, Sound(y, sr or self.sr))

    def unit(self, sr: int = SR, duration: float | None = None) -> Unit:
        """The extraction of one recording with the plugin."""
        return Unit(sr, 0.0, "keep", self.choose("feature"), self.choose("pooling"), Segments(duration))


def expect(holds: object, wrong: str, remedy: str = "") -> None:
    """Raise ContractError, with what is wrong and what to do about it, unless a condition holds."""
    if not holds:
        raise ContractError(": ".join(filter(None, [wrong, remedy])))


# ---- every kind


def composes(trial: Trial) -> str:
    """Its options make a config that Hydra accepts, with the defaults that it states."""
    plugin = trial.plugin
    schema = make_schema(plugin.name, [Option("name", str, plugin.name), *plugin.options])
    values: Any = OmegaConf.to_container(OmegaConf.structured(schema))
    trial.menus.choose(plugin.kind.name, values)
    return ""


def is_documented(trial: Trial) -> str:
    """Its docstring says what it is, and what each option does."""
    plugin = trial.plugin
    remedy = "write a first line that says what the plugin is, and ends with a full stop"
    expect(plugin.summary.endswith("."), f"the docstring begins with {plugin.summary!r}", remedy)
    lacking = [option.name for option in plugin.described_options() if not option.help]
    remedy = "add a section 'Parameters' to the docstring, in numpydoc style"
    expect(not lacking, f"no help for {', '.join(lacking)}", remedy)
    return ""


# ---- features


def try_clip(name: str, trial: Trial) -> str:
    """A clip gives a finite float32 matrix."""
    y = make_clips()[name].y
    try:
        expect_matrix(trial(y))
    except (ContractError, AudiofwError):
        if y.size >= LONGEST_FRAME:
            raise
        trial.unit(trial.sr).pool(y.copy(), trial.sr)
        return "too short for a frame: audiofw adds silence"
    return ""


def expect_matrix(frames: Any) -> None:
    """Raise ContractError unless this is what a feature returns."""
    _expect_array(frames, 2, "(rows, frames)")


def _expect_array(made: Any, ndim: int, shape: str) -> None:
    expect(isinstance(made, np.ndarray), f"returned {type(made).__name__}", "return a NumPy array")
    expect(made.ndim == ndim, f"returned an array of shape {made.shape}", f"return {shape}")
    expect(made.dtype == np.float32, f"returned {made.dtype}", "return float32: .astype(np.float32)")
    expect(made.size, f"returned an empty array of shape {made.shape}", "return at least one value")
    wrong = "NaN" if np.isnan(made).any() else "infinity"
    expect(np.isfinite(made).all(), f"returned {wrong}", "avoid the logarithm of zero and division by zero")


def takes_any_rate(trial: Trial) -> str:
    """It takes noise at any rate from 1 Hz to 384 kHz, or says in an error that it cannot."""
    y, refused = make_clips()["noise"].y, {}
    if trial.choice.sample_rate:
        return f"declares sample_rate={trial.choice.sample_rate}"
    for sr in RATES:
        try:
            expect_matrix(trial(y, sr))
        except ContractError as wrong:
            raise ContractError(f"at {sr} Hz: {wrong}") from wrong
        except AudiofwError as error:
            if not isinstance(error.__cause__, (ValueError, type(None))):
                raise
            refused[sr] = one_line(error)
    return _describe_refused(refused)


def _describe_refused(refused: Mapping[int, str]) -> str:
    if not refused:
        return ""
    first = next(iter(refused.values()))
    return f"refuses {', '.join(f'{sr} Hz' for sr in refused)}: {first}"


def does_not_hide_nan(trial: Trial) -> str:
    """It raises an error for NaN, or returns NaN: finite numbers would look like a valid result."""
    try:
        frames = np.asarray(trial(np.full(SR, np.nan, np.float32)))
    except AudiofwError:
        return ""
    expect(not np.isfinite(frames).all(), "returned finite numbers for NaN", "return NaN, or raise ValueError")
    return ""


def keeps_its_rows(trial: Trial) -> str:
    """A longer clip has the same rows and more frames."""
    y = make_clips()["tone"].y
    short, long = (trial(y[: n * SR]) for n in (1, 3))
    wrong = f"{short.shape[0]} rows for 1 s, but {long.shape[0]} for 3 s"
    expect(short.shape[0] == long.shape[0], wrong, "the number of rows must not depend on the length of the clip")
    wrong = f"{short.shape[1]} frames for 1 s, but {long.shape[1]} for 3 s"
    expect(short.shape[1] <= long.shape[1], wrong, "the second axis must be time")
    return "" if short.shape[1] < long.shape[1] else "as many frames for a longer clip"


def takes_long_clips(trial: Trial) -> str:
    """A clip of five minutes gives a finite matrix, too."""
    expect_matrix(trial(make_long_clip().y))
    return f"{LONG_SECONDS} s"


def run_feature(choice: Choice, sound: Sound) -> Any:
    """Call a feature on a copy of a clip."""
    least = math.ceil(choice.min_duration * sound.sr)
    return choice(np.pad(sound.y, (0, max(0, least - sound.y.size))), sound.sr)


def gives_the_same_in_threads_and_processes(trial: Trial) -> str:
    """Its results are bit-identical in a second call, in parallel threads, and in processes."""
    sounds = [Sound(make_clips()[name].y[::step], trial.sr) for name in ("noise", "tone", "clipped") for step in (1, 2)]
    run = partial(run_feature, trial.choice)
    expected = list(outcomes(run, sounds, n_jobs=1))
    remedy = "keep nothing between calls, and draw random numbers from np.random.default_rng(0)"
    ways: dict[str, dict[str, Any]] = {"in a second call": {"n_jobs": 1}, "in parallel threads": {"n_jobs": 4}}
    if not (note := _why_not_pickled(run, trial.choice)):
        ways["in processes"] = {"n_jobs": 2, "processes": True}
    for way, options in ways.items():
        for now, before in zip(outcomes(run, sounds, **options), expected, strict=True):
            for made in (now, before):
                _expect_result(made)
            expect(np.array_equal(now, before), f"a different result {way}", remedy)
    return note


def _expect_result(made: Any) -> None:
    if isinstance(made, Lost):
        raise made.error


def _why_not_pickled(function: Callable[..., Any], choice: Choice) -> str:
    try:
        pack_function(function)
    except PluginError as error:
        if choice.holds_gil:  # it has to run in processes
            raise
        return f"cannot be pickled, so it runs only in threads: {error.__cause__}"
    return ""


def names_fit(trial: Trial) -> str:
    """There is a name for each row or column, and no two are the same."""
    unit = trial.unit(trial.sr, duration=1.0)
    frames, _ = unit.example()
    pooling = unit.pooling
    row = pooling(None, 0).fit([frames] * 20).transform([frames])[0] if pooling.learns else unit.pool(*unit.hiss())
    names = name_columns(unit, row.size)
    twice = [name for name, count in Counter(names).items() if count > 1]
    expect(not twice, f"names returned {', '.join(twice[:3])} more than once", "give each row a different name")
    odd = [name for name in _row_names(unit) if set(name) & set(".@")]
    odd += [name for name in names if not COLUMN.fullmatch(name)]
    remedy = "a row's name must not contain . or @, which mark statistics and segments"
    expect(not odd, f"names returned {odd[:3]}", remedy)
    return "" if trial.plugin.names else "numbered, since it has no names function"


def _row_names(unit: Unit) -> list[str]:
    give = unit.feature.plugin.names
    return list(give(unit.sample_rate, **unit.feature.options)) if give else []


# ---- poolings


def pool_once(choice: Choice, frames: np.ndarray) -> np.ndarray:
    """Pool a matrix into one row, after fitting a pooling that learns on random ones."""
    if not choice.learns:
        return np.asarray(choice(frames))
    rng = np.random.default_rng(1)
    some = [rng.standard_normal((len(frames), 10 + i)).astype(np.float32) for i in range(20)]
    return np.asarray(choice(None, 0).fit(some).transform([frames])[0])


def _matrix(frames: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((5, frames)).astype(np.float32)


def makes_a_vector(trial: Trial) -> str:
    """One, two and fifty frames give a finite vector."""
    for frames in (1, 2, 50):
        row = pool_once(trial.choice, _matrix(frames))
        expect(row.ndim == 1, f"returned an array of shape {row.shape} for {frames} frames", "return (d,)")
        expect(row.size, f"returned an empty vector for {frames} frames", "return at least one value")
        wrong = f"returned NaN or infinity for {frames} frames"
        expect(np.isfinite(row).all(), wrong, "a clip may have a single frame")
    return ""


def leaves_its_frames_alone(trial: Trial) -> str:
    """It does not modify its input."""
    frames = _matrix(20)
    before = frames.copy()
    pool_once(trial.choice, frames)
    expect((frames == before).all(), "modified frames in place", "work on a copy, as np.sort does")
    return ""


def pools_the_same_twice(trial: Trial) -> str:
    """It gives the same row in a second call."""
    first, again = (pool_once(trial.choice, _matrix(50)) for _ in range(2))
    expect(np.array_equal(first, again), "a different row in a second call", "derive random numbers from seed")
    return ""


# ---- models


def _table(n: int, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    y = np.arange(n) % n_classes
    X = np.random.default_rng(0).standard_normal((n, 6)) + 4 * np.eye(n_classes, 6)[y]
    return X.astype(np.float32), y


def learns_what_is_plain(trial: Trial) -> str:
    """It classifies more than 80 % of the rows of two and of four well-separated classes; probabilities sum to 1."""
    note = ""
    for n_classes in (2, 4):
        X, y = _table(80, n_classes)
        model = trial.choice(42, 1).fit(X[:60], y[:60])
        share = float((model.predict(X[60:]) == y[60:]).mean())
        wrong = f"accuracy {share:.0%} on {n_classes} well-separated classes"
        expect(share > 0.8, wrong, "scale the columns, or change the defaults")
        if not hasattr(model, "predict_proba"):
            note = "no probabilities, which prediction sets and calibration need"
            continue
        sums = model.predict_proba(X[60:]).sum(axis=1)
        expect(np.allclose(sums, 1, atol=1e-5), f"probabilities sum to {sums.min():.3f}", "divide them by their sum")
    return note


def answers_the_same_for_any_number_of_threads(trial: Trial) -> str:
    """Fitted twice, with one thread and with two, it gives the same predictions."""
    X = np.random.default_rng(0).standard_normal((60, 8)).astype(np.float32)
    y = np.arange(60) % 3
    first, again = (_answer(trial.choice(7, jobs).fit(X, y), X) for jobs in (1, 2))
    expect(np.allclose(first, again, atol=1e-6), "different predictions when fitted again", "pass seed as random_state")
    return ""


def _answer(model: Any, X: np.ndarray) -> np.ndarray:
    return np.asarray(model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X))


# ---- splits


def _splits(trial: Trial) -> list[tuple[Any, Any]]:
    groups, folds = [f"g{i // 6}" for i in range(60)], [str(i % 3) for i in range(60)]
    splitter = trial.choice(42, groups, folds)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The groups parameter is ignored")
        return list(splitter.split(np.zeros((60, 1)), np.arange(60) % 2, groups))


def separates_training_from_test(trial: Trial) -> str:
    """It makes folds with training and test clips, and no clip is in both."""
    pairs = _splits(trial)
    expect(pairs, "made no fold", "return a scikit-learn splitter")
    for train, test in pairs:
        expect(len(train) and len(test), f"made a fold of {len(train)} training and {len(test)} test clips")
        both = set(train) & set(test)
        wrong = f"clips in both the training and the test set: {len(both)}"
        expect(not both, wrong, "the score would be meaningless")
    return ""


def splits_the_same_twice(trial: Trial) -> str:
    """It makes the same folds in a second call."""
    first, again = _splits(trial), _splits(trial)
    same = all(
        np.array_equal(a, b) for one, two in zip(first, again, strict=True) for a, b in zip(one, two, strict=True)
    )
    expect(same, "different folds in a second call", "pass seed as random_state")
    return ""


# ---- augmentations


def changes_any_clip(trial: Trial) -> str:
    """Every clip at any rate gives finite float32 samples, or an error that says why not."""
    refused: dict[int, str] = {}
    for sr in RATES:
        for seed, (name, (y, _)) in product(range(3), make_clips().items()):
            try:
                _expect_array(trial.choice(y.copy(), sr, np.random.default_rng(seed)), 1, "(n,)")
            except ContractError as wrong:
                raise ContractError(f"{name} at {sr} Hz: {wrong}") from wrong
            except AudiofwError as error:
                if not isinstance(error.__cause__, (ValueError, type(None))):
                    raise
                refused.setdefault(sr, one_line(error))
    return _describe_refused(refused)


def draws_from_the_generator(trial: Trial) -> str:
    """The same generator gives the same samples, and a different one gives different samples."""
    y, sr = make_clips()["noise"]
    first, again, other = (trial.choice(y.copy(), sr, np.random.default_rng(seed)) for seed in (1, 1, 2))
    expect(np.array_equal(first, again), "different samples for the same rng", "draw random numbers only from rng")
    return "" if not np.array_equal(first, other) else "the same for every rng: copies would not differ"
