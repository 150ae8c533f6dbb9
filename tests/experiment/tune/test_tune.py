"""Hyperparameter search: space, study, trials, and the winner's score on held-out clips."""

import csv
import json
import platform
import sys
import textwrap
from collections import Counter
from pathlib import Path

import hydra
import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from sklearn.base import is_classifier

from audiofw.contract.registry import load_menus
from audiofw.data.dataset import Clip
from audiofw.errors import AudiofwError, ConfigError, DataError, PluginError
from audiofw.experiment import hydra_app
from audiofw.experiment.tune.holdout import ASIDE, held_out, mark, set_aside
from audiofw.leaderboard.runs import read_runs
from audiofw.results.record import read_record
from audiofw.system.paths import HELD_OUT, bundled

optuna = pytest.importorskip("optuna", minversion="4.0")

from audiofw.experiment.tune.space import read_space, suggest  # noqa: E402  # they need Optuna
from audiofw.experiment.tune.study import import_optuna, make_sampler, open_study, own_trials, resume_study  # noqa: E402

# --- the space --------------------------------------------------------------------------------------------


def with_options(words) -> list[str]:
    """Choose plugins with the searched options, unless the overrides choose some."""
    usual = {"model": "lightgbm", "feature": "mfcc", "pooling": "stats"}
    chosen = {word.partition("=")[0] for word in words}
    chosen |= {"model"} if "+tune" in chosen else set()
    return [*(f"{menu}={name}" for menu, name in usual.items() if menu not in chosen), *words]


@pytest.fixture(scope="module")
def menus():
    """Load the built-in plugins, and let Hydra know them."""
    menus = load_menus()
    hydra_app.store_schema(menus)
    hydra_app.register()
    return menus


@pytest.fixture
def space(menus):
    """Read a search space from overrides."""

    def read(*words: str):
        parsed = OverridesParser.create().parse_overrides(list(words))
        fixed = [override.input_line for override in parsed if not override.is_sweep_override()]
        return read_space(
            parsed, hydra_app._compose(with_options(fixed)), lambda given: hydra_app._compose(with_options(given))
        )

    return read


def ask(space, n: int = 40) -> list[dict[str, str]]:
    """Sample many random trials."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    return [dict(word.split("=", 1) for word in suggest(space, study.ask())) for _ in range(n)]


def test_a_range_excludes_its_end_as_hydras_does(space):
    assert {words["model.num_leaves"] for words in ask(space("model.num_leaves=range(2,8,2)"))} == {"2", "4", "6"}


def test_a_range_may_run_downwards_and_have_fractions(space):
    found = {words["model.subsample"] for words in ask(space("model.subsample=range(1.0,0.75,-0.1)"))}
    assert found == {"0.8", "0.9", "1.0"}


def test_an_interval_of_a_whole_option_gives_whole_numbers(space):
    found = [words["model.num_leaves"] for words in ask(space("model.num_leaves=interval(2.5,6)"))]
    assert set(found) == {"3", "4", "5", "6"}


def test_a_log_interval_is_even_in_its_logarithm(space):
    found = [
        float(words["model.reg_lambda"]) for words in ask(space("model.reg_lambda=tag(log,interval(0.001,10))"), 400)
    ]
    assert all(0.001 <= value <= 10 for value in found)
    assert 130 < sum(value < 0.1 for value in found) < 270  # half on a log scale; a hundredth on a linear one


def test_choices_keep_their_quotes_lists_and_null(space):
    words = ask(space("feature.window=choice('hann','ham, ming')", "pooling.quantiles=choice([0.5],[0.1,0.9])"))
    # as Hydra escapes them
    assert {line["feature.window"] for line in words} == {"hann", r"ham\,\ ming"}
    assert {line["pooling.quantiles"] for line in words} == {"[0.5]", "[0.1,0.9]"}
    assert {line["audio.duration"] for line in ask(space("audio.duration=null,1.0"))} == {"null", "1.0"}


def test_an_option_is_searched_only_with_the_plugins_that_have_it(space):
    words = ask(space("model=lightgbm,xgboost", "model.num_leaves=range(2,9)", "model.max_depth=range(2,5)"))
    assert {line["model"] for line in words} == {"lightgbm", "xgboost"}
    for line in words:
        assert ("model.num_leaves" in line) == (line["model"] == "lightgbm")
        assert ("model.max_depth" in line) == (line["model"] == "xgboost")


def test_a_fixed_option_is_left_out_where_the_plugin_lacks_it(space):
    words = ask(space("model=lightgbm,xgboost", "model.num_leaves=5", "score=mcc"))
    for line in words:
        assert ("model.num_leaves" in line) == (line["model"] == "lightgbm")
        assert line["score"] == "mcc"


def test_an_option_of_the_library_is_always_tried(space):
    words = ask(space("model=lightgbm,xgboost", "+model.reg_alpha=interval(0,1)"))
    assert all("+model.reg_alpha" in line for line in words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["model=lightgbm"], "nothing to search"),
        (["model.max_depth=range(2,5)"], "model=lightgbm has no option 'max_depth'"),
        (
            ["model=lightgbm,xgboost", "model.max_features=choice(sqrt,log2)"],
            "model=lightgbm,xgboost has no option",
        ),
        (["model.num_leave=range(2,5)"], "did you mean 'num_leaves'?"),
        (["audio.durration=range(2,5)"], "did you mean 'duration'?"),
        (["seed=1,2"], "cannot be searched"),
        (["data.limit=range(2,5)"], "cannot be searched"),
        (["split=kfold,holdout"], "cannot be searched"),
        (["model.num_leaves=range(5,2)"], "empty"),
        (["model.subsample=interval(1,0.5)"], "model.subsample=interval(1,0.5)"),
        (["model.reg_lambda=tag(log,interval(0,1))"], "model.reg_lambda=tag(log,interval(0,1))"),
    ],
)
def test_a_space_that_cannot_be_is_refused(space, words, said):
    with pytest.raises(ConfigError) as refused:
        space(*words)
    assert said in str(refused.value)


@pytest.mark.parametrize("preset", sorted(file.stem for file in bundled("conf").glob("tune/*.yaml")))
def test_every_preset_stays_within_what_its_plugins_take(space, menus, preset):
    options = hydra_app.for_this_hydra(hydra.initialize_config_dir)
    with hydra.initialize_config_dir(hydra_app.CONFIG["config_path"], **options):
        params = hydra.compose("config", [f"+tune={preset}"], return_hydra_config=True).hydra.sweeper.params
    words = [f"+tune={preset}", *(f"{key}={value}" for key, value in params.items())]
    lines = ask(space(*words), 30)
    assert {key for line in lines for key in line} >= set(params)
    for line in lines:
        values = {key: yaml.safe_load(value) for key, value in line.items()}
        options = {key.partition(".")[2]: value for key, value in values.items() if "." in key}
        model = menus.choose("model", {"name": values.get("model", preset), **options})(0, 1)
        assert is_classifier(model)


# --- held-out clips ---------------------------------------------------------------------------------------


def make_clips(n: int = 40, **facts) -> list[Clip]:
    """Make clips of two classes, a quarter of them b; facts are functions of the clip's index."""
    given = [{key: fact(i) for key, fact in facts.items()} for i in range(n)]
    return [Clip(Path(f"{i:03}.wav"), **{"name": f"{i:03}.wav", "label": "aaab"[i % 4], **given[i]}) for i in range(n)]


def test_a_share_of_each_class_is_set_aside_whatever_is_searched():
    clips = make_clips()
    rest, aside = set_aside(clips, 0.2, seed=1)
    assert sorted(rest + aside) == clips
    assert Counter(clip.label for clip in aside) == {"a": 6, "b": 2}
    assert set_aside(clips, 0.2, seed=1) == (rest, aside)
    assert set_aside(clips, 0.2, seed=2) != (rest, aside)


def test_groups_stay_whole():
    rest, aside = set_aside(make_clips(group=lambda i: f"g{i // 4}"), 0.2, seed=0)
    assert not {clip.group for clip in rest} & {clip.group for clip in aside}
    assert len(aside) == 8


def test_what_names_tell_to_be_of_one_recording_stays_whole():
    rest, aside = set_aside(make_clips(name=lambda i: f"1-{10000 + i // 4}-{'ABCD'[i % 4]}.wav"), 0.2, seed=0)
    parts = [{clip.name.split("-")[1] for clip in part} for part in (rest, aside)]
    assert not parts[0] & parts[1]
    assert len(aside) == 8


def test_named_folds_are_set_aside():
    rest, aside = set_aside(make_clips(fold=lambda i: str(i % 5)), 0.2, seed=0, folds=["3"])
    assert {clip.fold for clip in aside} == {"3"}
    assert {clip.fold for clip in rest} == {"0", "1", "2", "4"}


def test_an_unknown_fold_a_lost_class_and_one_group_are_refused():
    with pytest.raises(ConfigError, match=r"no such fold in the data; folds: 0, 1"):
        set_aside(make_clips(fold=lambda i: str(i % 2)), 0.2, seed=0, folds=["9"])
    with pytest.raises(DataError, match=r"every clip of 'b' would be held out"):
        set_aside(make_clips(fold=lambda i: "aaab"[i % 4]), 0.2, seed=0, folds=["b"])
    with pytest.raises(DataError, match=r"all of them are from one group; set another share, or tune\.holdout=0"):
        set_aside(make_clips(group=lambda i: "g"), 0.2, seed=0)


def test_the_last_run_tests_what_was_set_aside_and_nothing_else():
    clips = make_clips()
    _, aside = set_aside(clips, 0.2, seed=1)
    marked = mark(clips, aside)
    ((train, test),) = held_out([clip.fold for clip in marked]).split()
    assert {clips[i] for i in test} == set(aside)
    assert len(train) == len(clips) - len(aside)
    assert {clip.name for clip in marked if clip.fold == ASIDE} == {clip.name for clip in aside}


# --- the study --------------------------------------------------------------------------------------------


@pytest.fixture
def options(menus):
    """The options of ``tune``, with changes."""

    def make(**changes):
        words = [f"tune.{key}={'null' if value is None else value}" for key, value in changes.items()]
        config, _ = hydra_app.resolve(hydra_app._compose(words), menus)
        return config.tune

    return make


def test_what_a_dead_process_was_running_is_put_in_line_again(options, tmp_path):
    study = open_study(tmp_path, options(), maximise=True, facts={})
    lost, mine = study.ask(), study.ask()
    lost.suggest_int("depth", 1, 100)
    lost.set_user_attr("process", [platform.node(), 2**22 + 1])  # beyond the greatest number of a process
    mine.set_user_attr("process", ["another machine", 1])
    again = open_study(tmp_path, options(), maximise=True, facts={})
    assert resume_study(again) == 1
    assert own_trials(again) == []
    trial = again.ask()
    assert trial.number == 2
    assert trial.suggest_int("depth", 1, 100) == lost.params["depth"]
    assert (
        resume_study(open_study(tmp_path, options(), maximise=True, facts={})) == 1
    )  # this process's own trial, never finished


def test_a_suggestion_depends_on_seed_and_number_alone(options):
    tune = options()

    def draw(seed: int, number: int) -> float:
        return optuna.create_study(sampler=make_sampler(tune, seed, number)).ask().suggest_float("x", 0, 1)

    assert draw(1, 2) == draw(1, 2)
    assert len({draw(seed, number) for seed in range(3) for number in range(3)}) == 9


def test_a_study_of_another_score_is_not_continued(options, tmp_path):
    open_study(tmp_path, options(), maximise=True, facts={"score": "accuracy"})
    with pytest.raises(ConfigError, match=r"started with score=accuracy, and this one has score=mcc: choose another"):
        open_study(tmp_path, options(), maximise=True, facts={"score": "mcc"})


def test_a_database_holds_the_studies_of_several_folders(options, tmp_path):
    tune = options(storage=f"sqlite:///{tmp_path}/studies.db")
    for folder in ("one", "two"):
        study = open_study(tmp_path / folder, tune, maximise=False, facts={})
        study.tell(study.ask(), 1.0)
        assert len(own_trials(study)) == 1


@pytest.mark.parametrize("url", ["nonsense", "sqlite:////nowhere/at/all.db"])
def test_a_storage_that_cannot_be_opened_is_refused(options, tmp_path, url):
    with pytest.raises(ConfigError, match=r"tune\.storage=.*cannot be opened"):
        open_study(tmp_path, options(storage=url), maximise=True, facts={})


def test_a_missing_optuna_is_one_line_with_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(PluginError, match=r'pip install "audiofw\[optuna\]"'):
        import_optuna()


# --- searches ---------------------------------------------------------------------------------------------

MODEL = """
    import os, signal
    from sklearn.dummy import DummyClassifier
    from sklearn.tree import DecisionTreeClassifier
    from audiofw import hookimpl

    @hookimpl
    def register_models(register):
        register(tree)

    def tree(seed, *, depth: int = 1, fails_from: int = 9999, dies_at: int = 0, guesses_from: int = 9999):
        "A tree that is made to fail, to guess, or to take its process with it."
        if depth >= fails_from:
            raise ValueError(f"no wood for {depth}")
        if depth >= guesses_from:
            return DummyClassifier(strategy="constant", constant=0)
        return (Deadly if depth == dies_at else DecisionTreeClassifier)(max_depth=depth, random_state=seed)

    class Deadly(DecisionTreeClassifier):
        def fit(self, X, y):
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def search(tmp_path, monkeypatch, sounds):
    """Run a search on tones in this process and read its results; ``clips`` is the number per class."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/tree.py").write_text(textwrap.dedent(MODEL))
    monkeypatch.setenv("AUDIOFW_PLUGINS_PATH", str(tmp_path / "mine"))
    monkeypatch.setenv("PYTHONPATH", str(Path(hydra_app.__file__).parents[2]))  # for the processes that it starts
    monkeypatch.chdir(tmp_path)
    sounds(clips=15, seconds=0.2, low=200, high=230)
    quick = ["data.source=sounds", "audio.duration=0.2", "pooling.delta=false", "feature.n_mels=8", "report=false"]
    quick += ["audit=false", "bundle=false"]
    common = [
        "-m",
        "hydra/sweeper=optuna",
        "model=tree",
        "feature=mel",
        "pooling=stats",
        "split=kfold",
        "split.n_splits=3",
        *quick,
        "n_jobs=1",
    ]

    def run(folder: str, *words: str, base=common) -> dict:
        assert hydra_app.run_app([*base, f"hydra.sweep.dir={folder}", *words]) == 0
        return json.loads((tmp_path / folder / "tune.json").read_text())

    run.words = common  # type: ignore[attr-defined]
    return run


def read_tested(folder: Path) -> set[str]:
    return {row["path"] for row in csv.DictReader((folder / "predictions.csv").open())}


def trials(folder: Path) -> list[tuple]:
    """List the overrides and score of each trial, in order."""
    records = [read_record(folder / str(i)) for i in range(len(list(folder.glob("[0-9]*"))))]
    return [(r.status, r.value, [w for w in r.overrides if w.startswith("model.depth")]) for r in records if r]


def test_the_winners_held_out_score_is_of_clips_that_no_trial_saw(search, tmp_path, capsys):
    found = search("sweep", "model.depth=range(1,4)", "tune.n_trials=4")
    folder = tmp_path / "sweep"
    aside = read_tested(folder / HELD_OUT)
    for trial in range(4):
        assert len(read_tested(folder / str(trial)) | aside) == 30
        assert not read_tested(folder / str(trial)) & aside
    values = [value for _, value, _ in trials(folder)]
    assert found["during_tuning"]["value"] == max(values)
    assert found["best"] == values.index(max(values))
    rows = list(csv.DictReader((folder / HELD_OUT / "predictions.csv").open()))
    right = sum(row["label"] == row["predicted"] for row in rows) / len(rows)
    assert found["held_out"]["value"] == pytest.approx(right)
    assert found["held_out"]["n_tested"] == len(rows) == 6
    out = capsys.readouterr().out
    assert f"{found['held_out']['value']:.3f}" in out
    assert "optimistic" in out
    assert len(read_runs([folder])) == len({tuple(words) for *_, words in trials(folder)})  # trials alone


def test_a_search_that_goes_on_gives_what_one_in_a_row_gives(search, tmp_path, capfd):
    words = ["model.depth=range(1,1000)", "tune.holdout=0", "tune.prune=false"]
    search("whole", *words, "tune.n_trials=4")
    search("parts", *words, "tune.n_trials=2", "sweep.rerun=all")
    assert len(trials(tmp_path / "parts")) == 2
    search("parts", *words, "tune.n_trials=4", "sweep.rerun=all")
    assert trials(tmp_path / "parts") == trials(tmp_path / "whole")
    capfd.readouterr()
    # options that do not affect results may differ
    search("parts", *words, "tune.n_trials=4", "audit=warn", "bundle=true", "cache.max_gb=1", "n_jobs=2")
    assert len(trials(tmp_path / "parts")) == 4
    assert "no unbiased score; use tune.holdout=0.2" in capfd.readouterr().out


def test_a_search_goes_on_only_with_what_can_change_its_results_as_it_was(search):
    search("sweep", "model.depth=range(1,4)", "tune.n_trials=1", "tune.holdout=0")
    for word in ("tune.holdout=0.3", "data.limit=9", "coverage=0.8", "model.dies_at=7"):
        with pytest.raises(ConfigError, match=f"this one has .*{word}.*: choose another hydra.sweep.dir"):
            search("sweep", "model.depth=range(1,4)", "tune.holdout=0", word)


def test_the_same_suggestion_is_not_run_twice(search, tmp_path):
    search("sweep", "model.depth=range(1,4)", "tune.n_trials=5", "tune.prune=false", "tune.holdout=0")
    records = [read_record(tmp_path / "sweep" / str(i)) for i in range(5)]
    assert sum(record.reused is None for record in records) == len({record.job for record in records}) <= 3


def test_a_failed_trial_costs_itself_alone(search, tmp_path):
    found = search("sweep", "model.depth=range(1,9)", "model.fails_from=5", "tune.n_trials=5")
    assert 0 < found["trials"]["fail"] < 5
    assert sum(found["trials"].values()) == 5
    failed = [words for status, _, words in trials(tmp_path / "sweep") if status == "failed"]
    assert failed
    assert all(int(word.split("=")[1]) >= 5 for (word,) in failed)


def test_words_that_hydra_refuses_are_a_failed_trial(search):
    found = search("sweep", "feature.n_fft=choice(512,many)", "model.depth=1,2", "tune.n_trials=5", "tune.holdout=0")
    assert found["trials"]["fail"] > 0
    assert "feature.n_fft=512" in found["options"]


def test_trials_that_all_fail_for_one_reason_end_the_search(search, tmp_path):
    with pytest.raises(AudiofwError, match=r"the first 3 trials all failed: .*nowhere"):
        search("sweep", "model.depth=range(1,9)", "data.source=nowhere", "tune.n_trials=50")
    assert len(list((tmp_path / "sweep").glob("[0-9]*"))) == 3


def test_trials_that_all_fail_are_an_error(search, tmp_path):
    with pytest.raises(AudiofwError, match=r"all 4 trials failed; the last: .*no wood for") as failed:
        search("sweep", "model.depth=range(1,99)", "model.fails_from=0", "tune.n_trials=4")
    assert failed.value.exit_code == 1
    assert not (tmp_path / "sweep/tune.json").exists()


HOPELESS = ["model.depth=range(5,60)", "model.guesses_from=45", "split.n_splits=4", "tune.sampler=random"]


def test_hopeless_trials_are_stopped_after_some_folds_and_have_not_failed(search, new_workers, tmp_path):
    """By one launcher as by the other, which give the same scores."""
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    found = search("sweep", *HOPELESS, "tune.n_trials=8")
    assert found["trials"]["pruned"] > 0
    assert found["trials"]["fail"] == 0
    pruned = [words for status, _, words in trials(tmp_path / "sweep") if status == "pruned"]
    assert len(pruned) == found["trials"]["pruned"]
    assert all(int(word.split("=")[1]) >= 45 for (word,) in pruned)
    assert {run.status for run in read_runs([tmp_path / "sweep"])} == {"finished", "pruned"}

    parallel = ["tune.n_jobs=2", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    at_once = search("at once", *HOPELESS, "tune.n_trials=8", *parallel, "sweep.rerun=all")
    assert sum(at_once["trials"].values()) == 8
    assert at_once["trials"]["fail"] == 0
    assert at_once["trials"]["pruned"] > 0
    assert at_once["held_out"]["value"] == found["held_out"]["value"]
    assert at_once["held_out"]["n_tested"] == 6
    finished = [
        {words[0]: value for status, value, words in trials(tmp_path / folder) if status == "finished"}
        for folder in ("sweep", "at once")
    ]
    both = finished[0].keys() & finished[1].keys()
    assert len(both) > 2
    assert [finished[0][word] for word in both] == [finished[1][word] for word in both]


def test_a_loss_is_minimised(search, tmp_path):
    words = ["model.depth=range(5,60)", "model.guesses_from=20", "tune.n_trials=5", "tune.prune=false"]
    found = search("sweep", *words, "score=log_loss")
    values = [value for _, value, _ in trials(tmp_path / "sweep")]
    assert len(set(values)) > 1
    assert found["during_tuning"]["value"] == min(values)
    assert not found["greater_is_better"]


def test_a_search_without_m_is_refused(search):
    with pytest.raises(ConfigError, match="start it with -m"):
        search("sweep", base=["+tune=lightgbm", "data.source=sounds"])


def test_a_trial_that_kills_the_process_costs_itself_alone(search, audiofw, tmp_path):
    words = ["model.depth=choice(2,3)", "model.dies_at=3", "tune.n_trials=3", "tune.holdout=0", "hydra.sweep.dir=sweep"]
    outcome = audiofw(*search.words, *words)
    assert outcome.code == 1, outcome.err  # as in every sweep with a failed job
    found = json.loads((tmp_path / "sweep/tune.json").read_text())
    assert found["options"] == ["model.depth=2"]
    assert found["trials"]["complete"] + found["trials"]["fail"] == 3
    assert found["trials"]["fail"] >= 1
    assert "SIGKILL" in outcome.out
