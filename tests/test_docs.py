"""README and docs are correct: commands run or compose, code runs, options and links exist."""

import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
import yaml
from bundles import make_run
from conftest import tone, write_wav
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from audiofw.bundle.onnx.page import RUNTIME
from audiofw.cli import serve
from audiofw.cli.main import COMMANDS
from audiofw.cli.predict import command as predict
from audiofw.config.overrides import quote_text, take_plugin_folders
from audiofw.contract.hookspecs import KINDS
from audiofw.contract.registry import load_menus
from audiofw.errors import ConfigError
from audiofw.experiment.hydra_app import compose
from audiofw.kit.new import render_template

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = (ROOT / "README.md", ROOT / "CONTRIBUTING.md")  # of docs/
PAGES = {page.name: page.read_text() for page in (*OUTSIDE, *sorted((ROOT / "docs").glob("*.md")))}
OTHER_PROGRAMS = {"cat", "eval", "export", "make", "npm", "pip", "pre-commit", "pytest", "python3", "source", "unzip"}


class Block(NamedTuple):
    """A code block on a page."""

    page: str
    language: str
    code: str


BLOCKS = [
    Block(page, language, code)
    for page, text in PAGES.items()
    for language, code in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
]


def blocks(language: str, *, holding: str = "") -> list[Block]:
    return [block for block in BLOCKS if block.language == language and holding in block.code]


def split_commands(code: str) -> list[list[str]]:
    """Split shell code into the words of each command, without comments and redirections."""
    commands = []
    for line in code.replace("\\\n", " ").splitlines():
        words = shlex.shlex(line, posix=True, punctuation_chars="|&<>")
        words.whitespace_split, command = True, []
        for word in words:
            if set(word) <= set("|&"):
                commands.append(command)
                command = []
            elif word == ">":
                next(words)
            else:
                command.append(word)
        commands.append(command)
    return [command for command in commands if command]


SHELL = [(block.page, words) for block in blocks("bash") for words in split_commands(block.code)]
OURS = [pytest.param(words[1:], id=f"{page}: {shlex.join(words)}") for page, words in SHELL if words[0] == "audiofw"]


def is_subcommand(case) -> bool:
    words = case.values[0]
    return bool(words) and words[0] in COMMANDS and (words[0] != "audit" or "=" not in "".join(words))


def test_shell_code_is_of_known_programs_and_marked_as_such():
    assert {words[0] for _, words in SHELL} - {"audiofw"} <= OTHER_PROGRAMS
    assert len(OURS) > 50
    assert {block.language for block in BLOCKS} == {"bash", "text", "python", "toml", "yaml"}


# ---- commands


@pytest.mark.parametrize("words", [case for case in OURS if not is_subcommand(case)])
def test_a_command_of_the_docs_composes(words, plugins_of_the_docs):
    words = take_plugin_folders(words)
    if "--config-dir" in words or (words and words[0] in ("--help", "-sc")):
        return
    words = words[1:] if words and words[0] == "audit" else words
    singles = []
    for word in (word for word in quote_text(words) if not word.startswith("-")):
        (override,) = OverridesParser.create().parse_overrides([word])
        if override.is_range_sweep() or override.is_choice_sweep():
            singles.append(f"{word.partition('=')[0]}={next(iter(override.sweep_string_iterator()))}")
        elif not override.is_sweep_override():  # a range has no single value
            singles.append(word)
    words = [word for word in singles if not word.startswith("hydra/")]
    if re.search(r"\.model=|yamnet|birdnet|embedding", " ".join(words)):  # a network's file, checked after the rest
        with pytest.raises(ConfigError, match=r"^feature\.(\w+\.)?model=.*: no such file"):
            compose(words)
        return
    assert compose(words)


@pytest.fixture(scope="module")
def run_and_sounds(tmp_path_factory) -> Path:
    """Create everything that the docs' subcommands refer to: a run, a sweep, sounds."""
    folder = tmp_path_factory.mktemp("docs")
    run = make_run(folder, "split=kfold")  # --unknown 0.05 needs 19 test clips
    for sweep in ("2026-01-31/12-00-00", "2026-02-01/09-30-00"):
        shutil.copytree(run, folder / "multirun" / sweep / "0")
    for name in ("clip.wav", "folder/a.wav", "more/b.flac", "archive/c.wav"):
        write_wav(folder / name, tone(900, 0.6))  # libsndfile checks the content, not the name
    write_wav(folder / "long.wav", tone(900, 4))
    shutil.copytree(folder / "sounds", folder / "field_recordings")
    rows = [f"sounds/{label}/{i}.wav,{label}" for label in ("low", "mid", "high") for i in range(3)]
    (folder / "test.csv").write_text("\n".join(["path,species", *rows]))
    shutil.make_archive(str(folder / "pets"), "zip", folder / "sounds")
    (folder / "more.csv").write_text("path\nclip.wav\n")
    web = folder / "node_modules/onnxruntime-web/dist"
    web.mkdir(parents=True)
    for name in RUNTIME:  # as npm installs it; only the names matter
        (web / name).touch()
    return folder


@pytest.mark.parametrize("words", [case for case in OURS if is_subcommand(case)])
def test_a_subcommand_of_the_docs_runs(words, audiofw, run_and_sounds, plugins_of_the_docs, tmp_path, monkeypatch):
    monkeypatch.setattr(serve, "serve", lambda service, host, port, **more: None)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO((run_and_sounds / "clip.wav").read_bytes())))
    shutil.copytree(run_and_sounds, tmp_path, dirs_exist_ok=True)
    outcome = audiofw(*[str(tmp_path / "run") if word == "RUN" else word for word in words])
    assert outcome.code == 0, outcome.err


def shapes(output: str) -> list[str]:
    """Normalise output lines: mask the numbers and widths that differ between runs."""
    return [re.sub(r"\s+", " ", re.sub(r"[\d.]+", "#", line)).strip() for line in output.splitlines() if line.strip()]


def test_a_run_prints_what_the_readme_shows(audiofw, sounds):
    (shown,) = (block.code for block in blocks("text", holding="accuracy") if block.page == "README.md")
    source = sounds(clips=15, seconds=0.3, a=200, b=500, c=1200, d=3000)
    outcome = audiofw(f"data.source={source}", "report.audio=false", "audit=false")
    assert outcome.code == 0, outcome.err
    assert [line for line in shapes(shown) if line not in (*shapes(outcome.out), "…")] == []


def test_a_preset_of_ones_own_is_found(audiofw):
    (preset,) = (block for block in BLOCKS if block.language == "yaml")
    (file,) = re.findall(r"Save this as `(\S+\.yaml)`", PAGES[preset.page])
    Path(file).parent.mkdir(parents=True)
    Path(file).write_text(preset.code)
    (words,) = (words for _, words in SHELL if "--config-dir" in words)
    outcome = audiofw(*words[1:], "--cfg", "job")
    assert outcome.code == 0, outcome.err
    composed, asked = yaml.safe_load(outcome.out), yaml.safe_load(preset.code)
    for section in ("audio", "feature"):
        assert asked[section].items() <= composed[section].items()


# ---- plugins


def registered(code: str) -> list[tuple[str, str]]:
    """List the kind and name of each plugin that the code registers."""
    found = re.findall(r"def (register_\w+s)\(register\):\n((?:    register\(.*\n)+)", code)
    kinds = {kind.hook: kind.name for kind in KINDS.values()}
    return [
        (kinds[hook], name)
        for hook, body in found
        if hook in kinds
        for name in re.findall(r"register\((\w+)[,)]", body)
    ]


PLUGINS = [(block.code, registered(block.code)) for block in blocks("python", holding="@hookimpl")]


@pytest.fixture
def plugins_of_the_docs(tmp_path, monkeypatch) -> Path:
    """Save every plugin in the docs under the name of its function."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "my_plugins"
    folder.mkdir()
    for code, ((_, name), *_) in PLUGINS:
        (folder / f"{name}.py").write_text(code)
    assert "`my_plugins/loudness.py`" in PAGES["README.md"]
    return folder


def test_the_plugins_of_the_docs_load(plugins_of_the_docs):
    assert not load_menus([plugins_of_the_docs]).broken


def test_the_readmes_plugin_is_a_file_that_runs(audiofw, sounds, plugins_of_the_docs):
    (words,) = (words[1:] for page, words in SHELL if page == "README.md" and "--plugins-dir" in words)
    outcome = audiofw(*words, f"data.source={sounds(clips=6)}", "report=false", "audit=false")
    assert outcome.code == 0, outcome.err
    assert "loudness" in outcome.out


@pytest.mark.parametrize(("kind", "name"), [pair for _, pairs in PLUGINS for pair in pairs if "loudness" not in pair])
def test_a_plugin_of_the_docs_runs(kind, name, audiofw, sounds, plugins_of_the_docs, tmp_path):
    words = [f"data.source={sounds(clips=6, seconds=0.3)}", r"data.pattern=(?P<group>\d)"]
    chosen = {"feature": "mfcc", "pooling": "stats", "model": "lda", kind: name}
    words += ["--plugins-dir", "my_plugins", "hydra.run.dir=run", "report=false", "audit=false", "n_jobs=1"]
    words += [f"{key}={value}" for key, value in chosen.items()]
    outcome = audiofw(*words)
    assert outcome.code == 0, outcome.err
    assert audiofw("verify", "run").code == 0


def test_the_entry_point_of_the_docs_is_of_our_group():
    (block,) = blocks("toml")
    assert list(tomllib.loads(block.code)["project"]["entry-points"]) == ["audiofw"]


# ---- Python


def run_code(page: str, holding: str) -> dict:
    (block,) = (block for block in blocks("python", holding=holding) if block.page == page)
    names: dict = {}
    exec(compile(block.code, page, "exec"), names)
    return names


def test_the_notebook_of_the_docs_runs(sounds, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = sorted(sounds(folder="pets", cat=900, dog=250).rglob("*.wav"))
    names = run_code("python.md", "audiofw.run")
    assert names["accuracy"]["pooled"] > 0.5
    assert names["labels"].tolist() == [file.parent.name for file in files]
    assert names["probabilities"].shape == (len(files), 2)
    assert all(label in labels for label, labels in zip(names["labels"], names["sets"], strict=True))
    assert names["X"].shape == (len(files), len(names["columns"]))
    assert names["columns"][0].startswith("mel_")
    assert names["scores"].mean() > 0.9


def test_the_microphone_of_the_docs_is_heard(run_and_sounds, tmp_path, monkeypatch, capsys):
    shutil.copytree(run_and_sounds / "run", tmp_path / "outputs/2026-01-31/12-00-00")
    monkeypatch.chdir(tmp_path)

    class Microphone(nullcontext):
        def __init__(self, samplerate: int, channels: int) -> None:
            super().__init__(self)
            self.left = np.tile(tone(900, 1.5, samplerate)[:, None], channels).astype(np.float32)

        def read(self, n: int) -> tuple[np.ndarray, bool]:
            if not len(self.left):
                raise KeyboardInterrupt
            block, self.left = self.left[:n], self.left[n:]
            return block, False

    monkeypatch.setitem(sys.modules, "sounddevice", SimpleNamespace(InputStream=Microphone))
    with pytest.raises(KeyboardInterrupt):
        run_code("python.md", "sounddevice")
    assert capsys.readouterr().out == "0.6 s: mid\n1.1 s: mid\n"


def test_the_spectra_of_the_docs_are_librosas():
    import librosa

    names = run_code("python.md", "spectral.melspectrogram")
    expected = librosa.feature.melspectrogram(y=names["y"], sr=names["sr"], n_mels=64)
    assert abs(names["db"] - librosa.power_to_db(expected, ref=expected.max())).max() < 1e-3
    assert names["coefficients"].shape == (13, expected.shape[1])


def test_the_readmes_python_runs(sounds, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    sounds(folder="pets", cat=900, dog=250)
    names = run_code("README.md", "audiofw.run")
    assert names["labels"].tolist() == ["cat", "dog"]
    assert capsys.readouterr().out.startswith(f"{names['result'].score} ")


def test_the_test_of_a_plugin_in_the_docs_passes(plugins_of_the_docs, tmp_path):
    (block,) = blocks("python", holding="audiofw.testing")
    (tmp_path / "test_octaves.py").write_text(block.code)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "AUDIOFW_PLUGINS_PATH": str(plugins_of_the_docs)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_octaves.py"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert "17 passed" in done.stdout, done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_what_audiofw_writes_for_a_new_plugin_is_what_the_docs_show(kind):
    first = [(code, name) for code, ((found, name), *_) in PLUGINS if found == kind and "loudness" not in code]
    assert render_template(f"{kind}.py", name=first[0][1]) == first[0][0]


def test_every_python_block_is_tried():
    tried = [*blocks("python", holding="@hookimpl"), *blocks("python", holding="audiofw.run(")]
    tried += blocks("python", holding="audiofw.testing") + blocks("python", holding="import sounddevice")
    assert len(blocks("python")) == len(tried) + len(blocks("python", holding="spectral.mfcc("))


# ---- options


def tables(text: str, head: str) -> list[list[list[str]]]:
    """List the tables with this heading in the first column, as rows of cells."""
    found = re.findall(rf"^\| {head} \|.*\n\|[-| ]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [[[cell.strip() for cell in row.strip("|").split(" | ")] for row in table.splitlines()] for table in found]


def options_of(page: str) -> dict[str, str]:
    """Iterate over the options in a page's tables: full name and the cell with the default."""
    found: dict[str, str] = {}
    for cells in (cells for table in tables(PAGES[page], "option") for cells in table):
        names = re.findall(r"`([\w.]+)`", cells[0])
        defaults = cells[1].split(", ") if len(names) == cells[1].count(", ") + 1 else [cells[1]] * len(names)
        section = names[0].rpartition(".")[0] if names else ""
        found |= {
            f"{section}{name}" if name[0] == "." else name: said for name, said in zip(names, defaults, strict=True)
        }
    return found


def leaves(config, prefix: str = "") -> dict[str, object]:
    """Map the full name of every option of a config to its default."""
    if not OmegaConf.is_dict(config) or not config:
        return {prefix: config}
    return {name: value for key in config for name, value in leaves(config[key], f"{prefix}.{key}".lstrip(".")).items()}


@pytest.fixture(scope="module")
def defaults() -> dict[str, object]:
    """Map every option that the docs may mention to its default."""
    menus, config = load_menus(), OmegaConf.load(ROOT / "conf/config.yaml")
    chosen = {name: value for each in config.defaults if OmegaConf.is_dict(each) for name, value in each.items()}
    del config["hydra"], config["defaults"]
    waveform = menus.find("augmentation", "waveform").options
    return {**leaves(config), **chosen, **{f"augmentation.{option.name}": option.default for option in waveform}}


def read_default(said: str) -> object:
    """Parse a default in a table: YAML, with 'none' for null and dB values with their unit."""
    value = yaml.safe_load(said.strip("`").removesuffix(" dB").replace("−", "-"))
    return None if said == "none" else value


def test_options_in_tables_exist_and_have_the_default_that_is_said(defaults):
    said = {option: default for page in PAGES for option, default in options_of(page).items()}
    assert len(said) > 40
    for option, default in said.items():
        assert option in defaults, option
        value = defaults[option]
        assert read_default(default) == (list(value) if isinstance(value, tuple) else value), option


def test_every_option_of_the_config_is_in_the_docs(defaults):
    in_tables = {option for page in PAGES for option in options_of(page)}
    text = "".join(PAGES.values())
    lacking = [option for option in defaults.keys() - in_tables if f"`{option}`" not in text]
    assert [option for option in lacking if f"`{option}=" not in text] == []


def test_the_readme_lists_every_plugin():
    (table,) = tables(PAGES["README.md"], "option")
    listed = {cells[0].strip("`"): set(re.findall(r"`(\w+)`", cells[2])) for cells in table}
    assert listed == {kind: set(menu) for kind, menu in load_menus().plugins.items()}


def test_flags_of_prediction_exist(capsys):
    with pytest.raises(SystemExit):
        predict.main(["--help"])
    flags = re.findall(r"^\| `(--[\w-]+)", PAGES["prediction.md"], re.MULTILINE)
    assert flags
    assert set(flags) <= set(re.findall(r"--[\w-]+", capsys.readouterr().out))


# ---- pages


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    folder = ROOT if (ROOT / page).exists() else ROOT / "docs"
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", PAGES[page])
    assert [link for link in links if "://" not in link and not (folder / link).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_files_of_the_project_that_a_page_names_exist(page):
    named = re.findall(r"`((?:audiofw|plugins|tests|conf|docs|benchmarks)/[\w/.]*)`", PAGES[page])
    assert [file for file in named if not (ROOT / file).exists()] == []


def test_the_readme_leads_to_every_page():
    assert [page.name for page in ROOT.glob("docs/*.md") if f"docs/{page.name}" not in PAGES["README.md"]] == []


def test_the_changelog_names_every_built_in_plugin():
    changelog = (ROOT / "CHANGELOG.md").read_text()
    for menu in load_menus().plugins.values():
        for name in menu:
            assert f"`{name}`" in changelog


def test_every_option_of_the_config_has_a_comment():
    lines = (ROOT / "conf/config.yaml").read_text().split("\nhydra:")[0].splitlines()
    values = [line for line in lines if re.match(r"\s*\w+: \S", line)]
    assert [line for line in values if "#" not in line] == []
