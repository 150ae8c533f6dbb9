"""The demo data set: reproducible, varied, and neither trivial nor impossible to classify."""

from __future__ import annotations

import hashlib
import io
import wave
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from audiofw.audit.findings import find_shortcuts
from audiofw.audit.probe import probe
from audiofw.data import demo
from audiofw.data.dataset import Dataset, find_clips
from audiofw.data.demo import SAMPLE_RATE, demo_archive


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return demo_archive(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def found(archive: Path) -> Dataset:
    return find_clips("demo", pattern=r"(?P<group>\w+/\d+)-", cache_dir=archive.parent)


def sound_of(content: bytes) -> np.ndarray:
    with wave.open(io.BytesIO(content)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, SAMPLE_RATE)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768


def sounds(archive: Path) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(archive) as opened:
        return {name: sound_of(opened.read(name)) for name in opened.namelist()}


def test_demo_has_forty_clips_of_each_class_two_of_each_source(found: Dataset):
    assert Counter(clip.label for clip in found.clips) == dict.fromkeys(["chirping", "engine", "knocking", "siren"], 40)
    assert set(Counter(clip.group for clip in found.clips).values()) == {2}
    assert found.passed_over == {}


def test_demo_is_made_once(archive: Path, monkeypatch):
    monkeypatch.setattr(demo, "_write_zip", lambda _: pytest.fail("made again"))
    assert demo_archive(archive.parent) == archive


def test_demo_is_the_same_byte_for_byte(archive: Path, tmp_path: Path):
    again = demo_archive(tmp_path / "new")
    assert hashlib.sha1(again.read_bytes()).digest() == hashlib.sha1(archive.read_bytes()).digest()
    assert list(again.parent.iterdir()) == [again]


def test_changed_recipe_makes_a_new_archive(archive: Path, monkeypatch):
    monkeypatch.setattr(demo, "VERSION", demo.VERSION + 1)
    monkeypatch.setattr(demo, "_sounds", lambda: iter([("x/1.wav", np.zeros(10))]))
    new = demo_archive(archive.parent)
    assert new != archive
    assert list(sounds(new)) == ["x/1.wav"]
    new.unlink()


def test_interrupted_making_leaves_nothing(tmp_path: Path, monkeypatch):
    def interrupted():
        yield "x/1.wav", np.zeros(10)
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "_sounds", interrupted)
    with pytest.raises(KeyboardInterrupt):
        demo_archive(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_lengths_and_levels_vary_and_nothing_clips(archive: Path):
    made = list(sounds(archive).values())
    seconds = np.array([len(y) / SAMPLE_RATE for y in made])
    peaks = np.array([np.abs(y).max() for y in made])
    assert seconds.min() >= 0.39
    assert seconds.max() <= 4.0
    assert np.ptp(seconds) > 3
    assert 0.05 < peaks.min() < 0.1 < 0.7 < peaks.max() < 0.95
    assert all(np.isfinite(y).all() for y in made)


def test_takes_differ(archive: Path):
    made = sounds(archive)
    assert len({y.tobytes() for y in made.values()}) == len(made) == 160


def test_no_property_of_the_recording_alone_predicts_the_class(found: Dataset):
    assert find_shortcuts([probe(clip.path) for clip in found.clips], [clip.label for clip in found.clips]) == []


def profile(path: Path) -> np.ndarray:
    """Level and its change over time in 24 spectral bands."""
    y = sound_of(path.read_bytes())
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(y, 512), 1024)[::512] * np.hanning(1024)
    power = np.abs(np.fft.rfft(frames)) ** 2
    edges = np.unique(np.geomspace(2, 512, 25).astype(int))
    bands = 10 * np.log10(np.add.reduceat(power, edges[:-1], axis=1) + 1e-9)
    bands -= bands.max()
    return np.concatenate([bands.mean(0), bands.std(0), np.abs(np.diff(bands, axis=0)).mean(0)])


def test_demo_is_neither_trivial_nor_hopeless(found: Dataset):
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import GroupKFold, cross_val_score

    X = np.array([profile(clip.path) for clip in found.clips])
    y, groups = zip(*[(clip.label, clip.group) for clip in found.clips], strict=True)
    model = RandomForestClassifier(100, random_state=0)
    accuracy = cross_val_score(model, X, y, groups=groups, cv=GroupKFold(4)).mean()
    assert 0.65 < accuracy < 0.97
