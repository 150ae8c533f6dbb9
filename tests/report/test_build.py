"""The reports of runs and sweeps are complete and self-contained, with any labels and with missing data."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import pytest
import soundfile
import yaml
from conftest import tone, write_wav
from PIL import Image
from reports import ODD, Page, made_up_run, odd_sounds

from audiofw.cli.main import main
from audiofw.report import advice, figures, health, media
from audiofw.report.build import write_report
from audiofw.report.facts import read_run_facts
from audiofw.report.importance_view import view_importance
from audiofw.report.recordings import choose_classes, most_doubtful, most_wrong
from audiofw.report.render import options
from audiofw.report.scales import scored
from audiofw.spectral import hz_to_mel

SECTIONS = {"advice", "scores", "classes", "mistakes", "importance", "probabilities", "sounds", "health", "run"}
QUICK = (
    "model=lightgbm",
    "model.n_estimators=5",
    "feature=mfcc",
    "feature.n_mels=16",
    "feature.n_mfcc=8",
    "pooling=stats",
    "split=kfold",
    "split.n_splits=2",
    "n_jobs=1",
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """Run once on sounds with unusual labels, from a relative path; the tests inspect the results."""
    folder = tmp_path_factory.mktemp("work")
    odd_sounds(folder / "sounds")
    here = Path.cwd()
    os.chdir(folder)
    try:
        with patch.dict(os.environ, {"AUDIOFW_CACHE": str(folder / "cache")}):
            assert main(["data.source=sounds/clips.csv", "hydra.run.dir=run", *QUICK]) == 0
    finally:
        os.chdir(here)
    return folder / "run"


@pytest.fixture
def run(finished, tmp_path) -> Path:
    """Return a copy of that run's folder for modification."""
    return Path(shutil.copytree(finished, tmp_path / "copy"))


@pytest.fixture(scope="module")
def page(finished) -> Page:
    return Page(finished / "report.html")


# --- the page ---------------------------------------------------------------------------------------------


def test_every_section_is_there(page):
    assert page.ids() >= SECTIONS
    linked = {attributes["href"] for attributes in page.all("a")}
    assert {f"#{name}" for name in SECTIONS} <= linked


def test_the_headline_is_the_score_with_its_interval_and_the_baselines(page, finished):
    metrics = json.loads((finished / "metrics.json").read_text())
    low, high = metrics["scores"]["accuracy"]["interval"]
    assert f"{metrics['value']:.3f} accuracy" in page.text
    assert f"{low:.3f} – {high:.3f}" in page.text
    assert (
        f"The baseline, which always predicts the most frequent class, gives {metrics['baseline']['accuracy']:.3f}"
        in page.text
    )


def test_the_command_to_repeat_it_is_the_one_that_was_typed(page):
    assert " ".join(["audiofw", "data.source=sounds/clips.csv", *QUICK]) in page.text


def test_nothing_is_fetched(page):
    places = [a[key] for _, a in page.elements for key in ("src", "href", "srcset", "data", "poster") if a.get(key)]
    assert places
    assert all(place.startswith(("data:", "#")) for place in places)
    assert not re.search(r"url\(|@import|https?://", re.sub(r"data:[^\"]*", "", page.source))
    (policy,) = [a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")


def test_labels_are_text_wherever_they_stand(page):
    assert len(page.all("script")) == 1
    assert "<script>alert" not in page.source
    for label in ODD:
        assert " ".join(label.split()) in page.text
    titles = {attributes.get("title") for _, attributes in page.elements}
    assert set(ODD) <= titles


def test_pictures_drawings_and_players_have_words_for_those_who_do_not_see_them(page):
    assert len(page.all("img")) > len(ODD)
    assert all(attributes["alt"] for attributes in page.all("img"))
    assert all(attributes["role"] == "img" and attributes["aria-label"] for attributes in page.all("svg"))
    assert all(attributes["aria-label"] for attributes in page.all("audio"))
    assert all(attributes.get("scope") for attributes in page.all("th"))
    assert page.all("html") == [{"lang": "en"}]


def test_each_class_has_examples_and_a_mean(page):
    alts = [attributes["alt"] for attributes in page.all("img")]
    for k, label in enumerate(ODD):
        assert f"Mean mel spectrogram of class {label}" in alts
        assert sum(alt.startswith(f"Mel spectrogram of {k}/") for alt in alts) >= 3


def test_the_worst_mistakes_are_named_with_both_labels_and_their_probability(page, finished):
    facts = read_run_facts(finished)
    wrong = most_wrong(facts)
    assert wrong, "the test needs a model that errs"
    for one in wrong:
        assert one.name in page.text
        said = f"{one.label} predicted as {one.predicted} , {100 * one.confidence:.0f} % confidence"
        assert " ".join(said.split()) in page.text.replace("\xa0", " ")


def test_failures_are_listed_with_their_reasons(page):
    assert "0/empty.wav" in page.text
    assert "empty file (0 bytes)" in page.text
    assert "1 of 25 clips could not be used" in page.text


def test_sounds_can_be_decoded_and_last_as_long_as_the_clip(page):
    players = page.all("audio")
    assert players
    for attributes in players:
        y, sr = soundfile.read(io.BytesIO(base64.b64decode(attributes["src"].partition(",")[2])))
        assert np.abs(y).max() > 0.1
        assert len(y) / sr == pytest.approx(0.4, abs=0.1)


def test_sounds_can_be_left_out(finished, run):
    with_sounds = (finished / "report.html").stat().st_size
    file = write_report(run, audio=False)
    assert not Page(file).all("audio")
    assert file.stat().st_size < with_sounds
    assert Page(file).all("img")


def test_report_false_leaves_nothing_of_it(audiofw, sounds):
    outcome = audiofw(f"data.source={sounds(4)}", "hydra.run.dir=run", "report=false")
    assert outcome.code == 0, outcome.err
    assert not {"report.html", "importance.json"} & {file.name for file in Path("run").iterdir()}


def test_a_report_that_fails_does_not_cost_the_run(audiofw, sounds, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("out of ink")

    monkeypatch.setattr("audiofw.report.build.render", fail)
    outcome = audiofw(f"data.source={sounds(4)}", "hydra.run.dir=run")
    assert outcome.code == 1
    assert outcome.out.startswith("accuracy ")
    assert "no report: RuntimeError: out of ink" in outcome.err
    assert json.loads(Path("run/result.json").read_text())["status"] == "finished"


# --- later, from the folder -------------------------------------------------------------------------------


def test_the_command_makes_the_same_report_from_the_folder_alone(audiofw, finished, run):
    before = Page(run / "report.html")
    (run / "report.html").unlink()
    outcome = audiofw("report", str(run))
    assert outcome.code == 0, outcome.err
    assert outcome.out.strip() == str(run / "report.html")
    after = Page(run / "report.html")
    assert after.ids() == before.ids()
    assert [a["alt"] for a in after.all("img")] == [a["alt"] for a in before.all("img")]


def test_recordings_that_are_gone_are_named_and_the_rest_comes(audiofw, run):
    where = Path(re.search(r"cwd: (.*)", (run / ".hydra/hydra.yaml").read_text())[1])
    lost = where / "sounds/1/3.wav"
    content = lost.read_bytes()
    lost.unlink()
    try:
        assert audiofw("report", str(run)).code == 0
    finally:
        lost.write_bytes(content)
    page = Page(run / "report.html")
    assert "1 of 24 test clips are no longer available" in page.text
    assert "1/3.wav" in page.text
    assert page.all("audio")


def test_without_any_recording_the_figures_come_all_the_same(audiofw, run):
    shutil.rmtree(run / ".hydra")  # so that the relative path is invalid
    assert audiofw("report", str(run)).code == 0
    page = Page(run / "report.html")
    assert page.ids() >= SECTIONS - {"sounds"}
    assert "The recordings are no longer available" in page.text
    assert not page.all("audio")
    assert "recording not available" in page.text


@pytest.mark.parametrize("gone", ["importance.json", "predictions.csv", "versions.json", "config.yaml", "failures.csv"])
def test_a_report_comes_without_any_one_file(run, gone):
    (run / gone).unlink()
    assert "accuracy" in Page(write_report(run)).text


def test_recordings_are_found_by_the_config_of_another_version(run):
    config = yaml.safe_load((run / "config.yaml").read_text())
    del config["report"], config["audio"]["silence"]
    (run / "config.yaml").write_text(yaml.safe_dump({**config, "plots": True}))
    assert Page(write_report(run)).all("audio")


def test_a_folder_without_a_run_is_refused(audiofw, tmp_path):
    outcome = audiofw("report", "nowhere")
    assert (outcome.code, outcome.err.count("\n")) == (1, 1)
    assert "no such folder" in outcome.err
    (tmp_path / "empty").mkdir()
    assert "no runs found" in audiofw("report", "empty").err


# --- many classes, odd results ----------------------------------------------------------------------------


def test_two_hundred_classes_stay_small_and_say_what_is_left_out(tmp_path):
    page = Page(write_report(made_up_run(tmp_path / "run", 200)))
    assert len(page.source) < 600_000
    assert "The 120 classes with the most errors; 80 more are not shown" in page.text
    assert "the 8 with the smallest area" in page.text
    assert len(choose_classes(read_run_facts(tmp_path / "run"))) == 12


def test_a_matrix_of_few_classes_has_its_numbers_in_a_table(tmp_path):
    page = Page(write_report(made_up_run(tmp_path / "run", 5)))
    cells = [attributes for attributes in page.all("td") if "--s:" in (attributes.get("style") or "")]
    assert len(cells) == 25


def test_a_model_without_probabilities_has_neither_curves_nor_doubts(tmp_path):
    folder = made_up_run(tmp_path / "run", 4, probabilities=False)
    page = Page(write_report(folder))
    assert "probabilities" not in page.ids()
    assert "this model gives no probabilities" in page.text
    assert most_doubtful(read_run_facts(folder)) == []


def test_one_tested_class_and_undefined_scores_are_shown_as_such(tmp_path):
    folder = made_up_run(tmp_path / "run", 2)
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics["scores"]["roc_auc"] = {"pooled": None, "mean": None, "std": None, "interval": None, "folds": [None]}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    assert "ROC AUC –" in Page(write_report(folder)).text


def test_what_later_parts_of_a_run_add_is_shown(tmp_path):
    robustness = [{"change": "8 kHz", "value": 0.5, "interval": [0.4, 0.6], "n_tested": 10}]
    confidence = {
        "curve": [
            {"threshold": 0.9, "coverage": 0.5, "accuracy": 1.0},
            {"threshold": 0, "coverage": 1, "accuracy": 0.7},
        ],
        "sets": {"coverage": 0.9, "measured": 0.91, "mean_size": 1.25, "single": 0.8},
    }
    folder = made_up_run(tmp_path / "run", 3, robustness=robustness, confidence=confidence)
    text = Page(write_report(folder)).text.replace("\xa0", " ")
    assert "8 kHz 0.500 0.400 – 0.600 10" in text
    assert "91 % contain the true class" in text


# --- its parts --------------------------------------------------------------------------------------------


def test_curves_have_scikit_learns_areas(tmp_path):
    from sklearn.metrics import roc_auc_score

    facts = read_run_facts(made_up_run(tmp_path / "run", 4, each=30))
    mean, *each = figures.curves(facts)["roc"]
    assert [curve.area for curve in each] == pytest.approx(
        [roc_auc_score(facts.truth == k, facts.probabilities[:, k]) for k in range(4)]
    )
    assert mean.area == pytest.approx(roc_auc_score(facts.truth, facts.probabilities, multi_class="ovr"), abs=1e-6)
    assert all(0 <= x <= 1 and 0 <= y <= 1 for curve in each for x, y in curve.points)


def test_calibration_error_of_one_who_is_always_half_sure_and_always_right(tmp_path):
    facts = read_run_facts(made_up_run(tmp_path / "run", 2))
    object.__setattr__(facts, "predictions", facts.predictions._replace(predicted=facts.predictions.labels))
    facts.predictions.probabilities[:] = 0.5
    found = figures.reliability(facts)
    assert (found["ece"], found["confidence"], found["accuracy"]) == (0.5, 0.5, 1.0)


def test_log_loss_has_a_scale_of_its_own(tmp_path):
    facts = read_run_facts(made_up_run(tmp_path / "run", 20))
    rows = {row.key: row for row in scored(facts.metrics)}
    assert rows["accuracy"].ends == (0, 1)
    left, right = rows["log_loss"].ends
    assert left > rows["log_loss"].value > right == 0
    assert 0 <= rows["log_loss"].at(rows["log_loss"].value) <= 100
    assert rows["log_loss"].at(0.1) > rows["log_loss"].at(0.5)  # further right is better, as for all scores


def test_the_importance_of_components_says_how_they_are_named(tmp_path):
    folder = made_up_run(tmp_path / "run", 3)
    rows = [[f"{kind}_{f}Hz", 1.0] for kind in ("slow", "fast") for f in (100, 200)]
    measured = {"method": "model", "unit": "share", "n_columns": 4, "row": rows, "naming": "Slow means 3 Hz."}
    (folder / "importance.json").write_text(json.dumps(measured))
    axes = {axis.title: axis for axis in view_importance(read_run_facts(folder))["axes"]}
    assert [bar.name for bar in axes["By component"].bars] == ["slow", "fast"]
    assert (axes["By component"].naming, axes["By frequency"].naming) == ("Slow means 3 Hz.", "")


def test_all_scores_but_log_loss_share_an_axis(tmp_path):
    rows = scored(read_run_facts(made_up_run(tmp_path / "run", 20)).metrics)
    assert len({row.ends for row in rows if row.key != "log_loss"}) == 1


def test_a_tone_stands_at_its_frequency_and_silence_is_dark():
    db = media.decibels(tone(440, 1.0, 8000, noise=0).astype(np.float32), 8000)
    loudest = db.mean(axis=1).argmax() / (len(db) - 1)
    assert loudest == pytest.approx(hz_to_mel(440) / hz_to_mel(4000), abs=0.03)
    assert media.decibels(np.zeros(8000, np.float32), 8000).max() == -media.TOP_DB


@pytest.mark.parametrize("size", [1, 100, 22050, 1_000_000])
def test_any_sound_becomes_a_picture_of_one_size(size):
    y = np.random.default_rng(0).standard_normal(size).astype(np.float32)
    picture = media.picture(media.decibels(y, 22050), 22050)
    image = Image.open(io.BytesIO(base64.b64decode(picture.uri.partition(",")[2])))
    assert image.format == "WEBP"
    assert image.size == (picture.width, picture.height)
    assert media.waveform(y).startswith("M")


@pytest.mark.parametrize("sr", [4000, 8000, 16000, 22050, 44100, 250_000])
def test_any_rate_can_be_heard(sr):
    uri = media.sound_uri(tone(440, 1.0, sr).astype(np.float32), sr)
    y, rate = soundfile.read(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
    assert len(y) / rate == pytest.approx(1, abs=0.15)


def spread(median: float) -> health.Spread:
    return health.Spread(median, median, median, median, median)


def row(name: str, *, bandwidth: float = 8000, duration: float = 3, clipped: float = 0, silence: float = 0):
    return health.ClassHealth(
        name, 20, 20, spread(duration), spread(bandwidth), spread(-20), silence, clipped, "22.05", "1"
    )


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ({"bandwidth": 2000}, "no content above about 2000 Hz"),
        ({"clipped": 0.5}, "clipped"),
        ({"silence": 0.7}, "silent for most of the time"),
        ({}, None),
    ],
)
def test_advice_names_the_class_that_was_recorded_otherwise(tmp_path, odd, said):
    facts = read_run_facts(made_up_run(tmp_path / "run", 3, each=20))
    rows = [row("cat"), row("dog"), row("owl", **odd)]
    texts = [one.text for one in advice.advise(facts, rows, None, {"cat": 20, "dog": 20, "owl": 20})]
    found = [text for text in texts if "owl" in text]
    assert (len(found), found and said in found[0]) == ((1, True) if said else (0, []))


def test_advice_on_uneven_classes_and_scores_like_guessing(tmp_path):
    folder = made_up_run(tmp_path / "run", 3, each=20)
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics["scores"]["accuracy"]["interval"] = [0.2, 0.5]
    (folder / "metrics.json").write_text(json.dumps(metrics))
    texts = [one.text for one in advice.advise(read_run_facts(folder), [], None, {"a": 100, "b": 10})]
    assert any("not significantly better than the baseline" in text for text in texts)
    assert any("100 clips of a, 10 of b" in text for text in texts)


def test_clips_that_are_longer_than_what_is_heard_are_told(tmp_path):
    facts = read_run_facts(made_up_run(tmp_path / "run", 2, each=20))
    object.__setattr__(facts, "config", {"audio": {"duration": 3.0}})
    found = advice.advise(facts, [row("cat", duration=5), row("dog", duration=2)], None, {})
    assert any("cat" in one.text and "audio.duration=5" in one.remedy for one in found)


def test_a_sample_of_many_clips_has_its_share_of_each_class(sounds, tmp_path):
    from audiofw.data.dataset import Clip

    clips = [Clip(tmp_path / str(i), str(i), "rare" if i < 10 else "common") for i in range(1000)]
    some = health.sample(clips, most=100)
    assert 95 <= len(some) <= 105
    assert 1 <= sum(clip.label == "rare" for clip in some) <= 2


# --- sweeps -----------------------------------------------------------------------------------------------


@pytest.fixture
def sweep(tmp_path) -> Path:
    """Make the folder of a sweep with three finished runs and a failed one; one run has a report."""
    for i, name in enumerate(("ada", "bea", "<b>cia</b>")):
        folder = made_up_run(tmp_path / f"sweep/{i}", 3 + i, each=10)
        (folder / "config.yaml").write_text(json.dumps({"model": {"name": name}, "data": {"source": "gone.zip"}}))
        record = {"job": str(i), "status": "finished", "overrides": [f"model={name}"], "started": f"2026-01-0{i + 1}"}
        (folder / "result.json").write_text(json.dumps(record))
    (tmp_path / "sweep/3").mkdir()
    failed = {"job": "3", "status": "failed", "overrides": ["model=dot"], "reason": "no <wood>"}
    (tmp_path / "sweep/3/result.json").write_text(json.dumps(failed))
    write_report(tmp_path / "sweep/1")
    return tmp_path / "sweep"


def test_a_sweeps_report_ranks_links_and_tells_of_failures(audiofw, sweep):
    outcome = audiofw("report", str(sweep))
    assert outcome.code == 0, outcome.err
    page = Page(sweep / "report.html")
    assert {"ada", "bea", "<b>cia</b>"} <= set(page.texts)
    assert not page.all("b") or "cia" not in str(page.all("b"))
    links = [attributes["href"] for attributes in page.all("a")]
    assert "1/report.html" in links
    assert all((sweep / link).is_file() for link in links)
    assert "1 of 4 runs failed" in page.text
    assert "no <wood>" in page.texts


def test_the_reports_of_a_sweeps_runs_can_be_made_with_it(audiofw, sweep):
    assert audiofw("report", "--runs", str(sweep)).code == 0
    links = {attributes["href"] for attributes in Page(sweep / "report.html").all("a")}
    assert links >= {"0/report.html", "1/report.html", "2/report.html"}


def test_headers_of_the_leaderboard_are_buttons(audiofw, sweep):
    audiofw("report", str(sweep))
    page = Page(sweep / "report.html")
    assert page.all("th")[0].get("aria-sort") == "ascending"
    assert len(page.all("button")) >= 5


@pytest.mark.parametrize("wanted", [True, False])
def test_a_sweep_ends_with_its_report_if_its_runs_were_to_have_one(sweep, wanted, capsys):
    from audiofw.report.leaderboard import show_leaderboard

    for i in range(3):
        config = {"model": {"name": f"m{i}"}, "report": {"enabled": wanted, "audio": True}}
        (sweep / str(i) / "config.yaml").write_text(json.dumps(config))
    show_leaderboard(sweep)
    assert (sweep / "report.html").exists() == wanted
    assert ("report.html" in capsys.readouterr().out) == wanted


def test_clips_at_their_own_rates_are_shown_and_told(audiofw, tmp_path):
    for label, sr in (("low", 8000), ("high", 44100)):
        for i in range(4):
            write_wav(tmp_path / f"mixed/{label}/{i}.wav", tone(300, 0.3, sr, seed=i), sr)
    words = ("data.source=mixed", "audio.sample_rate=null", "hydra.run.dir=run")
    assert audiofw(*words).code == 0
    text = Page(tmp_path / "run/report.html").text
    assert "The sample rates differ between the classes" in text


@pytest.mark.parametrize(
    ("words", "seconds", "loud"),
    [
        (["audio.duration=0.2", "audio.focus=start"], 0.2, False),
        (["audio.duration=0.2"], 0.2, True),
        (["audio.duration=null", "audio.trim=20"], 0.3, True),
        (["audio.duration=0.2", "windows.hop=0.2"], 1.0, True),
        (["audio.duration=null"], 1.0, True),
    ],
)
def test_what_is_played_is_what_the_model_hears_first(tmp_path, words, seconds, loud):
    from audiofw.experiment.hydra_app import compose
    from audiofw.report.recordings import read_used_part

    y = np.concatenate([np.full(22050 * 6 // 10, 1e-4), tone(440, 0.2), np.full(22050 * 2 // 10, 1e-4)])
    config, _ = compose(words)
    heard, sr = read_used_part(write_wav(tmp_path / "late.wav", y), config, most=3.0)
    assert heard.size / sr == pytest.approx(seconds, abs=0.06)
    assert (np.abs(heard).max() > 0.1) == loud


def heard_rows(rows: list[list]) -> list:
    """Return the axes of the importance plot for these row names."""
    measured = {"method": "model", "unit": "share", "n_columns": len(rows), "row": rows, "statistic": [], "part": []}
    return view_importance(SimpleNamespace(importance=measured, config={}))["axes"]


def test_rows_of_one_frequency_are_summed_and_so_are_those_of_one_kind():
    over, kinds = heard_rows(
        [["level_500Hz", 0.1], ["3Hz_up_500Hz", 0.2], ["level_2000Hz", 0.3], ["3Hz_up_2000Hz", 0.4]]
    )
    assert [(bar.name, round(bar.value, 6)) for bar in over.bars] == [("500\xa0Hz", 0.3), ("2\xa0kHz", 0.7)]
    assert [(bar.name, round(bar.value, 6)) for bar in kinds.bars] == [("3Hz_up", 0.6), ("level", 0.4)]


def test_many_frequencies_of_one_kind_are_a_curve_alone():
    (over,) = heard_rows([[f"mel_{100 * i}Hz", i / 100] for i in range(1, 40)])
    assert over.curve
    assert not over.bars


def test_rows_without_frequencies_are_ranked():
    (rows,) = heard_rows([["mfcc0", 0.2], ["mfcc1", 0.8]])
    assert [bar.name for bar in rows.bars] == ["mfcc1", "mfcc0"]


def test_groups_are_listed_the_worst_first(tmp_path):
    rows = [{"group": "<b>POND</b>", "n": 7, "value": 0.25, "interval": [0.1, 0.5]}]
    rows += [{"group": f"site {i}", "n": 9, "value": 1.0, "interval": None} for i in range(3)]
    way = {"by": "site", "score": "accuracy", "n_groups": 9, "groups": rows}
    page = Page(write_report(made_up_run(tmp_path / "run", 3, by_group=[way])))
    assert "By site: accuracy" in page.text
    assert page.text.index("<b>POND</b> 7 0.250 0.100 – 0.500") < page.text.index("site 0 9 1.000 –")
    assert "4 of 9: those with at least five test clips" in page.text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Test once: split=kfold", "Test once: <code>split=kfold</code>"),
        ("audiofw -m feature=mel,mfcc", "audiofw -m <code>feature=mel,mfcc</code>"),
        ("use a.b=5, or (c=d).", "use <code>a.b=5</code>, or (<code>c=d</code>)."),
        ("data.pattern='^(?P<a>. )$' keeps", "<code>data.pattern=&#39;^(?P&lt;a&gt;. )$&#39;</code> keeps"),
        ("<b>x/y=1</b>", "&lt;b&gt;x/y=1&lt;/b&gt;"),
    ],
)
def test_options_in_advice_are_code_and_the_rest_is_escaped(text, shown):
    assert str(options(text)) == shown
