"""The summary on the terminal: the score, at most three lines of advice, and a command that works as printed."""

import shlex

import numpy as np
import pytest
from conftest import tone, write_wav

from audiofw.results.advice import advise_on_metrics

QUICK = ["feature=mel", "pooling=stats", "model=lda", "report=false"]

LOUDNESS = """
    import numpy as np
    from audiofw import hookimpl

    @hookimpl
    def register_features(register):
        register(loudness)

    def loudness(y, sr, *, hop_length: int = 512):
        "Level and its change."
        level = np.array([np.abs(y[i : i + hop_length]).mean() for i in range(0, len(y), hop_length)])
        return np.stack([level, np.abs(np.fft.rfft(y, 2 * len(level) - 1))[: len(level)]])
"""


def metrics(**changed):
    """Make the metrics that the advice is based on."""
    scores = {"accuracy": {"pooled": 0.8, "interval": [0.7, 0.9]}}
    return {
        "score": "accuracy", "value": 0.8, "greater_is_better": True, "scores": scores, "baseline": {"accuracy": 0.5},
        "audit": [], "n_tested": 50, "n_clips": 100, "n_failures": 0, **changed,
    }  # fmt: skip


def finding(severity):
    return {"severity": severity, "message": "clips are alike", "remedy": "list them", "files": [], "effect": None}


def test_a_good_run_gets_no_advice():
    assert advise_on_metrics(metrics()) == []


@pytest.mark.parametrize(("n_tested", "recommended"), [(50, True), (100, False)])
def test_testing_every_clip_is_recommended_where_it_is_not_done(n_tested, recommended):
    perfect = {"accuracy": {"pooled": 1.0, "interval": [0.9, 1.0]}}
    (one,) = advise_on_metrics(metrics(scores=perfect, n_tested=n_tested))
    assert ("split=kfold" in one.remedy) == recommended


def test_warnings_come_before_notes():
    advice = advise_on_metrics(metrics(audit=[finding("note"), finding("warning")], n_failures=1))
    assert [one.level for one in advice] == ["warning", "note", "note"]
    assert advice[0].text == "Clips are alike."


def test_an_option_at_the_start_of_a_remedy_is_written_as_it_is_typed():
    found = {**finding("warning"), "remedy": "data.pattern=x split=group_kfold keeps sources together"}
    (one,) = advise_on_metrics(metrics(audit=[found]))
    assert one.remedy == "data.pattern=x split=group_kfold keeps sources together."


def test_many_unusable_clips_are_a_warning():
    assert [one.level for one in advise_on_metrics(metrics(n_failures=10))] == ["warning"]


@pytest.mark.parametrize(("interval", "warned"), [([0.45, 0.9], True), ([0.55, 0.9], False)])
def test_a_score_that_the_baseline_may_equal_is_a_warning(interval, warned):
    found = advise_on_metrics(metrics(scores={"accuracy": {"pooled": 0.8, "interval": interval}}))
    assert [one.level for one in found] == ["warning"] * warned


def test_every_clip_right_is_put_into_proportion():
    (note,) = advise_on_metrics(metrics(scores={"accuracy": {"pooled": 1.0, "interval": [0.929, 1.0]}}, value=1.0))
    assert "With 50 test clips, that is still compatible with an accuracy of 0.929" in note.text


@pytest.mark.parametrize(("n_groups", "said"), [(1, "no interval"), (4, "wide"), (5, None)])
def test_few_groups_are_a_note(n_groups, said):
    notes = advise_on_metrics(metrics(interval_over="groups", n_interval_over=n_groups))
    assert [said in note.text for note in notes] == [True] * (said is not None)
    assert not advise_on_metrics(metrics(interval_over="clips", n_interval_over=3))


def test_the_summary_begins_with_the_score_and_ends_with_what_to_do(audiofw, sounds):
    outcome = audiofw(f"data.source={sounds()}", *QUICK, "hydra.run.dir=run")
    lines = outcome.out.splitlines()
    assert lines[0].startswith("accuracy ")
    assert "baseline" in lines[0]
    assert lines[-2].startswith("predict:  audiofw predict run FILE ")
    assert lines[-1] == "results:  run"


def test_at_most_three_lines_of_advice(audiofw, tmp_path):
    """Classes that differ in length, loudness, silence and sampling rate, and contain copies."""
    for i in range(12):
        y = tone(400 + 40 * (i // 2), 0.5, seed=i // 2)
        write_wav(tmp_path / f"odd/short/{i}.wav", y)
        quiet = np.concatenate([0.1 * tone(900 + 50 * i, 1.0, sr=8000, seed=i), np.zeros(16000)])
        write_wav(tmp_path / f"odd/long/{i}.wav", quiet, sr=8000)
    outcome = audiofw("data.source=odd", *QUICK)
    assert outcome.code == 0, outcome.err
    lines = outcome.out.splitlines()
    assert len([line for line in lines if line.startswith(("warning: ", "note: "))]) == 3
    assert any(line.startswith("… and ") and line.endswith(" more in metrics.json") for line in lines)


def test_the_printed_predict_command_works(audiofw, sounds, tmp_path, monkeypatch):
    import textwrap

    (tmp_path / "my plugins").mkdir()
    (tmp_path / "my plugins/loudness.py").write_text(textwrap.dedent(LOUDNESS))
    words = ["--plugins-dir", "my plugins", f"data.source={sounds()}", "pooling=stats", "model=lda", "report=false"]
    outcome = audiofw(*words, "feature=loudness", "hydra.run.dir=my run")
    assert outcome.code == 0, outcome.err
    (line,) = (line for line in outcome.out.splitlines() if line.startswith("predict:"))
    monkeypatch.delenv("AUDIOFW_PLUGINS_PATH")
    command = shlex.split(line.removeprefix("predict:").partition("(")[0].replace("FILE", "sounds/low/1.wav"))
    assert command[:3] == ["audiofw", "--plugins-dir", "my plugins"]
    assert audiofw(*command[1:]).code == 0
