"""The feature cache: entries are never stale or damaged, and cache problems never stop a run."""

from __future__ import annotations

import errno
import json
import logging
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiofw.cache import fileindex
from audiofw.cache import folder as cache_folder
from audiofw.cache import store as cache_store
from audiofw.cache.checksums import Damaged, seal, unseal
from audiofw.cache.store import Cache, RecipeCache, recipe_digest, recipe_text
from audiofw.system.atomic import is_abandoned, is_temporary, write_whole

RECIPE = {
    "audio": {"sample_rate": 22050, "duration": 3.0},
    "feature": {"name": "mel", "options": {"n_mels": 128, "window": "hann", "bands": [1, 2.5, None]}},
    "pooling": {"name": "stats", "options": {}},
    "code": "c0ffee",
}
X = np.arange(12, dtype=np.float32)
DAY = 86400


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "features"


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write(tmp_path / "clip.wav", b"first sound")


@pytest.fixture
def trusting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust files that were changed just now, rather than those left alone for 2 s."""
    monkeypatch.setattr(fileindex, "QUIET_NS", 0)


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were hashed."""
    names: list[str] = []
    original = fileindex.hash_file

    def counted(path: Path) -> fileindex.Content | None:
        names.append(path.name)
        return original(path)

    monkeypatch.setattr(fileindex, "hash_file", counted)
    return names


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def store(folder: Path, clip: Path, array: np.ndarray = X, recipe: dict = RECIPE) -> None:
    with Cache(folder) as cache:
        recipe_cache = cache.recipe_cache(recipe)
        assert recipe_cache.get(clip) is None
        recipe_cache.put(clip, array)


def look_up(folder: Path, clip: Path, recipe: dict = RECIPE) -> np.ndarray | None:
    with Cache(folder) as cache:
        return cache.recipe_cache(recipe).get(clip)


def entry_of(folder: Path) -> Path:
    (stored,) = cache_folder.all_entries(folder)
    return Path(stored.path)


def set_used(entry: Path, days_ago: float) -> None:
    os.utime(entry, (time.time() - days_ago * DAY,) * 2)


# --- what goes in comes out ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "array",
    [
        X,
        X.astype(">f8").reshape(3, 4),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.zeros((0,), np.float32),
        np.array(2.5),
        np.array([np.nan, -0.0, np.inf]),
    ],
    ids=["vector", "big-endian", "fortran", "empty", "scalar", "odd-numbers"],
)
def test_array_comes_back_as_it_was(folder, clip, array):
    store(folder, clip, array)
    found = look_up(folder, clip)
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)
    np.testing.assert_array_equal(np.load(entry_of(folder), allow_pickle=False), array)


def test_what_comes_back_may_be_changed_without_changing_the_cache(folder, clip):
    store(folder, clip)
    look_up(folder, clip)[:] = 0
    np.testing.assert_array_equal(look_up(folder, clip), X)


def test_array_of_python_objects_is_refused(folder, clip):
    with Cache(folder) as cache:
        recipe_cache = cache.recipe_cache(RECIPE)
        recipe_cache.get(clip)
        with pytest.raises(ValueError, match="Python objects"):
            recipe_cache.put(clip, np.array([object()]))


def test_same_content_under_another_name_is_found(folder, clip, tmp_path):
    store(folder, clip)
    assert look_up(folder, write(tmp_path / "copy.wav", clip.read_bytes())) is not None


def test_missing_clip_is_a_miss(folder, tmp_path):
    assert look_up(folder, tmp_path / "none.wav") is None


# --- the recipe's side of the key ----------------------------------------------------------------------------------


def changed_recipes() -> Iterator[dict]:
    """Copies of the recipe with one nested value replaced, removed or added."""
    text = json.dumps(RECIPE)
    for old, new in [
        ("22050", "22051"),
        ("22050", "22050.0"),
        ("3.0", "3.0000000000000004"),
        ('"mel"', '"stft"'),
        ("128", '"128"'),
        ('"hann"', '"hamm"'),
        ("[1, 2.5, null]", "[2.5, 1, null]"),
        ("[1, 2.5, null]", "[true, 2.5, null]"),
        ("[1, 2.5, null]", "[1, 2.5, 0]"),
        ('"options": {}', '"options": {"more": 1}'),
        ('"stats"', '"flatten"'),
        ("c0ffee", "c0ffe0"),
        (', "code": "c0ffee"', ""),
    ]:
        assert old in text
        yield json.loads(text.replace(old, new, 1))


@pytest.mark.parametrize("other", list(changed_recipes()))
def test_any_change_of_the_recipe_is_a_miss(folder, clip, other):
    store(folder, clip)
    assert look_up(folder, clip, other) is None
    assert look_up(folder, clip) is not None


def test_order_of_keys_and_kind_of_sequence_do_not_matter(folder, clip):
    store(folder, clip)
    feature = {"options": {"bands": (1, 2.5, None), "window": "hann", "n_mels": 128}, "name": "mel"}
    turned = dict(reversed((RECIPE | {"feature": feature}).items()))
    assert look_up(folder, clip, turned) is not None


@pytest.mark.parametrize(
    ("odd", "where"),
    [
        ({"feature": {"window": np.ones(3)}}, r"recipe\.feature\.window: ndarray"),
        ({"feature": [1, Path("x")]}, r"recipe\.feature\[1\]: (Posix|Windows)Path"),
        ({"feature": {"n": np.float32(1)}}, "float32"),
        ({"bands": {1: 2}}, "the key 1 is not a string"),
        ({"bands": {3, 4}}, "set"),
    ],
)
def test_recipe_that_json_does_not_hold_exactly_is_an_error(folder, odd, where):
    with pytest.raises(TypeError, match=where):
        Cache(folder).recipe_cache(odd)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(st.text(max_size=3), values, max_size=3))
def test_recipe_text_holds_the_recipe_exactly(recipe):
    assert repr(json.loads(recipe_text(recipe))) == repr(json.loads(json.dumps(recipe, sort_keys=True)))
    assert json.loads(recipe_text(recipe)) == recipe


def test_recipe_lies_in_the_clear_beside_its_vectors(folder, clip):
    store(folder, clip)
    (recipe_folder,) = cache_folder.recipe_folders(folder)
    assert recipe_folder.name == recipe_digest(RECIPE)
    assert cache_folder.read_recipe(recipe_folder) == RECIPE


def test_what_another_layout_has_stored_is_not_found_and_says_so(folder, clip, monkeypatch, caplog):
    with monkeypatch.context() as earlier:
        for module in (cache_store, cache_folder):
            earlier.setattr(module, "LAYOUT", 0)
        store(folder, clip)
        assert look_up(folder, clip) is not None
    assert look_up(folder, clip) is None
    assert not caplog.messages
    store(folder, clip)
    recipes = [cache_folder.read_recipe(place) for place in cache_folder.recipe_folders(folder)]
    assert sorted(recipes, key=len) == [RECIPE, {"layout": 0, **RECIPE}]
    assert cache_folder.clear_folder(folder).files == 2
    assert not folder.exists()


# --- the file's side of the key ------------------------------------------------------------------------------------


def rewrite_in_place(clip: Path, data: bytes) -> None:
    """Same inode, same size, same modification time; another time of change, however coarse the clock is."""
    before = after = clip.stat()
    while after.st_ctime_ns == before.st_ctime_ns:
        with clip.open("r+b") as file:
            file.write(data)
        os.utime(clip, ns=(before.st_atime_ns, before.st_mtime_ns))
        after = clip.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (before.st_size, before.st_mtime_ns, before.st_ino)


def test_rewritten_file_of_same_size_in_the_same_second_is_noticed(folder, clip):
    store(folder, clip)
    clip.write_bytes(b"other sound")
    assert look_up(folder, clip) is None


def test_rewritten_file_with_its_time_set_back_is_noticed(folder, clip):
    store(folder, clip)
    rewrite_in_place(clip, b"other sound")
    assert look_up(folder, clip) is None


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps no time of change")
def test_rewritten_file_that_was_trusted_is_noticed_by_its_time_of_change(folder, clip, trusting, hashed):
    store(folder, clip)
    rewrite_in_place(clip, b"other sound")
    assert look_up(folder, clip) is None
    assert hashed == ["clip.wav"] * 2


def test_replaced_file_is_noticed(folder, clip, tmp_path, trusting):
    store(folder, clip)
    write(tmp_path / "new", b"other sound").replace(clip)
    assert look_up(folder, clip) is None


def test_old_file_is_hashed_once_for_all_runs(folder, clip, trusting, hashed):
    store(folder, clip)
    assert look_up(folder, clip) is not None
    assert look_up(folder, clip, RECIPE | {"code": "new"}) is None
    assert hashed == ["clip.wav"]


def test_file_too_young_to_tell_is_hashed_each_time(folder, clip, hashed):
    store(folder, clip)
    look_up(folder, clip)
    assert len(hashed) >= 3  # lookup, store, second lookup


def test_file_of_a_coarse_clock_is_hashed_each_time(folder, clip, trusting, hashed, monkeypatch):
    # the memory cards of two recorders may have equal names, sizes, whole-second times and inodes
    real = fileindex._identity
    monkeypatch.setattr(
        fileindex,
        "_identity",
        lambda s: real(s)._replace(mtime_ns=1_700_000_000 * 10**9, ctime_ns=1_700_000_000 * 10**9, inode=7),
    )
    store(folder, clip)
    clip.write_bytes(b"other sound")
    assert look_up(folder, clip) is None


def test_verify_content_hashes_even_what_is_known(folder, clip, trusting, hashed):
    store(folder, clip)
    hashed.clear()
    with Cache(folder, verify="content") as cache:
        assert cache.recipe_cache(RECIPE).get(clip) is not None
    assert hashed == ["clip.wav"]


@pytest.mark.parametrize("trusted", [True, False])
def test_file_rewritten_while_it_was_decoded_is_not_stored(folder, clip, trusted, request):
    if trusted:
        request.getfixturevalue("trusting")
    with Cache(folder) as cache:
        recipe_cache = cache.recipe_cache(RECIPE)
        recipe_cache.get(clip)
        rewrite_in_place(clip, b"other sound")
        recipe_cache.put(clip, X)
        assert recipe_cache.get(clip) is None
    rewrite_in_place(clip, b"first sound")
    assert look_up(folder, clip) is None


def test_put_without_a_miss_stores_nothing(folder, clip):
    with Cache(folder) as cache:
        cache.recipe_cache(RECIPE).put(clip, X)
    assert look_up(folder, clip) is None


@pytest.mark.parametrize(
    "damage", [b"", b"audiofw files 1\n", b"x" * 100, None], ids=["empty", "short", "foreign", "flipped"]
)
def test_damaged_index_only_costs_hashing(folder, clip, trusting, hashed, damage):
    store(folder, clip)
    index = folder / cache_folder.INDEX
    good = index.read_bytes()
    index.write_bytes(good[:20] + bytes([good[20] ^ 1]) + good[21:] if damage is None else damage)
    hashed.clear()
    assert look_up(folder, clip) is not None
    assert hashed == ["clip.wav"]
    assert index.read_bytes() == good


def test_index_keeps_what_two_runs_learnt(folder, tmp_path, trusting, hashed):
    clips = [write(tmp_path / f"{i}.wav", b"sound %d" % i) for i in range(2)]
    runs = [Cache(folder), Cache(folder)]
    for run, clip in zip(runs, clips, strict=True):
        run.recipe_cache(RECIPE).get(clip)
    for run in runs:
        run.close()
    hashed.clear()
    assert [look_up(folder, clip) for clip in clips] == [None, None]
    assert hashed == []


def test_index_of_many_files_knows_each(folder, tmp_path, trusting, hashed):
    clips = [write(tmp_path / f"{i}.wav", b"sound %d" % i) for i in range(60)]
    for part in (clips[:30], clips[20:]):
        with Cache(folder) as cache:
            for clip in part:
                cache.recipe_cache(RECIPE).get(clip)
    assert sorted(hashed) == sorted(clip.name for clip in clips)
    assert len(fileindex._load(folder / cache_folder.INDEX)) == 60


def test_index_notes_the_day_of_last_use(folder, clip, trusting, hashed, monkeypatch):
    for day in (100, 101):
        monkeypatch.setattr(fileindex, "_today", lambda day=day: day)
        look_up(folder, clip)
    assert fileindex._load(folder / cache_folder.INDEX)["day"].tolist() == [101]
    assert hashed == ["clip.wav"]


def test_index_is_bounded(folder, tmp_path, trusting, monkeypatch):
    monkeypatch.setattr(fileindex, "LIMIT", 3)
    clips = [write(tmp_path / f"{i}.wav", b"sound %d" % i) for i in range(5)]
    with Cache(folder) as cache:
        for clip in clips:
            cache.recipe_cache(RECIPE).get(clip)
    assert len(fileindex._load(folder / cache_folder.INDEX)) == 3


# --- damage --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 1, 5, 9, 10, 15, 16, 64, 127, 128, 129, 175, 176, 177, 191, -1])
def test_truncated_entry_is_dropped_and_made_again(folder, clip, length, caplog):
    store(folder, clip)
    entry = entry_of(folder)
    entry.write_bytes(entry.read_bytes()[:length])
    store(folder, clip, 2 * X)
    np.testing.assert_array_equal(look_up(folder, clip), 2 * X)
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_any_flipped_byte_is_noticed(folder, clip):
    good = bytearray(seal(X, b"key"))
    for i in range(len(good)):
        bad = good.copy()
        bad[i] ^= 1
        with pytest.raises(Damaged):
            unseal(bad, b"key")
    np.testing.assert_array_equal(unseal(good, b"key"), X)


def test_flipped_byte_in_the_store_is_dropped_and_made_again(folder, clip):
    store(folder, clip)
    entry = entry_of(folder)
    data = bytearray(entry.read_bytes())
    data[140] ^= 4
    entry.write_bytes(data)
    assert look_up(folder, clip) is None
    assert not entry.exists()


def test_intact_entry_of_another_file_or_recipe_is_noticed(folder, clip, tmp_path):
    store(folder, clip)
    other = write(tmp_path / "other.wav", b"other sound")
    mine = entry_of(folder)
    store(folder, other, 2 * X)
    (theirs,) = {Path(stored.path) for stored in cache_folder.all_entries(folder)} - {mine}
    mine.write_bytes(theirs.read_bytes())
    assert look_up(folder, clip) is None
    store(folder, clip)
    store(folder, clip, 3 * X, {"another": "recipe"})
    foreign = folder / recipe_digest({"another": "recipe"}) / mine.parent.name / mine.name
    foreign.write_bytes(mine.read_bytes())
    assert look_up(folder, clip, {"another": "recipe"}) is None


def test_entry_that_numpy_alone_has_saved_is_noticed(folder, clip):
    store(folder, clip)
    np.save(entry_of(folder), 2 * X)
    assert look_up(folder, clip) is None


def test_many_damaged_entries_make_one_line(folder, tmp_path, caplog):
    clips = [write(tmp_path / f"{i}.wav", b"sound %d" % i) for i in range(5)]
    for clip in clips:
        store(folder, clip)
    for stored in cache_folder.all_entries(folder):
        write(Path(stored.path), b"")
    with Cache(folder) as cache:
        recipe_cache = cache.recipe_cache(RECIPE)
        assert [recipe_cache.get(clip) for clip in clips] == [None] * 5
    assert len(caplog.records) == 1


# --- no space, no permission ---------------------------------------------------------------------------------------


def go_on_without(folder: Path, clips: list[Path]) -> None:
    """A run whose only problem is its cache."""
    with Cache(folder, max_gb=1) as cache:
        recipe_cache = cache.recipe_cache(RECIPE)
        for clip in clips:
            assert recipe_cache.get(clip) is None
            recipe_cache.put(clip, X)


def fail_with(number: int) -> Callable[..., int]:
    def fail(*args: object, **more: object) -> int:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("call", ["write", "replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_full_or_forbidden_disk_costs_one_line(folder, tmp_path, monkeypatch, caplog, call, number):
    clips = [write(tmp_path / f"{i}.wav", b"sound %d" % i) for i in range(3)]
    with monkeypatch.context() as patched:
        patched.setattr(f"audiofw.system.atomic.os.{call}", fail_with(number))
        go_on_without(folder, clips)
    (record,) = caplog.records
    assert (record.levelname, os.strerror(number) in record.getMessage()) == ("WARNING", True)
    assert not list(folder.rglob("*.tmp"))
    assert not list(folder.rglob("*.npy"))


def test_disk_that_fills_in_the_middle_of_an_entry_leaves_no_part(folder, clip, monkeypatch, caplog):
    real, calls = os.write, []

    def fill(handle: int, data: bytes) -> int:
        calls.append(len(data))
        if len(calls) > 3:  # the tag, the recipe and half an entry were written
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle, data[: len(data) // 2] if len(calls) == 3 else data)

    with monkeypatch.context() as patched:
        patched.setattr("audiofw.system.atomic.os.write", fill)
        go_on_without(folder, [clip])
    assert len(caplog.records) == 1
    assert not [*folder.rglob("*.tmp"), *folder.rglob("*.npy")]
    assert look_up(folder, clip) is None


def test_cache_whose_place_is_a_file_costs_one_line(tmp_path, clip, caplog):
    go_on_without(write(tmp_path / "file", b"") / "features", [clip])
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_cache_is_still_read(folder, clip, tmp_path, caplog):
    store(folder, clip)
    other = write(tmp_path / "other.wav", b"other sound")
    parts = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    for part in parts:
        part.chmod(0o500)
    try:
        go_on_without(folder, [other])
        assert look_up(folder, clip) is not None
    finally:
        for part in parts:
            part.chmod(0o700)
    assert [record.levelname for record in caplog.records][:1] == ["WARNING"]


def test_store_that_stopped_is_still_read(folder, clip, tmp_path, caplog):
    store(folder, clip)
    with Cache(folder) as cache:
        cache.stop(OSError(errno.EROFS, "Read-only file system"))
        assert cache.recipe_cache(RECIPE).get(clip) is not None
    assert len(caplog.records) == 1


def test_folder_cleared_under_a_running_run_is_made_again(folder, tmp_path, caplog):
    clips = [write(tmp_path / f"{i}.wav", b"sound %d" % i) for i in range(2)]
    with Cache(folder) as cache:
        recipe_cache = cache.recipe_cache(RECIPE)
        for clip in clips:
            recipe_cache.get(clip)
            recipe_cache.put(clip, X)
            if clip == clips[0]:
                cache_folder.clear_folder(folder)
                assert not folder.exists()
    assert look_up(folder, clips[1]) is not None
    assert cache_folder.read_recipe(folder / recipe_digest(RECIPE)) == RECIPE
    assert cache_folder.is_marked(folder)
    assert not caplog.records


# --- room ----------------------------------------------------------------------------------------------------------


def fill(folder: Path, tmp_path: Path, count: int) -> list[Path]:
    """Store entries of one block each; entry i was last used count - i days ago."""
    clips = [write(tmp_path / f"{i}.wav", b"sound %d" % i) for i in range(count)]
    for i, clip in enumerate(clips):
        before = {stored.path for stored in cache_folder.all_entries(folder)}
        store(folder, clip)
        (new,) = {stored.path for stored in cache_folder.all_entries(folder)} - before
        set_used(Path(new), count - i)
    return clips


def test_least_recently_used_go_first(folder, tmp_path):
    clips = fill(folder, tmp_path, 6)
    look_up(folder, clips[0])  # used again
    with Cache(folder, max_gb=4 * 4096 / 1e9):
        pass
    kept = [look_up(folder, clip) is not None for clip in clips]
    assert kept == [True, False, False, False, True, True]


def test_nothing_goes_while_there_is_room(folder, tmp_path):
    clips = fill(folder, tmp_path, 3)
    with Cache(folder, max_gb=3 * 4096 / 1e9):
        pass
    assert all(look_up(folder, clip) is not None for clip in clips)


def test_room_is_made_for_what_was_stored_since_the_last_count(folder, tmp_path):
    for i in range(9):
        clip = write(tmp_path / f"{i}.wav", b"sound %d" % i)
        with Cache(folder, max_gb=4 * 4096 / 1e9) as cache:
            recipe_cache = cache.recipe_cache(RECIPE)
            recipe_cache.get(clip)
            recipe_cache.put(clip, X)
        assert len(list(cache_folder.all_entries(folder))) <= 4


def test_files_are_not_counted_while_the_limit_is_far(folder, tmp_path, monkeypatch):
    fill(folder, tmp_path, 2)
    with Cache(folder, max_gb=1):
        pass
    monkeypatch.setattr(cache_folder, "all_entries", fail_with(errno.EIO))
    with Cache(folder, max_gb=1) as cache:
        recipe_cache = cache.recipe_cache(RECIPE)
        clip = write(tmp_path / "new.wav", b"new")
        recipe_cache.get(clip)
        recipe_cache.put(clip, X)
    assert cache.writable


def test_reading_marks_an_entry_as_used_at_most_once_an_hour(folder, clip):
    store(folder, clip)
    entry = entry_of(folder)
    set_used(entry, 1 / 48)  # half an hour
    before = entry.stat().st_mtime_ns
    look_up(folder, clip)
    assert entry.stat().st_mtime_ns == before
    set_used(entry, 1)
    before = entry.stat().st_mtime_ns
    look_up(folder, clip)
    assert entry.stat().st_mtime_ns > before


def test_unused_recipe_goes_with_its_last_vector(folder, tmp_path):
    fill(folder, tmp_path, 4)
    assert cache_folder.remove_unused_entries(folder, time.time() - 2.5 * DAY) == (2, 2 * 4096, [])
    assert cache_folder.remove_unused_entries(folder, time.time()).files == 2
    cache_folder.remove_leftovers(folder)
    assert cache_folder.recipe_folders(folder) == []


# --- leftovers -----------------------------------------------------------------------------------------------------


@pytest.fixture
def dead_pid() -> int:
    child = subprocess.Popen([sys.executable, "-S", "-c", ""])
    child.wait()
    return child.pid


def leave(folder: Path, pid: int, age: float = 0) -> Path:
    """The file left by a writer that was killed between writing and renaming."""
    from audiofw.system import atomic

    folder.mkdir(parents=True, exist_ok=True)
    left = write(folder / f".entry.npy.{atomic._host()}-{pid}-00112233.tmp", b"part")
    os.utime(left, (time.time() - age,) * 2)
    return left


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot ask for a process")
def test_temporary_of_a_dead_writer_is_removed(folder, clip, dead_pid):
    store(folder, clip)
    lefts = [leave(place, dead_pid) for place in (folder, folder / recipe_digest(RECIPE), entry_of(folder).parent)]
    assert cache_folder.remove_leftovers(folder).files == 3
    assert not any(left.exists() for left in lefts)
    assert look_up(folder, clip) is not None


def test_temporary_of_a_living_writer_stays_until_it_is_too_old(folder):
    young, old = leave(folder, os.getpid()), leave(folder, os.getppid(), age=2 * 3600)
    cache_folder.remove_leftovers(folder)
    assert (young.exists(), old.exists()) == (True, False)


def test_temporary_of_another_machine_stays_until_it_is_too_old(dead_pid):
    name = f".entry.npy.00000000-{dead_pid}-00112233.tmp"
    assert (is_abandoned(name, 60), is_abandoned(name, 2 * 3600)) == (False, True)


def test_only_names_that_writing_makes_are_temporaries(tmp_path, monkeypatch):
    names: list[str] = []
    monkeypatch.setattr("audiofw.system.atomic.os.replace", lambda old, new: names.append(Path(old).name))
    write_whole(tmp_path / "clip.npy", b"data")
    assert is_temporary(names[0])
    assert not any(map(is_temporary, ["clip.npy", ".hidden.tmp", "notes.tmp", ".x.0011223-4-55667788.tmp"]))


def test_temporary_removed_under_its_writer_costs_nothing(folder, clip, monkeypatch):
    real, hurried = os.replace, []

    def lose_once(old: str, new: str) -> None:
        if str(new).endswith(".npy") and not hurried:
            hurried.append(old)
            Path(old).unlink()
        real(old, new)

    monkeypatch.setattr("audiofw.system.atomic.os.replace", lose_once)
    store(folder, clip)
    assert hurried
    assert look_up(folder, clip) is not None


# --- many at once --------------------------------------------------------------------------------------------------


def test_threads_share_a_shelf(folder, tmp_path):
    clips = [write(tmp_path / f"{i}.wav", b"sound %d" % i) for i in range(40)]

    def work(recipe_cache: RecipeCache, i: int) -> bool:
        found = recipe_cache.get(clips[i % 40])
        if found is None:
            recipe_cache.put(clips[i % 40], X + i % 40)
        return found is None or bool((found == X + i % 40).all())

    with Cache(folder) as cache, ThreadPoolExecutor(16) as threads:
        recipe_cache = cache.recipe_cache(RECIPE)
        assert all(threads.map(lambda i: work(recipe_cache, i), range(400)))
        assert all((recipe_cache.get(clip) == X + i).all() for i, clip in enumerate(clips))


NURSERY = """
import logging, os, random, signal, sys
from pathlib import Path
import numpy as np
from audiofw.cache import folder as cache_folder
from audiofw.cache import store as cache_store
from audiofw.cache.store import Cache

folder, sounds = Path(sys.argv[1]), sorted(Path(sys.argv[2]).iterdir())

def vector(sound):
    return np.full(500, int(sound.stem), np.float32)

class Alarm(logging.Handler):
    def emit(self, record):  # damage, or a store that gave up
        os.write(2, (record.getMessage() + "\\n").encode())
        os._exit(5)

def write_forever(rng):
    while True:
        with Cache(folder, max_gb=rng.choice([None, 12 * 4096 / 1e9])) as cache:
            recipe_cache = cache.recipe_cache({"n": rng.randrange(2)})
            for sound in rng.sample(sounds, len(sounds)):
                found = recipe_cache.get(sound)
                if found is None:
                    recipe_cache.put(sound, vector(sound))
                elif not np.array_equal(found, vector(sound)):
                    os._exit(3)
                os.write(done, b".")
        if rng.random() < 0.2:
            cache_folder.remove_leftovers(folder)

def raise_writer(seed):
    pid = os.fork()
    if pid:
        return pid
    try:
        os.nice(15)  # the killer must get its turn
        write_forever(random.Random(seed))
    finally:
        os._exit(4)

logging.getLogger("audiofw").addHandler(Alarm(logging.WARNING))
rng = random.Random(0)
finished, done = os.pipe()
for round in range(int(sys.argv[3])):
    writers = [raise_writer(rng.random()) for _ in range(20)]
    for _ in range(rng.randrange(100)):  # what they do is counted: they are killed amid the work, at no set time
        os.read(finished, 1)
    for pid in rng.sample(writers, 20):
        os.kill(pid, signal.SIGKILL)
    for pid in writers:
        _, status = os.waitpid(pid, 0)
        if not os.WIFSIGNALED(status):
            sys.exit(f"a writer ended by itself: {os.waitstatus_to_exitcode(status)}")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_twenty_writers_killed_again_and_again_leave_nothing_wrong(folder, tmp_path, caplog):
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    clips = [write(sounds / f"{i:02}.wav", random.Random(i).randbytes(200)) for i in range(12)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"}
    rounds = os.environ.get("AUDIOFW_FUZZ", "20")
    nursery = [sys.executable, "-c", NURSERY, str(folder), str(sounds), rounds]
    ended = subprocess.run(nursery, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")

    assert list(cache_folder.all_entries(folder)), "the writers must have had the time to store something"
    with caplog.at_level(logging.DEBUG), Cache(folder) as cache:
        for n in range(2):
            recipe_cache = cache.recipe_cache({"n": n})
            found = [recipe_cache.get(clip) for clip in clips]
            assert all(row is None or (row.shape == (500,) and (row == i).all()) for i, row in enumerate(found))
    assert not caplog.records, "no entry nor index may be damaged"
    cache_folder.remove_leftovers(folder)
    assert not list(folder.rglob("*.tmp"))


def test_a_file_is_hashed_once_for_all_its_parts_and_again_when_it_changes(tmp_path, monkeypatch):
    hashed, hash_file = [], fileindex.hash_file
    monkeypatch.setattr(fileindex, "hash_file", lambda path: hashed.append(path) or hash_file(path))
    sound = tmp_path / "long.wav"
    sound.write_bytes(b"a" * 1000)  # so new that its time stamp says nothing
    with Cache(tmp_path / "cache") as cache:
        rows = cache.recipe_cache({"recipe": 1})
        for part in ("0-1", "1-2", "2-3"):
            assert rows.get(sound, part) is None
            rows.put(sound, np.full(3, float(part[0])), part)
        assert rows.get(sound, "1-2").tolist() == [1, 1, 1]
        assert len(hashed) == 1
        sound.write_bytes(b"b" * 1001)
        assert rows.get(sound, "1-2") is None
        assert len(hashed) == 2
