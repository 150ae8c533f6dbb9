"""Architecture rules that no linter checks: names given as text, empty packages, public names, call direction."""

import ast
import importlib.util
import pkgutil
import re
import subprocess
import sys
import threading
import tomllib
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import yaml
from bundles import make_sounds

import audiofw as fw
from audiofw.bundle.trust import OWN
from audiofw.cli.main import COMMANDS
from audiofw.contract import hookspecs
from audiofw.contract.registry import load_menus
from audiofw.evaluation import changes
from audiofw.experiment.tune.part import TARGET
from audiofw.experiment.tune.sweeper import OptunaSweeper, register
from audiofw.parallel.executors import PLUGIN_PACKAGES

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LAYERS = PROJECT["tool"]["importlinter"]["contracts"][0]["layers"]  # from the top down
HEIGHTS = {package: -i for i, layer in enumerate(LAYERS) for package in layer.split(" | ")}
MODULES = [
    module.name for module in pkgutil.walk_packages(fw.__path__, "audiofw.") if module.name != "audiofw.__main__"
]


# ---- names given as text--------


def resolve(name: str) -> Any:
    """Import a module, or an object in a module, by its full name."""
    package, _, last = name.rpartition(".")
    if not package:
        return import_module(name)
    found = resolve(package)
    if not hasattr(found, last):
        import_module(name)
    return getattr(found, last)


def targets(node: Any) -> list[str]:
    """List every ``_target_`` of a config, at any depth."""
    if isinstance(node, dict):
        own = [node["_target_"]] if "_target_" in node else []
        return own + [target for value in node.values() for target in targets(value)]
    return [target for value in node for target in targets(value)] if isinstance(node, list) else []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_subcommand_is_a_module_with_a_main(command):
    assert callable(import_module(COMMANDS[command]).main)


def test_the_console_script_is_the_main_function():
    module, _, function = PROJECT["project"]["scripts"]["audiofw"].partition(":")
    assert callable(getattr(import_module(module), function))


def test_every_target_of_a_config_resolves():
    named = [target for file in (ROOT / "conf").rglob("*.yaml") for target in targets(yaml.safe_load(file.read_text()))]
    assert named
    assert all(callable(resolve(target)) for target in named)


def test_hydra_finds_the_sweeper_by_its_target():
    from hydra.core.plugins import Plugins

    register()
    assert Plugins.instance().class_name_to_class[TARGET] is OptunaSweeper


def test_classes_that_bundles_may_hold_are_those_of_learn():
    assert resolve(OWN.rstrip(".")) is import_module("audiofw.learn")


def test_plugins_are_imported_under_the_names_by_which_workers_know_them(tmp_path):
    (tmp_path / "dropped.py").write_text((ROOT / "plugins/features/stft.py").read_text().replace("stft", "dropped"))
    menus = load_menus([tmp_path])
    modules = {plugin.function.__module__ for menu in menus.plugins.values() for plugin in menu.values()}
    built_in, own = PLUGIN_PACKAGES
    assert {module for module in modules if not module.startswith(built_in)} == {f"{own}dropped"}


def test_every_kind_of_plugin_has_its_hook():
    assert all(hasattr(hookspecs, kind.hook) for kind in hookspecs.KINDS.values())


NOT_PYTHON = {"audiofw.log", "audiofw.plugins", "audiofw.OptunaSweeper"}
"""Matches that are not importable: a file, the package of plugin files, and the end of `TARGET`."""


def test_every_full_name_in_code_and_docs_resolves():
    files = [*(file for folder in ("audiofw", "plugins") for file in (ROOT / folder).rglob("*.py"))]
    files += [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("conf/**/*.yaml"), ROOT / "pyproject.toml"]
    named = {name for file in files for name in re.findall(r"\baudiofw(?:\.[A-Za-z_]\w*)+", file.read_text())}
    assert len(named) > 100
    for name in named - NOT_PYTHON:
        assert resolve(name) is not None


# ---- one name for one idea -----

OF_MANY = {"main", "run", "add_parser", "find_parts"}  # of each command, and of each compressed format
MIRRORED = "audiofw/bundle/onnx/"  # draws as a graph what audiofw.spectral and audiofw.audio compute, by the same names


def test_no_two_modules_define_the_same_public_name():
    places: dict[str, list[str]] = {}
    for file in sorted((ROOT / "audiofw").rglob("*.py")):
        where = file.relative_to(ROOT).as_posix()
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not where.startswith(MIRRORED):
                places.setdefault(node.name, []).append(where)
    public = {name: files for name, files in places.items() if not name.startswith("_") and name not in OF_MANY}
    assert {name: files for name, files in public.items() if len(files) > 1} == {}


# ---- packages


def test_a_package_holds_nothing_itself():
    files = (ROOT / "audiofw").rglob("__init__.py")
    full = {file.parent.name for file in files if file.read_text().strip()}
    assert full == {"audiofw", "spectral"}


def test_no_function_hides_a_module_of_its_name():
    for name in MODULES:
        assert resolve(name) is import_module(name)
    assert not set(fw.__all__) & {module.name for module in pkgutil.iter_modules(fw.__path__)}


def test_the_picture_shows_the_layers_as_they_are():
    spec = importlib.util.spec_from_file_location("architecture_svg", ROOT / "docs/architecture_svg.py")
    picture = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(picture)
    shown = [name for row in picture.ROWS.values() for name in row]
    assert shown == [layer.partition(" ")[0] for layer in LAYERS]
    assert (ROOT / "docs/architecture.svg").read_text() == picture.draw()


# ---- what is public


def test_importing_audiofw_imports_no_library_but_pluggy():
    code = (
        "import sys; before = set(sys.modules); import audiofw; new = set(sys.modules) - before; "
        "print(*{name.partition('.')[0] for name in new} - set(sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {"audiofw", "pluggy"}


def test_the_lazy_names_are_public_and_resolve():
    assert set(fw._LAZY) < set(fw.__all__)
    for name, module in fw._LAZY.items():
        assert getattr(fw, name) is getattr(import_module(module), name)


def test_the_kernels_for_plugins_are_these():
    assert sorted(fw.spectral.__all__) == [
        *("Framing", "amplitude_to_db", "check_overlap", "chroma_filterbank", "chroma_stft", "dct", "delta"),
        "feature_set",
        *("fft_frequencies", "hz_to_mel", "mel_filterbank", "mel_frequencies", "mel_to_hz", "melspectrogram", "mfcc"),
        *("octaves_below_half", "onset_strength", "power_to_db", "ripple_kinds", "ripples", "rms"),
        *("spectral_bandwidth", "spectral_centroid", "spectral_contrast", "spectral_flatness", "spectral_flux"),
        *("spectral_rolloff", "spectrogram", "stft", "zero_crossing_rate"),
    ]
    assert all(callable(getattr(fw.spectral, name)) for name in fw.spectral.__all__)


def test_plugins_import_only_what_is_public():
    imported = {
        f"{node.module}.{name.name}"
        for file in (ROOT / "plugins").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == "audiofw"
        for name in node.names
    }
    public = re.compile(
        r"audiofw\.(hookimpl|__version__|\w+Error|errors\.\w+|spectral|spectral\.\w+|audio\.effects|networks\.network\.\w+|learn\.\w+\.\w+)"
    )
    assert [name for name in imported if not public.fullmatch(name)] == []


# ---- calls go down


class Calls:
    """Direct calls between modules of audiofw and plugins, recorded by a profiler hook."""

    def __init__(self) -> None:
        self.pairs: dict[tuple[str, str], tuple[FrameType, FrameType]] = {}
        self._seen: set[tuple[Any, Any]] = set()

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        caller = frame.f_back
        if event != "call" or caller is None or (caller.f_code, frame.f_code) in self._seen:
            return
        self._seen.add((caller.f_code, frame.f_code))
        if name_of(caller).startswith("audiofw.") and name_of(frame).startswith("audiofw."):
            self.pairs[name_of(caller), name_of(frame)] = caller.f_globals, frame.f_globals


def name_of(frame: FrameType) -> str:
    return f"{frame.f_globals.get('__name__')}.{frame.f_code.co_qualname}"


def package_of(name: str) -> str:
    return name.split(".")[1]


@pytest.fixture(scope="module")
def calls(tmp_path_factory) -> Calls:
    """Trace one run in all its threads: audit, extraction, copies, folds, robustness, bundle, report, prediction."""
    folder, seen, before = tmp_path_factory.mktemp("traced"), Calls(), sys.getprofile()
    sounds = make_sounds(folder / "sounds", clips=3)
    words = [f"data.source={sounds}", "audio.duration=0.6", "split=kfold", "split.n_splits=2", "robustness=true"]
    words += [
        "feature=mfcc",
        "pooling=stats",
        "model=lda",
        "augmentation=waveform",
        "augmented_copies=1",
        "n_jobs=2",
        "report.audio=false",
    ]
    for name in MODULES:
        import_module(name)  # imported before, since calls during import do not belong to the run
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDIOFW_CACHE", str(folder / "cache"))
        patch.setattr(changes, "CHANGES", dict(list(changes.CHANGES.items())[:1]))  # one is enough
        threading.setprofile(seen)
        sys.setprofile(seen)
        try:
            fw.run(words, path=folder / "run").model.predict(sounds / "low" / "0.wav")
        finally:
            sys.setprofile(before)
            threading.setprofile(None)
    return seen


HANDED_IN = {
    "evaluation.cross_validate.cross_validate": {"experiment.run.evaluate_rows.<locals>.on_fold"},
    "evaluation.fit._fit_new": {"experiment.run.make_model"},
    "evaluation.foreign._lines": {"experiment.run.try_foreign_sounds.<locals>.extract_usable"},
    "evaluation.robustness.measure_robustness": {"experiment.run.try_changes.<locals>.extract_some"},
    "extraction.extract.cached_or_made.<locals>.find_or_make": {"audit.run.probe_vector"},
    "extraction.recording.Unit.recipe": {"evaluation.changes.Changed.identity"},
    "extraction.recording._changed": {"evaluation.changes.Changed.__call__"},
    "parallel.executors.outcome": {
        "extraction.extract.cached_or_made.<locals>.find_or_make",
        "extraction.recording.Unit.__call__",
        "report.build._shown",
    },
    "parallel.workers._in_order": {
        "audit.run.probe_all.<locals>.<genexpr>",
        "extraction.extract.tabulate.<locals>.<genexpr>",
        "extraction.extract.tabulate.<locals>.<lambda>",
    },
    "system.hashing.digest_list": {"bundle.save.training_digest.<locals>.<genexpr>"},
    "system.atomic._write_new": {"results.files.write_rows.<locals>.<lambda>"},
}
"""Allowed calls from a package into a higher one: a function, object or iterator that was passed in."""


def test_a_call_goes_up_only_into_what_was_handed_in(calls):
    up: dict[str, set[str]] = {}
    for caller, called in calls.pairs:
        if HEIGHTS.get(package_of(caller), 0) < HEIGHTS.get(package_of(called), -99):
            up.setdefault(caller.removeprefix("audiofw."), set()).add(called.removeprefix("audiofw."))
            own, theirs = calls.pairs[caller, called]
            held = {getattr(value, "__module__", None) or getattr(value, "__name__", None) for value in own.values()}
            assert theirs["__name__"] not in held, f"{caller} holds {called} itself"
    assert up == HANDED_IN


PLUGINS_ARE_CALLED_BY = {
    "contract.plugin.Choice._call",  # plugins with their options bound
    "contract.hooks._take",  # their hooks
    "extraction.columns._ask",  # what names their rows and columns
}


def test_plugins_are_called_by_the_contract_and_call_what_is_public(calls):
    between = [pair for pair in calls.pairs if (package_of(pair[0]) == "plugins") != (package_of(pair[1]) == "plugins")]
    callers = {caller.removeprefix("audiofw.") for caller, called in between if package_of(called) == "plugins"}
    assert callers == PLUGINS_ARE_CALLED_BY
    called = {called for caller, called in between if package_of(caller) == "plugins"}
    registers = "audiofw.contract.hooks._take.<locals>.register"
    public = ("audiofw.spectral.", "audiofw.audio.effects.", "audiofw.learn.", "audiofw.errors.")
    assert registers in called
    assert [name for name in called if name != registers and not name.startswith(public)] == []


def test_each_step_of_a_run_is_the_function_that_the_docs_name(calls):
    page = (ROOT / "docs/architecture.md").read_text()
    steps = page.partition("## How a recording becomes a score")[2].partition("\n\n`")[0]
    named = set(re.findall(r"`(audiofw\.[\w.]+)`", steps))
    assert len(named) > 15
    called = {called for _, called in calls.pairs}
    assert named - called == {
        "audiofw.cli.main.main",
        "audiofw.data.unpack.unpack_archive",
    }  # of no folder, from Python


def test_the_traced_run_went_through_every_layer_of_a_run(calls):
    reached = {package_of(called) for _, called in calls.pairs}
    assert set(HEIGHTS) - reached == {"cli", "kit", "networks", "serve", "testing", "version"}
