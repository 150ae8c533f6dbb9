"""Links and folders in place of what the cache writes are removed, or named once; the rest of the cache works."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from audiofw.cache import fileindex
from audiofw.cache.folder import INDEX, RECIPE, SIZES, TAG
from audiofw.cache.store import Cache, recipe_digest

MADE = {"feature": {"name": "mel"}}
X = np.arange(12, dtype=np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "features"


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    (tmp_path / "clip.wav").write_bytes(b"sound")
    return tmp_path / "clip.wav"


def get_or_put(folder: Path, clip: Path) -> bool:
    """Take the vector from the cache or store it, as a run does; returns whether it was there."""
    with Cache(folder, max_gb=1) as cache:
        recipe_cache = cache.recipe_cache(MADE)
        found = recipe_cache.get(clip)
        if found is None:
            recipe_cache.put(clip, X)
        else:
            np.testing.assert_array_equal(found, X)
    return found is not None


def make_dangling(path: Path, outside: Path) -> None:
    path.symlink_to(outside / "nowhere")


def make_link_to_file(path: Path, outside: Path) -> None:
    (outside / "file").write_bytes(b"theirs")
    path.symlink_to(outside / "file")


def make_link_to_folder(path: Path, outside: Path) -> None:
    (outside / "folder").mkdir()
    path.symlink_to(outside / "folder")


def make_loop(path: Path, outside: Path) -> None:
    path.symlink_to(path)


def make_folder(path: Path, outside: Path) -> None:
    path.mkdir()


def make_pipe(path: Path, outside: Path) -> None:
    os.mkfifo(path)


def places(folder: Path) -> dict[str, Path]:
    (entry,) = folder.rglob("*.npy")
    recipe = folder / recipe_digest(MADE)
    return {"entry": entry, "pair": entry.parent, "recipe folder": recipe, "recipe": recipe / RECIPE,
            "index": folder / INDEX, "sizes": folder / SIZES, "tag": folder / TAG}  # fmt: skip


def move_away(path: Path, outside: Path) -> None:
    if path.exists():
        path.rename(outside / "moved")


@pytest.mark.parametrize(
    "make", [make_dangling, make_link_to_file, make_link_to_folder, make_loop, make_folder], ids=lambda f: f.__name__
)
@pytest.mark.parametrize("place", ["entry", "pair", "recipe folder", "recipe", "sizes", "tag"])
def test_what_is_in_the_way_is_removed_and_nothing_outside_is_touched(
    folder, clip, tmp_path, caplog, place, make: Callable
):
    get_or_put(folder, clip)
    (tmp_path / "outside").mkdir()
    path = places(folder)[place]
    move_away(path, tmp_path / "outside")
    make(path, tmp_path / "outside")
    get_or_put(folder, clip)
    assert get_or_put(folder, clip)
    assert not caplog.records
    if place in ("entry", "pair", "recipe folder"):
        assert not path.is_symlink()
    theirs = tmp_path / "outside"
    assert not (theirs / "file").exists() or (theirs / "file").read_bytes() == b"theirs"
    assert not (theirs / "folder").exists() or not list((theirs / "folder").iterdir())


def test_a_pipe_in_place_of_an_entry_is_replaced_without_waiting(folder, clip, tmp_path):
    get_or_put(folder, clip)
    path = places(folder)["entry"]
    path.unlink()
    make_pipe(path, tmp_path)
    assert not get_or_put(folder, clip)
    assert get_or_put(folder, clip)


def test_a_folder_with_files_is_left_and_named_once_and_other_entries_are_stored(folder, clip, tmp_path, caplog):
    get_or_put(folder, clip)
    path = places(folder)["entry"]
    path.unlink()
    path.mkdir()
    (path / "mine").write_text("mine")
    other = tmp_path / "other.wav"
    other.write_bytes(b"another sound")
    assert not get_or_put(folder, clip)
    (record,) = caplog.records
    assert record.getMessage() == f"{path}: a folder with files where a file of the cache belongs; remove it"
    assert (path / "mine").read_text() == "mine"
    assert not get_or_put(folder, other)
    assert get_or_put(folder, other)
    assert len(caplog.records) == 1


@pytest.mark.parametrize("place", ["recipe", "index"])
def test_a_folder_with_files_in_place_of_another_file_is_named(folder, clip, caplog, monkeypatch, place):
    monkeypatch.setattr(fileindex, "QUIET_NS", 0)  # so that the index has something to write
    path = {"recipe": folder / recipe_digest(MADE) / RECIPE, "index": folder / INDEX}[place]
    path.mkdir(parents=True)
    (path / "mine").write_text("mine")
    get_or_put(folder, clip)
    (record,) = caplog.records
    assert record.getMessage().startswith(f"{path}: a folder with files where a file of the cache belongs")
    assert (path / "mine").read_text() == "mine"
