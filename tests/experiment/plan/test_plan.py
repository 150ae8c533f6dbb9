"""``--plan`` prints what a command would run and how long it would take; it runs and writes nothing."""

from __future__ import annotations

import json
import os
import textwrap
from pathlib import Path

import numpy as np
import pytest

from audiofw.audio.stretch import Stretch
from audiofw.cache.folder import all_entries
from audiofw.cache.store import Cache
from audiofw.config.overrides import take_plugin_folders
from audiofw.errors import DataError
from audiofw.experiment.hydra_app import run_app
from audiofw.experiment.plan import cost
from audiofw.experiment.plan.cost import CacheContents, Extraction, Past, expected_seconds, measure_cost, read_past
from audiofw.results.record import read_record
from audiofw.system.tables import show_size, show_time

NOTED = """
    import os
    import numpy as np
    from audiofw import PluginError, hookimpl

    @hookimpl
    def register_models(register):
        register(noted)

    @hookimpl
    def register_features(register):
        register(level)
        register(broken)

    def noted(seed, *, depth: int = 1, how: str = "well"):
        "A tree that notes each fit."
        from sklearn.tree import DecisionTreeClassifier

        class Noted(DecisionTreeClassifier):
            def fit(self, X, y, **options):
                with open(os.environ["FITS"], "a") as file:
                    file.write(f"{how} {depth}\\n")
                if how == "raise":
                    raise RuntimeError("no wood")
                return super().fit(X, y, **options)

        return Noted(max_depth=depth, random_state=seed)

    def level(y, sr, *, rows: int = 4):
        "Level of the clip, many times."
        return np.full((rows, 1), np.abs(y).mean())

    def broken(y, sr):
        "Does not work."
        raise PluginError("feature=broken: out of order")
"""


class Planned:
    """The tables of a plan's output, keyed by the first word of their header."""

    def __init__(self, outcome):
        self.code, self.out, self.err = outcome.code, outcome.out, outcome.err
        self.jobs, self.extractions = self._rows("job "), self._rows("extraction")

    def _rows(self, head: str) -> list[dict[str, str]]:
        lines = self.out.splitlines()
        start = next((i for i, line in enumerate(lines) if line.startswith(head)), None)
        if start is None:
            return []
        names = [name for name in lines[start].split("  ") if name.strip()]
        rows = lines[start + 1 : lines.index("", start)]
        return [
            dict(zip(map(str.strip, names), filter(None, map(str.strip, row.split("  "))), strict=True)) for row in rows
        ]

    @property
    def ends(self) -> list[str]:
        return [job["status"] for job in self.jobs]


def files(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if "__pycache__" not in file.parts}


@pytest.fixture
def plan(audiofw, sounds, tmp_path, monkeypatch):
    """Plan with small sounds and a model that records its fits; a plan must not write files or store features."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins/noted.py").write_text(textwrap.dedent(NOTED))
    monkeypatch.setenv("FITS", str(tmp_path / "fits"))
    folder, cache = sounds(clips=6, seconds=0.2), Path(os.environ["AUDIOFW_CACHE"])

    def run(*words: str) -> Planned:
        before = files(tmp_path), files(cache)
        planned = Planned(audiofw(*fixed(folder, *words), "--plan"))
        assert (files(tmp_path), files(cache)) == before
        return planned

    return run


def fixed(folder: Path, *words: str) -> list[str]:
    """Build a command line: flags first, and no option twice."""
    usual = {"model": "noted", "feature": "level", "pooling": "stats", "data.source": str(folder)}
    usual |= {"report": "false", "bundle": "false"}
    given = {word.partition("=")[0] for word in words}
    rest = [f"{key}={value}" for key, value in usual.items() if key not in given]
    return ["--plugins-dir", "plugins", *sorted(words, key=lambda word: word != "-m"), *rest]


def sweep(tmp_path: Path, *words: str) -> int:
    """Run for real, as the supervisor does in another process."""
    return run_app(take_plugin_folders(fixed(tmp_path / "sounds", "-m", *words)))


def fits(tmp_path: Path) -> int:
    file = tmp_path / "fits"
    return len(file.read_text().splitlines()) if file.exists() else 0


# --- jobs ------------------------------------------------------------------------------------------


def test_jobs_are_those_that_hydra_makes_and_none_is_run(plan, tmp_path):
    planned = plan("-m", "model.depth=1,2", "feature.rows=range(3,5)")
    assert planned.code == 0, planned.err
    made = [(job["feature.rows"], job["model.depth"]) for job in planned.jobs]
    assert made == [(rows, depth) for depth in "12" for rows in "34"]
    assert set(planned.ends) == {"to run"}
    assert fits(tmp_path) == 0
    assert "Launching" not in planned.err


def test_without_a_sweep_it_is_a_plan_of_one_job_that_would_be_run(plan, tmp_path, audiofw):
    assert plan().ends == ["to run"]
    assert audiofw(*fixed(tmp_path / "sounds", "hydra.run.dir=one")).code == 0
    planned = plan()
    assert planned.ends == ["to run"]  # a single run is never skipped
    assert {row["new"] for row in planned.extractions} == {"0"}


def test_what_an_earlier_sweep_has_done_is_told_and_just_the_rest_is_to_run(plan, tmp_path):
    assert sweep(tmp_path, "model.how=well,raise", "hydra.sweep.dir=a") == 1
    done = fits(tmp_path)
    grown = plan("-m", "model.how=well,raise,fine")
    assert grown.ends[0] == "finished in a/0"
    assert grown.ends[1].startswith("to repeat, failed in a/1: ")
    assert "no wood" in grown.ends[1]
    assert grown.ends[2] == "to run"
    assert "3 jobs: 1 not repeated, 2 to run" in grown.out
    assert {row["jobs"] for row in grown.extractions} == {"2"}
    assert {(row["cached"], row["new"]) for row in grown.extractions} == {("12", "0")}
    resigned = plan("-m", "model.how=raise", "sweep.rerun=none")
    assert resigned.ends[0].startswith("failed in a/1: ")
    assert "1 job: 1 not repeated" in resigned.out
    assert not resigned.extractions
    assert plan("-m", "model.how=well", "sweep.rerun=all").ends == ["to run"]
    assert grown.code == resigned.code == 0
    assert fits(tmp_path) == done


def test_a_job_that_is_in_the_grid_twice_is_run_once(plan):
    planned = plan("-m", "n_jobs=1,2")
    assert planned.ends == ["to run", "same as job 0"]


def test_a_job_that_cannot_run_is_listed_with_its_reason_and_the_others_too(plan):
    planned = plan("-m", "split=leave_one_group_out,holdout")
    assert planned.code == 1
    assert planned.ends[0].startswith("cannot run: split=leave_one_group_out needs the group of every clip")
    assert planned.ends[1] == "to run"
    assert "2 jobs: 1 cannot run, 1 to run" in planned.out


def test_a_value_out_of_range_is_a_reason_too(plan):
    planned = plan("seed=-1")
    assert planned.code == 1
    assert planned.ends[0].startswith("cannot run: seed=-1")
    assert not planned.extractions


def test_a_feature_that_fails_on_any_clip_is_found_before_the_sweep(plan):
    planned = plan("-m", "feature=level,broken")
    assert planned.code == 1
    assert planned.ends == ["to run", "cannot run: feature=broken: out of order"]


def test_a_command_line_that_hydra_refuses_is_refused_in_one_line(plan, tmp_path):
    planned = plan("-m", "model.dpeth=1,2")
    assert planned.code == 2
    assert "(did you mean 'model.depth'?)" in planned.err
    assert planned.out == ""


def test_an_optimiser_has_no_plan(plan):
    planned = plan("-m", "hydra/sweeper=optuna", "model.depth=1,2")
    assert planned.code == 2
    assert "hydra/sweeper=optuna chooses jobs" in planned.err


def test_a_launcher_and_folders_of_the_users_do_not_matter(plan):
    planned = plan(
        "-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "hydra.sweep.dir=mine", "hydra.sweep.subdir=x"
    )
    assert planned.ends == ["to run"], planned.err


# --- extractions -----------------------------------------------------------------------------------


def test_an_extraction_that_jobs_share_is_counted_once(plan):
    planned = plan("-m", "feature.rows=1000,2000", "model.depth=1,2", "audit=false")
    assert [row["extraction"] for row in planned.extractions] == [
        "level + stats feature.rows=1000",
        "level + stats feature.rows=2000",
    ]
    assert {(row["jobs"], row["clips"], row["new"]) for row in planned.extractions} == {("2", "12", "12")}


def test_the_disk_that_is_foretold_is_what_the_run_takes(plan, tmp_path, audiofw):
    words = ("feature.rows=5000", "audit=false")
    row = plan(*words).extractions[0]
    audiofw(*fixed(tmp_path / "sounds", *words))
    taken = sum(entry.size for entry in all_entries(Path(os.environ["AUDIOFW_CACHE"]) / "features"))
    assert row["disk"] == show_size(taken)


def test_clips_that_are_new_since_are_the_ones_to_be_extracted(plan, tmp_path, audiofw):
    audiofw(*fixed(tmp_path / "sounds", "audit=false", "data.limit=4"))
    row = plan("audit=false").extractions[0]
    assert (row["clips"], row["cached"], row["new"]) == ("12", "8", "4")


def test_without_the_cache_each_job_extracts_for_itself(plan):
    planned = plan("-m", "model.depth=1,2", "cache.enabled=false", "audit=false")
    row = planned.extractions[0]
    assert (row["jobs"], row["clips"], row["new"], row["disk"]) == ("2", "24", "24", "0 bytes")


def test_the_audit_is_an_extraction_unless_switched_off(plan):
    assert [row["extraction"] for row in plan().extractions] == ["audit", "level + stats"]
    assert [row["extraction"] for row in plan("audit=false").extractions] == ["level + stats"]


def test_clips_that_all_fail_leave_the_estimate_open(tmp_path):
    def fail(path: Path) -> np.ndarray:
        raise DataError("no sound in it")

    cost = measure_cost(extraction(fail, [Stretch(tmp_path / "a.wav")]), CacheContents())
    assert (cost.seconds, cost.size, cost.new) == (None, None, 1)
    assert "no sound in it" in cost.reason


def test_only_a_few_clips_are_measured_and_they_are_spread(tmp_path):
    clips, met = [Stretch(tmp_path / f"{i}.wav") for i in range(100)], []

    def make(sound: Stretch) -> np.ndarray:
        met.append(sound.path)
        return np.zeros(10, np.float32)

    cost = measure_cost(extraction(make, clips), CacheContents())
    assert [int(path.stem) for path in met] == [6, 18, 31, 43, 56, 68, 81, 93]
    assert (cost.cached, cost.new, cost.columns, cost.size) == (0, 100, 10, 100 * 4096)


def test_looking_into_the_cache_leaves_no_trace_in_it(tmp_path, sounds):
    clips, recipe = [Stretch(path) for path in sorted(sounds().rglob("*.wav"))], {"recipe": 1}
    with Cache(cost.cache_root() / "features") as cache:
        recipe_cache = cache.recipe_cache(recipe)
        for clip in clips[:3]:
            recipe_cache.get(clip.path)
            recipe_cache.put(clip.path, np.zeros(3, np.float32))
    before = {file: file.stat().st_mtime_ns for file in cache.folder.rglob("*")}
    assert CacheContents().lacks(recipe_cache.folder.name, clips) == clips[3:]
    assert {file: file.stat().st_mtime_ns for file in cache.folder.rglob("*")} == before


def extraction(make, clips) -> Extraction:
    return Extraction("made", make, recipe="0" * 32, sounds=clips, kept=True, workers=1, jobs=(0,))


# --- time ------------------------------------------------------------------------------------------

TREE = {"name": "tree", "depth": 1}


def took(seconds: float, **known) -> Past:
    return Past(**{"model": TREE, "clips": 100, "columns": 50, "fold_seconds": seconds, "other_seconds": 1.0, **known})


def test_a_job_is_expected_to_take_what_the_jobs_most_like_it_took():
    deeper = {"name": "tree", "depth": 9}
    past = [
        took(1),
        took(3),
        took(2),
        took(20, model=deeper),
        took(70, columns=5000),
        took(500, clips=1000),
        took(500, model={"name": "forest"}),
    ]

    def expected(**known):
        return expected_seconds(past, **{"model": TREE, "clips": 100, "columns": 50, "folds": 5, **known})

    assert expected() == 1 + 5 * 2  # the median of equal jobs
    assert expected(folds=1, clips=115) == 3
    assert expected(model={"name": "tree", "depth": 5}, folds=1) == 1 + 2.5  # equally wide, with any options
    assert expected(columns=700, folds=1) == 1 + 3  # any with this model
    assert expected(clips=300) is None
    assert expected(model={"name": "svm"}) is None


def test_the_time_of_finished_jobs_is_read_from_their_folders(plan, tmp_path, audiofw):
    assert "time: at least" in (unknown := plan("feature.rows=7")).out
    assert unknown.jobs[0]["time"] == "unknown"
    assert "no earlier job with model=noted" in unknown.out
    audiofw(*fixed(tmp_path / "sounds", "hydra.run.dir=one", "feature.rows=7"))
    (past,) = read_past()
    record, metrics = read_record(tmp_path / "one"), json.loads((tmp_path / "one/metrics.json").read_text())
    assert (past.clips, past.columns) == (12, metrics["n_columns"])
    assert past.model == {"name": "noted", "depth": 1, "how": "well"}
    total = past.fold_seconds + past.other_seconds + metrics["extract_seconds"]
    assert total == pytest.approx(record.seconds)
    known = plan("feature.rows=7")
    assert "time: about" in known.out
    assert known.jobs[0]["time"] == show_time(past.fold_seconds + past.other_seconds)


def test_runs_that_are_gone_or_damaged_are_passed_over(plan, tmp_path, audiofw):
    audiofw(*fixed(tmp_path / "sounds", "hydra.run.dir=one"))
    (tmp_path / "one/metrics.json").write_text("{")
    assert read_past() == []


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, "unknown"), (0.0, "0 s"), (0.123, "0.12 s"), (42.4, "42 s"), (200, "3 min"), (3570, "1 h 00 min"),
     (7500, "2 h 05 min")],
)  # fmt: skip
def test_time_is_shown_in_units_that_suit_it(seconds, shown):
    assert show_time(seconds, "unknown") == shown
