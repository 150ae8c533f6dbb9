"""The kit finds what is wrong with a plugin, and says where and what to change."""

import re
import textwrap
from pathlib import Path

import numpy as np
import pytest

from audiofw.contract.hookspecs import KINDS
from audiofw.errors import ConfigError
from audiofw.kit.contract import contract_checks, plugins_of
from audiofw.kit.cost import measure_plugin

HEAD = """import numpy as np
from audiofw import hookimpl

@hookimpl
def {hook}(register):
    register(mine{facts})

"""
BODIES = {
    "feature": '"Mine."\nreturn np.log(np.abs(y[: len(y) // 64 * 64].reshape(1, -1, 64)).mean(axis=2) + 1e-6)',
    "pooling": '"Mine."\nreturn frames.mean(axis=1)',
    "model": '"Mine."\nfrom sklearn.naive_bayes import GaussianNB\nreturn GaussianNB()',
    "split": '"Mine."\nfrom sklearn.model_selection import KFold\nreturn KFold(2, shuffle=True, random_state=seed)',
    "augmentation": '"Mine."\nreturn y * np.float32(rng.uniform(0.5, 1))',
    "tracking": '"Mine."\nassert event.name',
}
ASKS = {
    "feature": "y, sr",
    "pooling": "frames",
    "model": "seed",
    "split": "seed",
    "augmentation": "y, sr, rng",
    "tracking": "event",
}


@pytest.fixture
def write(tmp_path: Path):
    """Write a plugin file of one kind, with a body that is wrong in some way."""

    def write(kind: str, body: str | None = None, *, options: str = "", facts: str = "", top: str = "") -> Path:
        head = HEAD.format(hook=KINDS[kind].hook, facts=facts) + textwrap.dedent(top)
        code = f"{head}\ndef mine({ASKS[kind]}{options}):\n" + textwrap.indent(body or BODIES[kind], "    ") + "\n"
        (tmp_path / "mine.py").write_text(code)
        return tmp_path / "mine.py"

    return write


def result(file: Path, what: str) -> str:
    """Run one check: its remark, or what it says is wrong."""
    (check,) = (check for check in contract_checks(file) if check.what == what)
    try:
        return check()
    except AssertionError as wrong:
        return f"FAILED {wrong}"


@pytest.mark.parametrize("kind", BODIES)
def test_a_plugin_that_does_all_passes(write, kind):
    for check in contract_checks(write(kind)):
        check()


@pytest.mark.parametrize(
    ("body", "what", "said"),
    [
        ('"mine"\nreturn y[None]', "documented", "mine.py:9: the docstring begins with 'mine': write a first line"),
        ("return y[None]", "documented", "mine.py:9: the docstring begins with '': "),
        ('"M."\nreturn y', "noise", "mine.py:9: returned an array of shape (22050,): return (rows, frames)"),
        ('"M."\nreturn [[0.0]]', "noise", "mine.py:9: returned list: return a NumPy array"),
        ('"M."\nreturn y[None].astype(float)', "tone", "mine.py:9: returned float64: return float32"),
        ('"M."\nreturn np.log(np.abs(y[None]))', "silence", "mine.py:9: returned infinity: avoid the logarithm"),
        ('"M."\nreturn y[None] / y.max()', "silence", "mine.py:9: returned NaN: avoid"),
        ('"M."\nreturn y[:0, None]', "clipped", "returned an empty array"),
        ('"M."\nreturn y[None, :: 2**20 // len(y)]', "five minutes", "mine.py:11: ValueError: slice step"),
        ('"M."\nreturn y[None, :: sr // 100]', "1 Hz to 384 kHz", ""),
        ('"M."\nreturn y[None, [10**6 // sr]]', "1 Hz to 384 kHz", "mine.py:11: IndexError"),
        ('"M."\nreturn np.nan_to_num(y[None])', "NaN", "mine.py:9: returned finite numbers for NaN: return NaN"),
        (
            '"M."\nreturn y[:, None]',
            "rows and frames",
            "22050 rows for 1 s, but 66150 for 3 s: the number of rows must not",
        ),
        ('"M."\nreturn y[None, ::-22051]', "rows and frames", ""),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_wrong_feature_is_told_what_to_change(write, body, what, said):
    outcome = result(write("feature", body), what)
    assert outcome.startswith("FAILED ") == bool(said)
    assert said in outcome


def test_each_option_needs_help(write):
    outcome = result(write("feature", options=", *, hop: int = 1, top: int = 2"), "documented")
    assert outcome.endswith("no help for hop, top: add a section 'Parameters' to the docstring, in numpydoc style")


def test_rates_may_be_refused_with_a_reason(write):
    body = '"M."\nif sr < 8000:\n    raise ValueError("too slow")\nreturn y[None]'
    said = result(write("feature", body), "1 Hz to 384 kHz")
    assert said.startswith("refuses 1 Hz, 100 Hz, 1000 Hz: ")
    assert "too slow" in said


def test_a_clip_too_short_for_a_frame_is_lengthened_and_that_is_said(write):
    body = '"M."\nif len(y) < 64:\n    raise IndexError("no frame")\nreturn y[None]'
    assert result(write("feature", body), "one sample") == "too short for a frame: audiofw adds silence"
    assert "no frame" in result(write("feature", body.replace("< 64", "< 2**20")), "one sample")


def test_a_feature_is_tried_at_the_rate_and_with_the_length_that_it_declares(write):
    body = '"M."\nif sr != 8000 or len(y) < 4000:\n    raise IndexError("other")\nreturn y[None, ::50]'
    for check in contract_checks(write("feature", body, facts=", sample_rate=8000, min_duration=0.5")):
        assert check() == "declares sample_rate=8000" or check.what != "1 Hz to 384 kHz"


def test_an_answer_that_changes_is_found(write):
    top = "STATE = []\n"
    body = '"M."\nSTATE.append(1)\nreturn y[None] + np.float32(len(STATE))'
    said = result(write("feature", body, top=top), "twice, threads, processes")
    assert "a different result in a second call: keep nothing between calls" in said


def test_an_answer_that_depends_on_the_process_is_found(write):
    top = "import os\n"
    body = '"M."\nreturn y[None] + np.float32(os.getpid() % 10007)'
    assert "a different result in processes" in result(write("feature", body, top=top), "twice, threads, processes")


@pytest.mark.parametrize("holds_gil", [True, False])
def test_what_does_not_pickle_is_said(write, holds_gil):
    top = """
        import threading
        class Locked:
            def __init__(self): self.lock = threading.Lock()
        def locked(function):
            keep = Locked()
            def mine(y, sr):
                "Mine."
                return function(y, sr) if keep else None
            return mine
        @hookimpl
        def register_poolings(register):
            pass
    """
    file = write("feature", top=top, facts=f", holds_gil={holds_gil}")
    code = file.read_text().replace('\ndef mine(y, sr):\n    "Mine."', '\n@locked\ndef mine(y, sr):\n    "Mine."')
    file.write_text(code)
    said = result(file, "twice, threads, processes")
    assert ("FAILED" in said) == holds_gil
    assert "pickle" in said


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("lambda sr: ['a.b']", "names returned ['a.b']: a row's name must not contain"),
        ("lambda sr: ['a', 'b']", "names returned 2 names, expected 1"),
        ("lambda sr: 1 / 0", "ZeroDivisionError"),
        ("lambda sr: ['level']", ""),
    ],
)
def test_names_have_to_fit(write, names, said):
    outcome = result(write("feature", facts=f", names={names}"), "names")
    assert outcome.startswith("FAILED ") == bool(said)
    assert said in outcome


def test_a_plugin_without_names_has_numbers(write):
    assert result(write("feature"), "names") == "numbered, since it has no names function"


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        ("graph.ReduceMean(frames, axes=[1], keepdims=0)", "^$"),
        ("graph.ReduceMax(frames, axes=[1], keepdims=0)", r"^FAILED .*\w: its graph is off by up to \d"),
        ("graph.ReduceMean(frames, axes=[0], keepdims=0)", r"^FAILED .*noise: its graph gives \(44,\), not \(20,\)"),
    ],
)
def test_a_graph_has_to_compute_the_same(write, graph, said):
    top = f"""
    def drawn(graph, frames):
        return {graph}
    """
    assert re.match(said, result(write("pooling", facts=", onnx=drawn", top=top), "graph"))


def test_a_plugin_without_a_graph_is_told_what_that_means(write):
    assert result(write("pooling"), "graph") == "none: a model with it cannot be exported"


@pytest.mark.parametrize(
    ("kind", "body", "what", "said"),
    [
        ("pooling", '"M."\nreturn frames', "1, 2 and 50 frames", "returned an array of shape (5, 1) for 1 frames"),
        ("pooling", '"M."\nreturn frames.std(axis=1, ddof=1)', "1, 2 and 50 frames", "NaN or infinity for 1 frames"),
        ("pooling", '"M."\nframes.sort()\nreturn frames[:, 0]', "input unchanged", "modified frames in place"),
        ("pooling", '"M."\nreturn np.random.rand(3)', "twice", "a different row in a second call"),
        ("model", '"M."\nfrom sklearn.dummy import DummyClassifier\nreturn DummyClassifier()', "two and four classes",
         "on 2 well-separated classes: scale the columns"),
        ("model", '"M."\nfrom sklearn.neural_network import MLPClassifier\nreturn MLPClassifier(max_iter=3)',
         "twice, threads", "different predictions when fitted again: pass seed as random_state"),
        ("split", '"M."\nclass S:\n    def split(self, *_):\n        yield range(9), range(8, 20)\nreturn S()',
         "training and test", "clips in both the training and the test set: 1"),
        ("split", '"M."\nfrom sklearn.model_selection import KFold\nreturn KFold(2, shuffle=True)', "twice",
         "different folds in a second call"),
        ("augmentation", '"M."\nreturn y[: len(y) // 2]', "all clips, 1 Hz to 384 kHz", "one sample at 1 Hz: retur"),
        ("augmentation", '"M."\nreturn y * np.float32(np.random.rand())', "twice", "different samples for the same"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::sklearn.exceptions.ConvergenceWarning")
def test_wrong_plugins_of_other_kinds_are_told_what_to_change(write, kind, body, what, said):
    outcome = result(write(kind, body), what)
    assert outcome.startswith("FAILED mine.py:9: ")
    assert said in outcome


def test_an_augmentation_that_always_does_the_same_is_told(write):
    said = result(write("augmentation", '"M."\nreturn y'), "twice")
    assert said == "the same for every rng: copies would not differ"


OWN_MODEL = """
    from sklearn.naive_bayes import GaussianNB
    class Own(GaussianNB):
        "A class that no list knows."
"""


def test_a_model_that_cannot_be_loaded_again_is_told(write):
    said = result(write("model", '"M."\nreturn Own()', top=OWN_MODEL), "saved and loaded")
    assert "no model saved" in said
    assert "register_trusted_types" in said


def test_a_plugin_that_cannot_be_loaded_fails_with_the_reason(write):
    checks = contract_checks(write("feature", options=", hop"))
    assert [str(check) for check in checks] == ["feature=mine: loads"]
    with pytest.raises(AssertionError, match="unknown argument 'hop'; a feature may take"):
        checks[0]()


@pytest.mark.parametrize(
    ("subject", "said"),
    [("nowhere.py", "nowhere.py: file not found"), ("mell", r"'mell': no file, .*\(did you mean 'mel'\?\)")],
)
def test_an_unknown_subject_is_refused(subject, said):
    with pytest.raises(ConfigError, match=said):
        contract_checks(subject)


def test_a_file_that_is_not_loaded_is_refused(tmp_path):
    (tmp_path / "_mine.py").write_text("")
    with pytest.raises(ConfigError, match="begins with _"):
        contract_checks(tmp_path / "_mine.py")


def test_a_name_stands_for_every_plugin_that_has_it_and_a_kind_for_one():
    assert {check.who for check in contract_checks("stft")} == {"feature=stft"}
    assert {check.who for check in contract_checks("feature=stft", "split=kfold")} == {"feature=stft", "split=kfold"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('event.metrics["value"]', "FAILED mine.py:11: KeyError: 'value'"),
        ('if event.name == "sweep_ends":\n    1 / 0', "FAILED mine.py:12: ZeroDivisionError"),
        ('if event.name == "run_fails":\n    event.reason.nothing', "FAILED mine.py:12: AttributeError"),
    ],
)
def test_a_tracker_has_to_take_every_event(write, body, said):
    assert result(write("tracking", f'"M."\n{body}'), "every event").startswith(said)


@pytest.mark.parametrize("kind", BODIES)
def test_the_cost_of_what_works_on_clips_is_measured_beside_a_built_in_one(write, kind):
    (plugin,), menus = plugins_of(write(kind))
    cost = measure_plugin(plugin, menus)
    if kind in ("model", "split", "tracking"):
        assert cost is None
    else:
        assert np.isfinite([cost.seconds, cost.its_seconds]).all()
        assert cost.beside == ("pooling=stats" if kind == "pooling" else "feature=mel")
