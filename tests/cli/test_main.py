"""The command line in normal use, and one-line errors for every kind of misuse."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from conftest import tone, write_wav
from gates import PATIENCE, PYTHONPATH, arrival, opened_gate, port_of

from audiofw.cli.main import COMMANDS
from audiofw.errors import ConfigError
from audiofw.experiment.hydra_app import compose
from audiofw.version import __version__

QUICK = ("audit=false", "report=false", "bundle=false", "n_jobs=1")
PLAIN = ("feature=mfcc", "pooling=stats", *QUICK)


def one_line(outcome) -> str:
    """Check that a command failed with a single line, and return that line."""
    assert outcome.code != 0
    assert outcome.out == ""
    lines = outcome.err.strip().splitlines()
    assert len(lines) == 1, outcome.err
    assert lines[0].startswith("audiofw: ")
    return lines[0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["model=xgbost"], "unknown model (did you mean 'xgboost'?)"),
        (["+experiment=artcle"], "(did you mean 'article'?)"),
        (
            ["model=xgboost", "model.max_dept=3"],
            "model.max_dept: unknown key (did you mean 'model.max_depth'?)",
        ),
        (["feature.n_mels=many"], "feature.n_mels: Value 'many'"),
        (["feature.n_mels=0"], "feature.n_mels=0: must be int ≥ 1"),
        (["+model.typo=1"], "model.typo: unknown option"),
        (["score=acuracy"], "unknown score (did you mean 'accuracy'?)"),
        (["data.include=[a"], "[a"),
        (["windows.hop=1", "audio.duration=null"], "windows.hop=1 needs audio.duration"),
        (["plugins", "show"], "the following arguments are required: name"),
        (["pluginz"], "unknown command 'pluginz' (did you mean 'plugins'?)"),
        (["pets.zip"], "'pets.zip' is not a command; to use it as data: audiofw data.source=pets.zip"),
        (["-m", "my pets"], "unknown command 'my pets'"),
        (["feature=mel", "a b.zip"], "to use it as data: audiofw 'data.source=a b.zip'"),
        (["--plugins-dir"], "--plugins-dir needs a folder"),
        (["--plugins-dir", "nowhere"], "plugins folder not found"),
        (["plugins", "show", "mell"], "unknown plugin 'mell' (did you mean 'mel'?)"),
        (["data.source=nowhere.zip"], "nowhere.zip"),
        (["split=group_kfold"], "data.pattern"),
        (["split=predefined"], "data.pattern"),
    ],
)
def test_a_wrong_word_is_refused_in_one_line(audiofw, words, said):
    assert said in one_line(audiofw(*words))
    assert list(Path.cwd().iterdir()) == []  # no partial files are left behind


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("sed=1", "sed: unknown key (did you mean 'seed'?)"),
        ("split.test_size=2", "split.test_size=2.0: must be float > 0, < 1"),
        ("+feature.typo=1", "feature.typo: unknown option"),
        ("+data.limt=1", "data.limt: unknown option (did you mean 'limit'?)"),
        ("+data.columns.lable=x", "data.columns.lable: unknown option (did you mean 'label'?)"),
        ("pad.to=longer", "pad.to=longer: must be duration | longest"),
        ("seed=-1", "seed=-1: must be int ≥ 0"),
        ("audio.duration=0", "audio.duration=0.0: must be float ≥ 0.001, ≤ 86400 or null"),
        ("audio.trim=abc", "audio.trim: Value 'abc' is not a number"),
        ("data.limit=1.5", "data.limit: Value '1.5' is not a whole number"),
        ("robustness=maybe", "robustness: Value 'maybe' is neither true nor false"),
        ("data.exclude=null", "data.exclude: must not be null; give a value, or leave the option out"),
        ("seed=null", "seed: must not be null; give a value, or leave the option out"),
        ("data.include=dog", "data.include: must be a list, e.g. [a,b]"),
        ("bundle=maybe", "bundle: is a section; set its keys: bundle.key=value"),
        ("model=null", "model=null: unknown model; available: "),
        ("pooling.parts=[100000]", "pooling.parts=[100000]: must be list of int ≥ 1, ≤ 100"),
    ],
)
def test_a_config_that_cannot_be_is_refused_in_one_line(word, said):
    with pytest.raises(ConfigError) as refused:
        compose([word])
    assert said in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1
    assert refused.value.exit_code == 2


@pytest.mark.skipif(os.name == "nt", reason="names cannot contain control characters")
def test_names_with_escape_sequences_do_not_reach_the_terminal(audiofw, sounds, tmp_path):
    odd = "\x1b[2J\x9b\n\r.wav"
    said = one_line(audiofw(f"data.source=missing{odd}"))
    assert r"missing\x1b[2J\x9b\n\r.wav" in said
    folder = sounds()
    (folder / "low" / odd).write_bytes(b"no sound")
    done = audiofw(f"data.source={folder}", *PLAIN)
    assert done.code == 0
    assert r"low/\x1b[2J\x9b" in done.err + done.out
    assert not set("\x1b\x9b\r") & set(done.err + done.out)


def test_a_run_leaves_its_results(audiofw, sounds, tmp_path):
    outcome = audiofw(f"data.source={sounds()}", "hydra.run.dir=run")
    assert outcome.code == 0, outcome.err
    assert outcome.err == ""
    assert "accuracy" in outcome.out
    files = {file.name for file in (tmp_path / "run").iterdir()}
    assert files >= {
        "metrics.json",
        "predictions.csv",
        "failures.csv",
        "config.yaml",
        "versions.json",
        "importance.json",
        "report.html",
    }
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())
    assert metrics["value"] == metrics["scores"]["accuracy"]["pooled"]
    rows = list(csv.DictReader((tmp_path / "run/predictions.csv").open()))
    assert len(rows) == metrics["n_tested"] == 4
    assert {row["label"] for row in rows} == {"low", "high"}
    right = sum(row["label"] == row["predicted"] for row in rows) / len(rows)
    assert right == metrics["value"]
    for row in rows:
        best = max(("low", "high"), key=lambda name: float(row[f"p({name})"]))
        assert best == row["predicted"]


def test_the_source_may_have_any_name(audiofw, sounds, tmp_path):
    folder = sounds(folder="My Pets (1), new = {odd}")
    assert audiofw(f"data.source={folder.name}", *PLAIN).code == 0


def test_a_pattern_reads_labels_and_groups_as_the_shell_hands_it_over(audiofw, tmp_path):
    for i in range(20):
        write_wav(tmp_path / f"flat/{i % 2}_{'ann' if i < 10 else 'bob'}_{i}.wav", tone(200 + 900 * (i % 2), seed=i))
    words = ["data.source=flat", r"data.pattern=(?P<label>\d)_(?P<group>\w+)_", "split=leave_one_group_out", *PLAIN]
    outcome = audiofw(*words, "hydra.run.dir=run")
    assert outcome.code == 0, outcome.err
    rows = list(csv.DictReader((tmp_path / "run/predictions.csv").open()))
    assert {(row["label"], row["group"]) for row in rows} == {(a, b) for a in "01" for b in ("ann", "bob")}
    assert len({(row["group"], row["fold"]) for row in rows}) == 2


def test_bad_files_are_listed_and_the_run_goes_on(audiofw, sounds, tmp_path):
    folder = sounds()
    (folder / "low/empty.wav").write_bytes(b"")
    (folder / "low/text.wav").write_text("no sound at all " * 20)
    write_wav(folder / "high/nothing.wav", np.zeros(0))
    write_wav(folder / "high/silent.wav", np.zeros(4000))
    outcome = audiofw(f"data.source={folder}", *PLAIN, "hydra.run.dir=run")
    assert outcome.code == 0, outcome.err
    rows = list(csv.DictReader((tmp_path / "run/failures.csv").open()))
    assert {row["name"] for row in rows} == {"low/empty.wav", "low/text.wav", "high/nothing.wav", "high/silent.wav"}
    assert all(row["reason"] for row in rows)
    assert "skipped: 4 of 24 clips" in outcome.out
    assert json.loads((tmp_path / "run/metrics.json").read_text())["n_clips"] == 20


def test_the_first_bad_file_stops_the_run_if_wanted(audiofw, sounds):
    folder = sounds()
    (folder / "low/empty.wav").write_bytes(b"")
    assert "low/empty.wav" in one_line(audiofw(f"data.source={folder}", "data.on_error=raise", *QUICK))


def test_all_bad_files_are_an_error(audiofw, tmp_path):
    for i in range(8):
        (tmp_path / f"bad/{'ab'[i % 2]}").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"bad/{'ab'[i % 2]}/{i}.wav").write_bytes(b"RIFFnothing")
    assert "8" in one_line(audiofw("data.source=bad", *QUICK))
    assert {item.name for item in tmp_path.iterdir()} == {"bad"}


def test_one_class_names_the_option_that_helps(audiofw, sounds):
    assert "'only'" in one_line(audiofw(f"data.source={sounds(only=300)}", *QUICK))


def test_a_class_of_one_clip_is_named_before_the_long_work(audiofw, sounds):
    folder = sounds()
    write_wav(folder / "rare/1.wav", tone(900))
    line = one_line(audiofw(f"data.source={folder}", *QUICK))
    assert "'rare'" in line
    assert "data.exclude=[rare]" in line


def test_fewer_clips_than_folds(audiofw, sounds):
    line = one_line(audiofw(f"data.source={sounds(clips=3)}", "split=kfold", "split.n_splits=5", *QUICK))
    assert "split.n_splits=3" in line


def test_a_second_run_takes_features_from_the_cache(audiofw, sounds, tmp_path):
    words = [f"data.source={sounds()}", *PLAIN]
    audiofw(*words, "hydra.run.dir=cold")
    audiofw(*words, "hydra.run.dir=warm")
    cold, warm = (json.loads((tmp_path / run / "metrics.json").read_text()) for run in ("cold", "warm"))
    assert (cold["n_from_cache"], warm["n_from_cache"]) == (0, 20)
    assert cold["scores"] == warm["scores"]
    predictions = [(tmp_path / run / "predictions.csv").read_text() for run in ("cold", "warm")]
    assert predictions[0] == predictions[1]


def test_a_sweep_runs_every_choice(audiofw, sounds, tmp_path):
    words = ["-m", f"data.source={sounds(clips=6)}", "feature=mel,mfcc", "pooling=stats", "model=knn,lda"]
    outcome = audiofw(*words, "hydra.sweep.dir=sweep", *QUICK)
    assert outcome.code == 0, outcome.err
    runs = [json.loads(file.read_text()) for file in sorted((tmp_path / "sweep").glob("*/metrics.json"))]
    assert len(runs) == 4
    chosen = {tuple(sorted(p.read_text().split())) for p in (tmp_path / "sweep").glob("*/.hydra/overrides.yaml")}
    assert len(chosen) == 4


PLUGIN = """
    import numpy as np
    from audiofw import hookimpl

    @hookimpl
    def register_features(register):
        register(loudness)

    def loudness(y, sr, *, hop_length: int = 512):
        "Level of each frame."
        return np.array([[np.abs(y[i : i + hop_length]).mean() for i in range(0, len(y), hop_length)]])
"""


def test_a_dropped_plugin_runs_validates_and_is_in_the_help(audiofw, sounds, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/loudness.py").write_text(textwrap.dedent(PLUGIN))
    words = ["--plugins-dir", "mine", f"data.source={sounds()}", "feature=loudness", *QUICK]
    assert audiofw(*words, "feature.hop_length=256").code == 0
    assert "(did you mean 'feature.hop_length'?)" in one_line(audiofw(*words, "feature.hop_lenght=256"))
    assert "loudness" in audiofw("--plugins-dir", "mine", "--help").out
    shown = audiofw("--plugins-dir", "mine", "plugins", "show", "loudness").out
    assert "feature.hop_length" in shown


def test_a_broken_plugin_warns_and_stops_only_who_chooses_it(audiofw, sounds, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/loudness.py").write_text("import nonsense_that_is_not_there\n")
    words = ["--plugins-dir", "mine", f"data.source={sounds()}", *QUICK]
    outcome = audiofw(*words, "feature=mfcc")
    assert outcome.code == 0
    assert "plugin not loaded" in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert "nonsense_that_is_not_there" in one_line(audiofw(*words, "feature=loudness"))


def test_a_model_that_fails_is_named(audiofw, sounds, tmp_path):
    (tmp_path / "mine").mkdir()
    code = """
        from audiofw import hookimpl

        @hookimpl
        def register_models(register):
            register(tree)

        def tree(seed, *, depth: int = 3):
            "A tree."
            raise RuntimeError("no wood")
    """
    (tmp_path / "mine/tree.py").write_text(textwrap.dedent(code))
    outcome = audiofw("--plugins-dir", "mine", f"data.source={sounds()}", "model=tree", "report=false")
    assert "model=tree" in one_line(outcome)
    assert "no wood" in outcome.err


def test_plugins_lists_every_menu(audiofw):
    outcome = audiofw("plugins")
    assert outcome.code == 0
    for name in ("mel", "stft", "mfcc", "stats", "flatten", "sklearn_gbm", "xgboost", "lightgbm", "holdout", "kfold"):
        assert f" {name} " in outcome.out


def test_help_shows_menus_and_config_without_heavy_imports():
    code = (
        "import sys; from audiofw.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = [m for m in ('numpy', 'scipy', 'sklearn', 'matplotlib', 'xgboost', 'lightgbm') if m in sys.modules]\n"
        "print(heavy, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    (models,) = re.findall(r"^model: (.*)$", done.stdout, re.MULTILINE)
    assert {"lightgbm", "svm", "vote", "xgboost"} <= set(models.split(", "))
    assert "sample_rate: auto" in done.stdout


def test_help_lists_every_command(audiofw):
    shown = audiofw("--help").out
    assert [name for name in COMMANDS if not re.search(rf"^audiofw {name} ", shown, re.MULTILINE)] == []


def test_every_command_has_help(audiofw):
    for name in COMMANDS:
        outcome = audiofw(name, "--help")
        assert outcome.code == 0
        assert outcome.out.startswith(f"usage: audiofw {name}")


def test_version_is_audiofws(audiofw):
    assert audiofw("--version").out == f"audiofw {__version__}\n"


@pytest.mark.parametrize(
    ("line", "among"),
    [
        ("audiofw mod", "model="),
        ("audiofw model=x", "model=xgboost"),
        ("audiofw feature=", "feature=mfcc"),
        ("audiofw feature.n_", "feature.n_mels="),
        ("audiofw model=xgboost model.max_d", "model.max_depth="),
        ("audiofw data.s", "data.source="),
    ],
)
def test_completion_knows_menus_choices_and_keys(audiofw, monkeypatch, line, among):
    monkeypatch.setenv("COMP_LINE", line)
    outcome = audiofw("-sc", "query=bash")
    assert any(word.startswith(among) for word in outcome.out.split()), outcome.out


ENDLESS = """
    from audiofw import hookimpl
    from gates import arrive

    @hookimpl
    def register_models(register):
        register(endless)

    def endless(seed):
        "A model that is fitted for ever."
        from sklearn.dummy import DummyClassifier

        class Endless(DummyClassifier):
            def fit(self, X, y):
                arrive()
                while True:
                    super().fit(X, y)

        return Endless()
"""


def test_ctrl_c_stops_without_a_traceback(sounds, tmp_path):
    folder = sounds(clips=4, seconds=0.1)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/endless.py").write_text(textwrap.dedent(ENDLESS))
    words = ["--plugins-dir", "mine", f"data.source={folder}", "model=endless", *PLAIN]
    with opened_gate() as gate:
        process = subprocess.Popen(
            [sys.executable, "-m", "audiofw", *words],
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": PYTHONPATH, "GATE": port_of(gate)},
            start_new_session=True,
        )
        arrival(gate).close()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert err.strip().splitlines() == ["audiofw: stopped"]
    assert not list(tmp_path.rglob("metrics.json"))
