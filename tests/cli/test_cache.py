"""``audiofw cache``: what it shows, explains and removes, and what it leaves alone."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from audiofw.cache import folder as cache_folder
from audiofw.cache.explain import recipe_differences
from audiofw.cache.store import Cache, recipe_digest
from audiofw.system.paths import cache_root
from audiofw.system.tables import show_size

MEL = {
    "audio": {"sample_rate": 22050},
    "feature": {"name": "mel", "options": {"n_mels": 128, "n_fft": 2048}},
    "pooling": {"name": "stats", "options": {}},
}
NARROW = MEL | {"feature": {"name": "mel", "options": {"n_mels": 64, "n_fft": 2048}}}
MFCC = MEL | {"audio": {"sample_rate": 8000}, "feature": {"name": "mfcc", "options": {"n_mfcc": 13}}}


@pytest.fixture
def clips(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{i}.wav" for i in range(3)]
    for i, path in enumerate(paths):
        path.write_bytes(b"sound %d" % i)
    return paths


@pytest.fixture
def folder() -> Path:
    return cache_root() / "features"


@pytest.fixture
def filled(folder: Path, clips: list[Path]) -> Path:
    """Three sounds extracted with one recipe, and the first also with two others, used later."""
    for recipe, known, days_ago in [(MEL, clips, 3), (MFCC, clips[:1], 2), (NARROW, clips[:1], 1)]:
        store(folder, recipe, known)
        set_used(folder / recipe_digest(recipe) / "recipe.json", days_ago)
    return folder


def store(folder: Path, recipe: dict, clips: list[Path]) -> None:
    with Cache(folder) as cache:
        recipe_cache = cache.recipe_cache(recipe)
        for clip in clips:
            recipe_cache.get(clip)
            recipe_cache.put(clip, np.ones(3, np.float32))


def set_used(file: Path, days_ago: float) -> None:
    os.utime(file, (time.time() - days_ago * 86400,) * 2)


def rows(out: str) -> list[list[str]]:
    return [line.split() for line in out.splitlines() if line.strip()]


def entries(folder: Path) -> list[Path]:
    return [Path(stored.path) for stored in cache_folder.all_entries(folder)]


# --- looking -------------------------------------------------------------------------------------------------------


def test_info_counts_features_and_unpacked_archives(audiofw, filled):
    unpacked = filled.parent / "archives" / ("ab" * 16)
    (unpacked / "files").mkdir(parents=True)
    (unpacked / "complete.json").write_text("{}")
    (unpacked / "files" / "a.wav").write_bytes(bytes(9000))
    for words in (["cache"], ["cache", "info"]):
        out = audiofw(*words).out
        assert str(filled.parent) in out
        assert ["features", "(3", "configurations)", "5", "20", "kB"] in rows(out)
        assert ["unpacked", "archives", "1", "16", "kB"] in rows(out)


def test_an_empty_cache_is_no_error(audiofw, folder, clips):
    for words in (["info"], ["ls"], ["gc"], ["clear"], ["explain", str(clips[0])]):
        outcome = audiofw("cache", *words)
        assert (outcome.code, outcome.err) == (0, "")
        assert not folder.exists()


def test_ls_shows_recipes_last_used_first(audiofw, filled):
    header, *listed = rows(audiofw("cache", "ls").out)
    assert header[:2] == ["configuration", "feature"]
    assert [row[0] for row in listed] == [recipe_digest(recipe)[:12] for recipe in (NARROW, MFCC, MEL)]
    assert listed[2][1:] == ["mel", "n_fft=2048", "n_mels=128", "stats", "3", "12", "kB", "3", "days", "ago"]


def test_ls_shows_a_recipe_whose_text_was_lost(audiofw, filled):
    (filled / recipe_digest(MFCC) / "recipe.json").write_text("{")
    assert [recipe_digest(MFCC)[:12], "unknown", "unknown", "1"] in [
        row[:4] for row in rows(audiofw("cache", "ls").out)
    ]


# --- explaining ----------------------------------------------------------------------------------------------------


def test_explain_says_which_recipes_have_a_clip_and_what_differs(audiofw, filled, clips):
    found = json.loads(audiofw("cache", "explain", str(clips[1]), "--json").out)
    names = [recipe_digest(recipe) for recipe in (NARROW, MFCC, MEL)]
    assert [(each["name"], each["cached"]) for each in found["configurations"]] == list(
        zip(names, [False, False, True], strict=True)
    )
    assert found["compared"] == [names[0], names[2], names[1]]  # the most recently used, then the most similar to it
    assert found["differences"]["feature.options.n_mels"] == {names[0]: 64, names[2]: 128}
    assert found["differences"]["audio.sample_rate"] == {names[0]: 22050, names[2]: 22050, names[1]: 8000}
    assert "pooling.name" not in found["differences"]


def test_explain_in_words(audiofw, filled, clips):
    out = audiofw("cache", "explain", str(clips[1])).out
    assert "not cached for the most recently used configuration, but for others" in out
    assert ["feature.options.n_mels", "64", "128", "absent"] in rows(out)
    assert ": cached for the most recently used configuration" in audiofw("cache", "explain", str(clips[0])).out


def test_explain_tells_a_changed_clip(audiofw, filled, clips):
    clips[0].write_bytes(b"other!!")
    assert "not cached: the file is new" in audiofw("cache", "explain", str(clips[0])).out


def test_explain_of_a_file_that_is_not_there_is_one_line(audiofw, filled, tmp_path):
    outcome = audiofw("cache", "explain", "none.wav")
    assert (outcome.code, outcome.err) == (1, "audiofw: none.wav: no such file\n")


def test_differences_are_by_nested_key_and_tell_kinds_apart():
    a = {"same": {"x": 1}, "list": [1, 2], "gone": {"k": None}, "number": 1, "empty": {}}
    b = {"same": {"x": 1}, "list": [2, 1], "number": 1.0, "empty": {"now": 0}}
    assert recipe_differences({"a": a, "b": b}) == {
        "list": {"a": [1, 2], "b": [2, 1]},
        "gone.k": {"a": None},
        "number": {"a": 1, "b": 1.0},
        "empty": {"a": {}},
        "empty.now": {"b": 0},
    }
    assert recipe_differences({"a": a}) == {}


# --- removing ------------------------------------------------------------------------------------------------------


def test_gc_removes_what_is_old(audiofw, filled):
    for entry in (filled / recipe_digest(MEL)).rglob("*.npy"):
        set_used(entry, 10)
    out = audiofw("cache", "gc", "--older-than", "9").out
    assert ["unused", "for", "9", "days", "3", "12", "kB"] in rows(out)
    assert len(entries(filled)) == 2
    assert not (filled / recipe_digest(MEL)).exists()


def test_gc_removes_the_least_recently_used_beyond_a_size(audiofw, filled):
    set_used(old := entries(filled)[0], 10)
    audiofw("cache", "gc", "--max-gb", str(4.5 * 4096 / 1e9))
    assert len(entries(filled)) == 4
    assert not old.exists()


def test_gc_alone_keeps_every_vector(audiofw, filled):
    assert ["leftovers", "of", "killed", "runs", "0", "0", "bytes"] in rows(audiofw("cache", "gc").out)
    assert len(entries(filled)) == 5


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "much"])
def test_gc_refuses_what_is_no_amount(audiofw, filled, value):
    outcome = audiofw("cache", "gc", f"--max-gb={value}")
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert f"'{value}' is not a number of at least 0" in outcome.err
    assert len(entries(filled)) == 5


def test_clear_refuses_in_a_pipe_without_yes(audiofw, filled, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    outcome = audiofw("cache", "clear")
    assert outcome.code == 2
    assert "--yes" in outcome.err
    assert len(entries(filled)) == 5


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answer", "left"), [("y\n", 0), ("YES\n", 0), ("\n", 5), ("no\n", 5), ("", 5)])
def test_clear_asks_on_a_terminal(audiofw, filled, monkeypatch, answer, left):
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    outcome = audiofw("cache", "clear")
    assert "Remove all cached features" in outcome.err
    assert len(entries(filled)) == left
    assert outcome.code == (1 if left else 0)


def test_clear_removes_all_that_is_ours_and_nothing_else(audiofw, filled, tmp_path):
    archive = filled.parent / "archives" / "kept.txt"
    archive.parent.mkdir()
    outside = tmp_path / "outside" / ("0" * 40 + ".npy")
    outside.parent.mkdir()
    theirs = [
        filled / "thesis.txt",
        filled / recipe_digest(MEL) / "note.txt",
        filled / "notes" / "a.npy",
        archive,
        outside,
    ]
    for file in theirs:
        file.parent.mkdir(exist_ok=True)
        file.write_text("precious")
    (filled / ("f" * 32)).symlink_to(outside.parent, target_is_directory=True)
    outcome = audiofw("cache", "clear", "--yes")
    assert outcome.code == 0
    assert "removed 5 files, 20 kB; other files in" in outcome.out
    assert all(file.read_text() == "precious" for file in theirs)
    assert entries(filled) == []
    assert not (filled / cache_folder.INDEX).exists()


@pytest.mark.parametrize("words", [["clear", "--yes"], ["gc", "--max-gb=0"]])
def test_files_that_cannot_be_removed_are_an_error(audiofw, filled, monkeypatch, words):
    held, unlink = entries(filled)[0], Path.unlink

    def refuse(path: Path, **options: bool) -> None:
        if path == held:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        unlink(path, **options)

    monkeypatch.setattr(Path, "unlink", refuse)
    outcome = audiofw("cache", *words)
    assert outcome.code == 1
    assert f"{held}: cannot be removed: Permission denied; try again" in outcome.err
    assert entries(filled) == [held]
    monkeypatch.undo()
    assert audiofw("cache", *words).code == 0  # it is still marked as a cache


def test_clear_leaves_no_empty_folder(audiofw, filled):
    audiofw("cache", "clear", "--yes")
    assert not filled.exists()


@pytest.mark.parametrize("tag", [None, b"", b"a note of mine"])
def test_clear_refuses_a_folder_without_the_mark_of_a_cache(audiofw, filled, tag):
    (filled / "CACHEDIR.TAG").unlink()
    if tag is not None:
        (filled / "CACHEDIR.TAG").write_bytes(tag)
    outcome = audiofw("cache", "clear", "--yes")
    assert outcome.code == 2
    assert "CACHEDIR.TAG" in outcome.err
    assert len(entries(filled)) == 5


def test_new_cache_is_marked_as_one(filled):
    assert (filled / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55\n")


def test_folder_that_held_other_things_is_not_marked(folder, clips):
    folder.mkdir(parents=True)
    (folder / "thesis.txt").write_text("precious")
    store(folder, MEL, clips)
    assert len(entries(folder)) == 3
    assert not (folder / "CACHEDIR.TAG").exists()


# --- the command line ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["lss"], ["clear", "--no"], ["explain"], ["gc", "--max-gb"]])
def test_wrong_words_are_one_line_and_exit_code_2(audiofw, words):
    outcome = audiofw("cache", *words)
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert outcome.err.startswith("audiofw: audiofw cache")


def test_help_names_every_action(audiofw):
    outcome = audiofw("cache", "--help")
    assert outcome.code == 0
    assert all(word in outcome.out for word in ("info", "ls", "explain", "gc", "clear"))


def test_command_needs_neither_numpy_nor_hydra():
    heavy = "{'numpy', 'hydra', 'librosa', 'sklearn'}"
    code = f"import sys, audiofw.cli.cache; print(sorted({heavy} & {{*sys.modules}}))"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (ended.stdout.strip(), ended.stderr) == ("[]", "")


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0 bytes"), (999, "999 bytes"), (4096, "4.1 kB"), (12_000_000, "12 MB"), (2.35e12, "2350 GB")],
)
def test_sizes_are_shown_in_their_unit(size, shown):
    assert show_size(size) == shown
