"""The audit of stretches: those of one recording overlap by nature, those of two recordings are a leak."""

import numpy as np
import pytest
import soundfile

from audiofw.audio.stretch import stretch_name
from audiofw.audit.findings import find_duplicates, source_overlap
from audiofw.audit.probe import probe
from audiofw.data.dataset import Clip

SR = 16000
HALVES = [(np.arange(10), np.arange(10, 20))]


@pytest.fixture
def recorded(tmp_path):
    """Make overlapping stretches of a recording of noise bursts."""

    def make(name: str, seed: int, label: str = "a") -> list[Clip]:
        rng = np.random.default_rng(seed)
        y = rng.standard_normal(12 * SR) * np.repeat(rng.uniform(0.01, 0.2, 120), SR // 10)
        soundfile.write(tmp_path / name, y, SR)
        times = [(float(i), i + 3.0) for i in range(9)]
        return [
            Clip(tmp_path / name, stretch_name(name, *each), label, group=name, start=each[0], end=each[1])
            for each in times
        ]

    return make


def found(clips):
    return find_duplicates(clips, [probe(clip.stretch) for clip in clips])


def test_overlapping_stretches_of_one_recording_are_no_duplicates(recorded):
    assert found([*recorded("one.wav", 1), *recorded("two.wav", 2, "b")]) == []


def test_stretches_of_a_copied_recording_are(recorded):
    (finding,) = found([*recorded("one.wav", 1), *recorded("again.wav", 1)])
    assert finding.kind == "identical"
    assert len(finding.sets) == 9
    assert "e.g. one.wav@0-3 and again.wav@0-3" in finding.message


def test_one_stretch_with_two_labels_is_a_contradiction(recorded):
    first, *_ = recorded("one.wav", 1)
    kinds = {finding.kind for finding in found([first, first._replace(name=f"{first.name}#2", label="b")])}
    assert "contradiction" in kinds


def test_a_probe_of_a_stretch_is_of_those_seconds(recorded):
    (clip, *_) = recorded("one.wav", 1)
    assert probe(clip.stretch).properties.duration == 3.0
    assert probe(clip.path).properties.duration == 12.0


def stretches(*recordings: str) -> list[Clip]:
    return [
        Clip(None, f"{name}@{i}-{i + 1}", "a", group=name, start=float(i), end=i + 1.0)
        for name in recordings
        for i in range(5)
    ]


def test_recordings_of_one_source_on_both_sides_are_found_by_their_names():
    clips = stretches("2-122104-A.wav", "3-144028-A.wav", "2-122104-B.wav", "3-144028-B.wav")
    (finding,) = source_overlap(clips, HALVES)
    assert "2 sources, identified by file name" in finding.message


def test_recordings_on_one_side_each_are_no_finding():
    assert source_overlap(stretches("dawn.wav", "noon.wav", "dusk.wav", "night.wav"), HALVES) == []


def test_a_recording_on_both_sides_is_found():
    (finding,) = source_overlap(
        stretches("dawn.wav", "noon.wav", "dusk.wav", "night.wav"), [(np.arange(7), np.arange(7, 20))]
    )
    assert finding.sets == ((5, 6, 7, 8, 9),)
