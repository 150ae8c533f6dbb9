"""Rows, probes and jobs are known by all code that can change them, and by no other: nothing is stale, or made twice.

Which code that is follows from the imports; here it is held against what really runs.
"""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import tone, write_wav

from audiofw.audit import run as audit
from audiofw.audit.probe import UsedPart
from audiofw.contract.registry import load_menus
from audiofw.evaluation import changes
from audiofw.experiment.hydra_app import compose
from audiofw.experiment.run import run, run_code
from audiofw.extraction.clips import find_dataset
from audiofw.extraction.recording import row_code
from audiofw.extraction.table import units_of
from audiofw.results.record import job_identity
from audiofw.system.paths import bundled
from audiofw.system.sourcecode import PACKAGE, digest_code, imported_files

ROW, PROBE, RUN = "extraction/recording.py", "audit/probe.py", "experiment/run.py"
NOT_THE_RUN = ("report", "version")
SAYS_ITS_VERSION = {PACKAGE / "version.py", PACKAGE / "__init__.py"}
MEL, SVM = "plugins/features/mel.py", "plugins/models/svm.py"
OUTSIDE = ("api.py", "cli/", "leaderboard/", "report/", "results/console.py", "serve/", "__main__.py")
"""What shows results, and changes none."""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy audiofw, with the plugins beside it, to be changed."""
    folder = tmp_path_factory.mktemp("copy")
    for name, place in (("audiofw", PACKAGE), ("plugins", bundled("plugins"))):
        shutil.copytree(place, folder / name, ignore=shutil.ignore_patterns("__pycache__", "plugins"))
    return folder / "audiofw"


def place_of(root: str, package: Path) -> Path:
    return (package.parent if root.startswith("plugins/") else package) / root


@contextmanager
def changed(file: Path, more: str) -> Iterator[None]:
    text = file.read_bytes()
    file.write_bytes(text + more.encode())
    yield
    file.write_bytes(text)


@pytest.mark.parametrize(
    ("root", "without", "holds"),
    [
        (ROW, (), ["audio/load.py", "audio/segments.py", "contract/plugin.py", "errors.py"]),
        (MEL, (), ["spectral/__init__.py", "spectral/mel.py", "spectral/frames.py", "spectral/decibels.py"]),
        (SVM, (), ["learn/svm.py", "learn/preprocessing.py"]),
        (RUN, NOT_THE_RUN, ["evaluation/cross_validate.py", "learn/calibration.py", "audit/run.py", "bundle/save.py"]),
    ],
)
def test_each_module_that_is_imported_counts_and_no_other(package, root, without, holds):
    def digest() -> str:
        return digest_code([place_of(root, package)], without=without, package=package)

    before, own = digest(), place_of(root, package)
    counting = {own, *imported_files([own], without=without, package=package)}
    assert {package / name for name in holds} <= counting
    for file in sorted({own, *package.rglob("*.py")}):
        with changed(file, "\n\ndef one_more():\n    return 1\n"):
            assert (digest() != before) == (file in counting), file
        if file in counting:
            with changed(file, '\n\n# said\n"""and said."""\n'):
                assert digest() == before, file
    assert digest() == before


def test_what_shows_results_changes_none():
    names = [file.relative_to(PACKAGE).as_posix() for file in imported_files([PACKAGE / RUN], without=NOT_THE_RUN)]
    assert not [name for name in names if name.startswith(OUTSIDE)]
    assert len(names) > 50


def test_rows_probes_and_jobs_are_known_by_their_code():
    config, choices = compose(["augmentation=waveform"])
    plain, copied, *_ = (unit.recipe() for unit in units_of(config, choices))
    assert plain["code"] == copied["code"] == row_code() == digest_code([PACKAGE / ROW])
    assert copied["copy"]["augmentation"]["code"] == digest_code([bundled("plugins") / "augmentations/waveform.py"])
    assert audit.probe_recipe(audit.used_part_of(config))["feature"]["code"] == digest_code([PACKAGE / PROBE])
    assert run_code() == digest_code([PACKAGE / RUN], without=NOT_THE_RUN)


def test_a_plugin_is_known_by_its_code_and_a_vote_by_its_members():
    _, choices = compose(["model=vote", "feature=mel"])
    assert choices["feature"].identity["code"] == digest_code([bundled("plugins") / "features/mel.py"])
    members = {member["name"]: member["code"] for member in choices["model"].identity["members"]}
    assert members["svm"] == digest_code([bundled("plugins") / "models/svm.py"])


# --- held against what runs --------------------------------------------------------------------------------


def files_run(work: Callable[[], object]) -> set[Path]:
    """Note the files of audiofw whose code runs in some work, and of its plugins."""
    seen: set[str] = set()

    def note(frame, event, _):
        if event == "call":
            seen.add(frame.f_code.co_filename)

    threading.setprofile(note)
    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
        threading.setprofile(None)
    ours = (PACKAGE, bundled("plugins"))
    return {path for name in seen if any(place in (path := Path(name)).parents for place in ours)}


def code_of(choices, *roots: Path, without=()) -> set[Path]:
    """List the files by which a result is known: of audiofw's own code, and of the plugins that were chosen."""
    chosen = [each for choice in choices.values() for each in (choice, *choice.members())]
    plugins = [Path(choice.plugin.where) for choice in chosen]
    return {*roots, *plugins, *imported_files(roots, without=without), *imported_files(plugins)}


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "sound.wav", tone(440, 1.0))


@pytest.mark.parametrize("feature", ["mel", "mfcc", "stft", "ripples", "descriptors"])
def test_a_row_is_made_by_no_other_code_than_it_is_known_by(sound, feature):
    config, choices = compose([f"feature={feature}", "augmentation=waveform", "augmented_copies=1"])
    units = units_of(config, choices)
    ran = files_run(lambda: [unit(sound) for unit in units])
    assert ran <= code_of(choices, PACKAGE / ROW)
    assert PACKAGE / "audio/load.py" in ran
    assert bundled("plugins") / f"features/{feature}.py" in ran


def test_a_probe_is_taken_by_no_other_code_than_it_is_known_by(sound):
    ran = files_run(lambda: audit.probe_vector(UsedPart(), sound)) - {Path(audit.__file__)}
    assert ran <= code_of({}, PACKAGE / PROBE)


@pytest.mark.parametrize("model", ["svm", "vote"])
def test_a_job_is_run_by_no_other_code_than_it_is_known_by(sounds, tmp_path, monkeypatch, model):
    monkeypatch.setattr(changes, "CHANGES", dict(list(changes.CHANGES.items())[:1]))  # one is enough
    words = [f"data.source={sounds(clips=6, seconds=0.2)}", "audio.duration=0.2", "report=false", "n_jobs=1"]
    words += ["feature=mfcc", "pooling=stats", "calibration=temperature", "augmentation=waveform", "augmented_copies=1"]
    words += ["robustness=true"] if model == "svm" else ["model.members=[lda,knn]"]
    config, choices = compose([*words, f"model={model}"])
    dataset = find_dataset(config)
    ran = files_run(lambda: run(config, choices, dataset, tmp_path))
    assert ran <= code_of(choices, PACKAGE / RUN, without=NOT_THE_RUN) | SAYS_ITS_VERSION
    assert {PACKAGE / "bundle/save.py", PACKAGE / "audit/probe.py", PACKAGE / "learn/calibration.py"} <= ran


def test_a_job_is_another_by_the_code_of_its_plugins(sounds):
    config, choices = compose(["model=svm"])
    dataset = find_dataset(replace(config, data=replace(config.data, source=str(sounds(clips=2, seconds=0.1)))))
    svm = choices["model"].plugin
    changed = replace(svm, function=load_menus().find("model", "knn").function)
    other = {**choices, "model": replace(choices["model"], plugin=changed)}
    assert job_identity(config, other, dataset, run_code()) != job_identity(config, choices, dataset, run_code())
