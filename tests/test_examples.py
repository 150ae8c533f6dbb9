"""Public functions have examples, and these run and print what they say."""

import doctest
import inspect
import os
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from unittest.mock import patch

import pytest
from conftest import tone, write_wav

import audiofw as fw
from audiofw import learn, spectral
from audiofw.api import RunResult
from audiofw.audio import effects
from audiofw.bundle.model import Model
from audiofw.contract import hookspecs
from audiofw.contract.hookspecs import KINDS, TRUSTED_TYPES
from audiofw.contract.plugin import read_plugin

KERNELS = [getattr(spectral, name) for name in spectral.__all__ if not inspect.isclass(getattr(spectral, name))]
EFFECTS = [each for name, each in vars(effects).items() if inspect.isfunction(each) and not name.startswith("_")]
LEARN = [
    each
    for module in (import_module(f"audiofw.learn.{found.name}") for found in iter_modules(learn.__path__))
    for name, each in vars(module).items()
    if getattr(each, "__module__", "") == module.__name__ and not name.startswith("_")
    if any(section in (inspect.getdoc(each) or "") for section in ("\nParameters\n", "\nExamples\n"))
]
FROM_PYTHON = [
    fw.run,
    fw.evaluate,
    fw.load_model,
    fw.features,
    fw.feature_names,
    Model.predict,
    Model.predict_proba,
    Model.predict_set,
    Model.operating_thresholds,
    Model.detected,
    Model.timeline,
    Model.listen,
    Model.least_probability,
    Model.labels,
    Model.check_unknown,
    Model.typicality,
    RunResult,
]


def run_examples(function) -> dict:
    """Run the examples in a docstring; gives the names that they leave."""
    assert "\nExamples\n--------\n" in inspect.getdoc(function)
    (test,) = doctest.DocTestFinder(recurse=False).find(function, function.__name__, module=False, globs={})
    said: list[str] = []
    outcome = doctest.DocTestRunner().run(test, out=said.append, clear_globs=False)
    assert outcome.failed == 0, "".join(said)
    return test.globs


@pytest.mark.parametrize("function", [*KERNELS, *EFFECTS], ids=lambda function: function.__name__)
def test_the_example_of_a_kernel_or_effect_is_true(function):
    run_examples(function)


@pytest.mark.parametrize("each", LEARN, ids=lambda each: each.__name__)
def test_the_example_of_an_estimator_is_true(each):
    run_examples(each)


@pytest.fixture(scope="module")
def pets(tmp_path_factory) -> Path:
    """Make what the examples name: recordings of cats and dogs, and a run."""
    folder = tmp_path_factory.mktemp("examples")
    for label, frequency in {"cat": 900, "dog": 250}.items():
        for i in range(20):
            write_wav(folder / "pets" / label / f"{i}.wav", tone(frequency * (1 + 0.02 * i), 0.3, seed=i))
        for i in range(3):
            write_wav(folder / "more_pets" / label / f"{i}.wav", tone(frequency * (1.05 + 0.02 * i), 0.4, seed=50 + i))
    write_wav(folder / "hiss.wav", tone(0, 0.3, noise=0.2))
    words = [f"data.source={folder / 'pets'}", "feature=mfcc", "pooling=stats", "model=svm", "split=kfold"]
    with patch.dict(os.environ, {"AUDIOFW_CACHE": str(folder / "cache")}):
        fw.run([*words, "report=false", "audit=false"], path=folder / "run")
    return folder


@pytest.mark.parametrize("function", FROM_PYTHON, ids=lambda function: function.__name__)
def test_the_example_of_what_python_calls_is_true(function, pets, monkeypatch):
    monkeypatch.chdir(pets)
    run_examples(function)


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_the_example_of_a_hook_is_a_plugin(kind):
    names = run_examples(getattr(hookspecs, kind.hook))
    registered: list = []
    names[kind.hook](registered.append)
    (function,) = registered
    assert read_plugin(kind, function, "the docs").summary


def test_the_example_of_trusted_types_names_a_class():
    registered: list[str] = []
    run_examples(getattr(hookspecs, TRUSTED_TYPES))[TRUSTED_TYPES](registered.append)
    assert registered == ["my_package.models.MyClassifier"]
