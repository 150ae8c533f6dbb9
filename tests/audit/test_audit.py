"""The audit finds planted copies, shared sources and shortcuts, and reports nothing for clean data."""

from __future__ import annotations

import operator
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiofw.audio.load import resample
from audiofw.audio.segments import Segments
from audiofw.audio.stretch import Stretch
from audiofw.audit import findings
from audiofw.audit import fingerprint as fingerprints
from audiofw.audit.findings import _connected, audit, find_duplicates, refuse, source_overlap
from audiofw.audit.fingerprint import fingerprint, near_pairs, same_waveform
from audiofw.audit.leakage import effect, leaked
from audiofw.audit.probe import Probe, Probes, Properties, UsedPart, from_vector, probe, to_vector
from audiofw.audit.run import with_effects
from audiofw.audit.shortcuts import shortcuts
from audiofw.data.dataset import Clip, find_clips
from audiofw.data.provenance import evident_groups
from audiofw.errors import DataError

SR = 22050
N_CLIPS = 24


def sound(seed: int, seconds: float = 2.0, sr: int = SR) -> np.ndarray:
    """A voice of gliding harmonics with noise: different for each seed, from the same distribution."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * sr)) / sr
    pitch = 150 + 100 * rng.random() + 60 * np.sin(2 * np.pi * rng.uniform(0.5, 3) * t + rng.uniform(0, 6))
    phase = 2 * np.pi * np.cumsum(pitch) / sr
    voice = sum(rng.uniform(0.2, 1) * np.sin(k * phase) / k for k in range(1, 20))
    beat = 0.3 + np.abs(np.sin(2 * np.pi * rng.uniform(1, 4) * t + rng.uniform(0, 6)))
    return (0.08 * beat * voice + 0.02 * rng.standard_normal(len(t))).astype(np.float32)


def rain(seed: int, seconds: float = 2.0, sr: int = SR) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(int(seconds * sr))).astype(np.float32)


def write(path: Path, y: np.ndarray, sr: int = SR) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    kinds = {".mp3": "MPEG_LAYER_III", ".ogg": "VORBIS"}
    soundfile.write(path, y, sr, subtype=kinds.get(path.suffix, "PCM_16"))
    return path


def clip_of(path: Path, label: str, group: str | None = None) -> Clip:
    return Clip(path, f"{label}/{path.name}", label, group)


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> tuple[list[Clip], list[Probe]]:
    """Clips of two classes that differ in nothing but their sound."""
    folder = tmp_path_factory.mktemp("clean")
    clips = [clip_of(write(folder / f"{i}.wav", sound(i)), "ab"[i % 2]) for i in range(N_CLIPS)]
    return clips, [probe(clip.path) for clip in clips]


def halves(n: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Two folds: even and odd positions."""
    even, odd = np.arange(0, n, 2), np.arange(1, n, 2)
    return [(even, odd), (odd, even)]


def with_copies(clean, *paths: Path, label: str = "b") -> tuple[list[Clip], list[Probe]]:
    clips, probes = clean
    return [*clips, *(clip_of(path, label) for path in paths)], [*probes, *map(probe, paths)]


def equal_copy(clean, folder: Path) -> Path:
    """The first clean clip as a flac file."""
    return write(folder / "copy.flac", soundfile.read(clean[0][0].path)[0])


# --- clean data -------------------------------------------------------------------------------------------


def test_clean_data_gives_no_finding(clean):
    assert audit(*clean, halves(N_CLIPS)) == []
    assert audit(*clean) == []


def test_nothing_to_audit_gives_no_finding():
    assert audit([], []) == []


@pytest.mark.parametrize("seconds", [0.2, 0.5, 4.0])
@pytest.mark.parametrize("make", [rain, sound])
def test_different_sounds_of_one_kind_do_not_match(make, seconds):
    assert near_pairs([fingerprint(make(seed, seconds), SR) for seed in range(40)]) == []


def test_silence_and_hum_have_nothing_to_match():
    hum = np.sin(2 * np.pi * 100 * np.arange(SR) / SR).astype(np.float32)
    quiet = np.zeros(SR, np.float32)
    assert near_pairs([fingerprint(y, SR) for y in (quiet, quiet, hum, 0.3 * hum, hum[:-200])]) == []


@pytest.mark.parametrize("n", [0, 1, 1000, 2000])
def test_sound_too_short_for_a_fingerprint_has_no_frame(n):
    assert fingerprint(np.ones(n, np.float32), SR).shape == (2, 0)


# --- copies -----------------------------------------------------------------------------------------------

COPIES = {
    "gain.wav": lambda y: y / 2,
    "coded.mp3": lambda y: y,
    "coded.ogg": lambda y: y,
    "cut.wav": lambda y: y[SR // 10 :],
    "late.wav": lambda y: np.concatenate([np.zeros(SR // 10, np.float32), y]),
    "all.mp3": lambda y: np.concatenate([np.zeros(SR // 10, np.float32), y / 2]),
}


@pytest.mark.parametrize("name", COPIES)
@pytest.mark.parametrize("make", [sound, rain])
def test_a_planted_copy_is_found_and_nothing_else(clean, tmp_path, make, name):
    original = write(tmp_path / "original.wav", make(99))
    clips, probes = with_copies(clean, original, write(tmp_path / name, COPIES[name](make(99))))
    (found,) = find_duplicates(clips, probes, halves(len(clips)))
    assert (found.kind, found.severity) == ("near-duplicate", "warning")
    assert found.files == ("b/original.wav", f"b/{name}")
    assert found.sets == ((N_CLIPS, N_CLIPS + 1),)
    assert "data.skip" in found.remedy


def test_a_planted_copy_of_a_short_clip_is_found(clean, tmp_path):
    paths = [write(tmp_path / name, sound(70, 0.4)) for name in ("short.wav", "short.ogg")]
    (found,) = find_duplicates(*with_copies(clean, *paths))
    assert found.files == ("b/short.wav", "b/short.ogg")


def test_a_clip_is_found_in_a_longer_one_with_its_place():
    y = sound(3, 4)
    (match,) = near_pairs([fingerprint(y, SR), fingerprint(y[SR:], SR)])
    assert match.shift == pytest.approx(-1, abs=0.02)
    assert match.score > 0.9


def test_a_copy_at_another_rate_matches():
    import soxr

    y = sound(5)
    assert near_pairs([fingerprint(y, SR), fingerprint(soxr.resample(y, SR, 44100), 44100)])


def test_probes_of_many_clips_are_those_of_each(clean):
    given = [*clean[1][:3], None, clean[1][3]]
    probes = Probes(one and to_vector(one) for one in given)
    assert len(probes) == len(list(probes)) == 5
    for one, other in zip([probes[-1], *probes[:-1]], [given[-1], *given[:-1]], strict=True):
        assert (one and one[:-1]) == (other and other[:-1])
        assert one is None or np.array_equal(one.prints, other.prints)
    with pytest.raises(IndexError):
        operator.getitem(probes, 5)


def test_many_copies_of_one_sound_are_one_set(clean, tmp_path):
    copies = [write(tmp_path / f"{k}.wav", sound(50) * (1 - k / 20)) for k in range(12)]
    (found,) = find_duplicates(*with_copies(clean, *copies))
    assert found.sets == (tuple(range(N_CLIPS, N_CLIPS + 12)),)


@pytest.fixture(scope="module")
def copied_prints():
    """Fingerprints of twenty copies each of three sounds in noise, in turn."""
    rng, sounds = np.random.default_rng(0), [sound(seed, 1.0) for seed in range(3)]
    noise = rng.standard_normal((60, SR), dtype=np.float32)
    return [fingerprint(sounds[k % 3] + np.float32(0.002) * noise[k], SR) for k in range(60)]


def joined_by(matches):
    return {frozenset(places) for places in _connected([(match.a, match.b) for match in matches], 60)}


def test_copies_are_compared_only_until_they_are_connected(copied_prints):
    asked = []
    matches = near_pairs(copied_prints, lambda match: asked.append(match) or True)
    assert joined_by(matches) == {frozenset(range(k, 60, 3)) for k in range(3)}
    assert len(matches) == len(asked) == 57


def test_pairs_that_are_refused_connect_nothing(copied_prints):
    assert near_pairs(copied_prints, lambda match: False) == []
    halves = near_pairs(copied_prints, lambda match: (match.a < 30) == (match.b < 30))
    assert joined_by(halves) == {frozenset(range(k + start, start + 30, 3)) for k in range(3) for start in (0, 30)}


def test_a_search_in_batches_finds_the_same_sets(copied_prints, monkeypatch):
    monkeypatch.setattr(fingerprints, "MOST_AT_ONCE", 500)
    monkeypatch.setattr(fingerprints, "MOST_SORTED", 400)
    assert joined_by(near_pairs(copied_prints, lambda match: True)) == {frozenset(range(k, 60, 3)) for k in range(3)}


def test_equal_audio_in_different_files_is_identical(clean, tmp_path):
    y, _ = soundfile.read(clean[0][0].path)
    copies = [equal_copy(clean, tmp_path), write(tmp_path / "stereo.wav", np.stack([y, y], axis=1))]
    found = {finding.kind: finding for finding in find_duplicates(*with_copies(clean, *copies, label="a"))}
    assert found.keys() == {"identical"}
    assert found["identical"].files == ("a/0.wav", "a/copy.flac", "a/stereo.wav")


def test_copies_on_one_side_of_the_split_are_a_note(clean, tmp_path):
    clips, probes = with_copies(clean, equal_copy(clean, tmp_path), label="a")
    train, test = np.array([0, 1, 2, N_CLIPS]), np.arange(3, N_CLIPS)
    (found,) = find_duplicates(clips, probes, [(train, test)])
    assert found.severity == "note"
    assert "0 test clips" in found.message


def test_copies_with_different_labels_are_a_contradiction(clean, tmp_path):
    clips, probes = with_copies(clean, equal_copy(clean, tmp_path), label="b")
    found = find_duplicates(clips, probes)
    assert [finding.kind for finding in found] == ["contradiction", "identical"]
    assert "a/0.wav (a) and b/copy.flac (b)" in found[0].message


def test_a_clip_without_a_probe_is_passed_over(clean, tmp_path):
    clips, probes = with_copies(clean, equal_copy(clean, tmp_path), label="a")
    assert audit(clips, [*probes[:-1], None]) == []


def test_a_short_copy_that_cannot_be_read_again_costs_its_pair_only(clean, tmp_path):
    paths = [write(tmp_path / name, sound(70, 0.4)) for name in ("short.wav", "short.ogg")]
    clips, probes = with_copies(clean, *paths)

    def gone(sound: Stretch) -> tuple[np.ndarray, int]:
        raise DataError("no such file")

    assert find_duplicates(clips, probes, read=gone) == []


def test_same_waveform_ignores_gain_shift_and_polarity_but_not_another_take():
    y = sound(1, 0.4)
    assert same_waveform((y, SR), (-0.1 * y[500:], SR))
    assert not same_waveform((y, SR), (sound(2, 0.4), SR))
    assert not same_waveform((y, SR), (np.zeros_like(y), SR))


def test_bits_are_counted_alike_by_old_and_new_numpy(monkeypatch):
    words = np.random.default_rng(0).integers(0, 2**32, 100, dtype=np.uint32)
    counts = [bin(word).count("1") for word in words.tolist()]
    assert fingerprints._ones(words).tolist() == counts
    monkeypatch.delattr(np, "bitwise_count", raising=False)
    assert fingerprints._ones(words).tolist() == counts


# --- probes -----------------------------------------------------------------------------------------------


def test_a_probe_survives_storage(clean):
    for one in clean[1][:3]:
        vector = to_vector(one)
        assert vector.dtype == np.float64
        assert np.isfinite(vector).all()
        again = from_vector(vector)
        assert again[:-1] == one[:-1]
        np.testing.assert_array_equal(again.prints, one.prints)


def test_properties_are_those_of_the_file(tmp_path):
    t = np.arange(SR) / SR
    y = np.where(t < 0.5, 0.5 * np.sin(2 * np.pi * 1000 * t), 0).astype(np.float32)
    path = tmp_path / "tone.wav"
    soundfile.write(path, np.stack([y, y], axis=1), SR, subtype="PCM_24")
    found = probe(path).properties
    assert found.duration == 1
    assert found.loudness == pytest.approx(10 * np.log10(0.5**2 / 2 / 2), abs=0.1)
    assert found.silence == pytest.approx(0.5, abs=0.03)
    assert found.rolloff_99 == pytest.approx(1000, abs=40)
    assert (found.sample_rate, found.bit_depth, found.channels) == (SR, 24, 2)
    assert found.file_size == path.stat().st_size


@pytest.mark.parametrize("y", [np.zeros(1), np.ones(1), np.zeros(SR), rain(0, 0.05)], ids=str)
def test_a_probe_of_odd_sound_is_finite(tmp_path, y):
    one = probe(write(tmp_path / "odd.wav", y))
    assert np.isfinite(one.properties).all()
    assert from_vector(to_vector(one)).digest == one.digest


def test_an_unreadable_file_says_why(tmp_path):
    (tmp_path / "no.wav").write_bytes(b"RIFF no sound at all")
    with pytest.raises(DataError):
        probe(tmp_path / "no.wav")


# --- sources ----------------------------------------------------------------------------------------------


def clips_named(*names: str, groups: tuple[str, ...] = ()) -> list[Clip]:
    known = groups or (None,) * len(names)
    return [Clip(Path(name), name, "a", group) for name, group in zip(names, known, strict=True)]


def test_a_group_on_both_sides_is_found():
    clips = clips_named("1.wav", "2.wav", "3.wav", "4.wav", groups=("x", "x", "y", "z"))
    (found,) = source_overlap(clips, halves(4))
    assert found.sets == ((0, 1),)
    assert "split=group_kfold" in found.remedy


def test_a_group_on_one_side_is_silent():
    clips = clips_named("1.wav", "2.wav", "3.wav", "4.wav", groups=("x", "y", "x", "y"))
    assert source_overlap(clips, halves(4)) == []


def test_an_evident_source_on_both_sides_is_found_and_the_pattern_that_it_names_mends_it():
    import re

    names = ["2-122104-A.ogg", "2-122104-B.ogg", "3-4000-A.ogg", "3-4000-B.ogg", "1-5555-A.ogg", "x.ogg"]
    (found,) = source_overlap(clips_named(*names), halves(6))
    assert found.sets == ((0, 1), (2, 3))
    pattern = found.remedy.split("'")[1]
    assert [m and m["group"] for m in (re.search(pattern, name) for name in names)] == [
        "2-122104",
        "2-122104",
        "3-4000",
        "3-4000",
        "1-5555",
        None,
    ]


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        (["1-100032-A-0", "1-100032-B-0", "2-100-A-1", "3-20003-A-1", "3-20003-C-1"], "two tails"),
        (["XC12345_1", "XC12345_2", "XC99999_1", "XC99999_2"], "one tail"),
    ],
)
def test_evident_groups_of_usual_names(names, groups):
    found = evident_groups([f"dog/{name}.wav" for name in names])
    assert found is not None
    assert found[0] == found[1] != found[-1]
    assert len(set(found)) >= 2


@pytest.mark.parametrize(
    "names",
    [
        [f"{digit}_{who}_{i}.wav" for digit in range(10) for who in ("ann", "bob") for i in range(30)],
        [f"dog_{i:04d}.wav" for i in range(50)],
        [f"{i}.wav" for i in range(50)],
        [f"20230501_{i:04d}.wav" for i in range(50)],
        [],
    ],
    ids=["speakers", "counted", "numbers", "one day", "none"],
)
def test_names_without_evident_sources(names):
    assert evident_groups(names) is None


# --- shortcuts --------------------------------------------------------------------------------------------


def made(tmp_path: Path, change) -> tuple[list[Clip], list[Probe]]:
    """Clean clips with a change applied to those of class b."""
    clips = []
    for i in range(N_CLIPS):
        y = sound(i, 1.0)
        path, label = tmp_path / f"{i}.wav", "ab"[i % 2]
        clips.append(clip_of(change(path, y) if label == "b" else write(path, y), label))
    return clips, [probe(clip.path) for clip in clips]


def low_passed(path: Path, y: np.ndarray) -> Path:
    import scipy.signal

    return write(path, scipy.signal.sosfiltfilt(scipy.signal.butter(8, 5000, fs=SR, output="sos"), y))


SHORTCUTS = {
    "bandwidth": low_passed,
    "duration": lambda path, y: write(path, y[: SR // 2]),
    "loudness": lambda path, y: write(path, y / 8),
    "share of silence": lambda path, y: write(path, np.where(np.arange(len(y)) < SR // 2, y, 0)),
    "sample rate": lambda path, y: write(path, y, SR + 1),
    "number of channels": lambda path, y: write(path, np.stack([y, y], axis=1)),
    "bit depth": lambda path, y: write(path.with_suffix(".ogg"), y),
}


@pytest.mark.parametrize("name", SHORTCUTS)
def test_a_planted_shortcut_is_a_warning(tmp_path, name):
    found = {f.message.partition(" alone")[0]: f for f in audit(*made(tmp_path, SHORTCUTS[name]))}
    assert found[name].kind == "shortcut"
    assert found[name].severity == "warning"
    assert found[name].message.endswith("balanced accuracy 100%, chance 50%")
    assert found[name].remedy


@pytest.mark.parametrize(
    ("gain", "least", "most"),
    [(1.0, 0, 0), (4.0, 0.3, 0.9), (1e-3, 0, 0)],
    ids=["as loud as it may be", "too loud", "so quiet that its steps are coarse"],
)
def test_what_stands_at_the_ceiling_is_counted(tmp_path, gain, least, most):
    t = np.arange(22050) / 22050
    y = np.clip(gain * 0.99 * np.sin(2 * np.pi * 440 * t), -0.99, 0.99)
    assert least <= probe(write(tmp_path / "sine.wav", y)).clipped <= most


def test_a_lossy_file_beyond_full_scale_is_clipped(tmp_path):
    y = np.clip(4 * np.sin(2 * np.pi * 440 * np.arange(22050) / 22050), -1, 1)
    assert probe(write(tmp_path / "loud.ogg", y)).clipped > 0.1


def test_a_probe_comes_back_from_the_cache_as_it_was(tmp_path):
    y = np.clip(3 * np.sin(2 * np.pi * 440 * np.arange(22050) / 22050), -0.9, 0.9)
    made_first = probe(write(tmp_path / "sine.wav", y))
    again = from_vector(to_vector(made_first))
    assert again[:-1] == made_first[:-1]
    assert np.array_equal(again.prints, made_first.prints)


def fake(**properties: float) -> Probe:
    made = Properties(*[0.0] * 10)._replace(**properties)
    return Probe("", made, made, 0.0, 0.0, False, np.zeros((2, 0), np.uint32))


def test_shortcuts_are_ranked_and_the_weaker_is_a_note():
    rng = np.random.default_rng(0)
    labels = ["ab"[i % 2] for i in range(200)]
    noise = rng.normal(size=(200, 2)) * [0.7, 0.2]
    found = shortcuts([fake(duration=i % 2 + a, loudness=i % 2 + b) for i, (a, b) in enumerate(noise)], labels)
    assert [(one.name, one.strong) for one in found] == [("loudness", True), ("duration", False)]
    assert [one.chance for one in found] == [0.5, 0.5]
    assert 0.25 <= found[1].strength < 0.5 < found[0].strength


def test_of_several_measures_of_bandwidth_the_best_speaks():
    labels = ["ab"[i % 2] for i in range(40)]
    found = shortcuts([fake(rolloff_95=i % 2, cutoff=i % 2 * (i > 8)) for i in range(40)], labels)
    assert [(one.name, one.accuracy) for one in found] == [("bandwidth", 1.0)]


def test_noise_is_no_shortcut_whatever_the_seed():
    labels = [str(i % 4) for i in range(80)]
    for seed in range(10):
        rng = np.random.default_rng(seed)
        assert shortcuts([fake(duration=rng.random(), loudness=rng.random()) for _ in labels], labels) == []


def test_a_property_of_the_source_is_no_shortcut_to_the_class_when_sources_are_known():
    """Each source has its own duration, which predicts the class for known sources but not for new ones."""
    rng = np.random.default_rng(1)
    sources = [str(i % 20) for i in range(400)]
    labels = ["ab"[i % 2] for i in range(400)]
    own = rng.permutation(20)
    probes = [fake(duration=float(own[i % 20])) for i in range(400)]
    assert [one.name for one in shortcuts(probes, labels)] == ["duration"]
    assert shortcuts(probes, labels, groups=sources) == []


@pytest.mark.parametrize("labels", [[], ["a"] * 30, ["a"] * 26 + ["b"] * 4])
def test_too_few_classes_or_clips_give_no_shortcut(labels):
    assert shortcuts([fake(duration=i) for i in range(len(labels))], labels) == []


# --- effect -----------------------------------------------------------------------------------------------


def test_leaked_clips_are_those_tested_against_a_copy_in_training():
    folds = [(np.array([0, 1, 2]), np.array([3, 4])), (np.array([3, 4, 2]), np.array([0, 1]))]
    assert leaked(((0, 3), (1, 2)), folds, 5).tolist() == [True, True, False, True, False]
    assert not leaked((), folds, 5).any()


def labelled(counts: list[tuple[int, bool, int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Classes, predictions and the mask of leaked clips, of rows: class, leaked, clips, how many of these are right."""
    y = np.concatenate([np.full(n, c) for c, _, n, _ in counts])
    right = np.concatenate([np.arange(n) < k for _, _, n, k in counts])
    mask = np.concatenate([np.full(n, leaked) for _, leaked, n, _ in counts])
    return y, np.where(right, y, y + 1), mask


def test_the_effect_compares_leaked_clips_with_others_of_the_same_classes():
    # the hard class is leaked, an easy one that is not would make "without them" look better
    y, predictions, mask = labelled([(0, True, 40, 38), (0, False, 40, 20), (5, False, 100, 100)])
    said = effect(y, predictions, mask)
    assert said is not None
    assert said.startswith(
        "accuracy 95.0% on 40 of these clips, 50.0% on others of the same classes: +45 points (95% interval "
    )
    low, high = map(int, re.findall(r"[+-]\d+", said)[1:])
    assert 25 <= low < 45 < high <= 65


def test_the_effect_weights_classes_by_their_leaked_clips():
    y, predictions, mask = labelled([(0, True, 30, 30), (0, False, 10, 10), (3, True, 10, 5), (3, False, 90, 45)])
    assert "accuracy 87.5% on 40 of these clips, 87.5% on others" in (effect(y, predictions, mask) or "")


def test_copies_of_one_sound_widen_the_effects_interval():
    y, predictions, mask = labelled([(0, True, 40, 36), (0, False, 40, 20)])
    sets = tuple(tuple(range(i, i + 10)) for i in range(0, 40, 10))

    def width(said: str | None) -> int:
        low, high = map(int, re.findall(r"[+-]\d+", said or "")[1:])
        return high - low

    assert width(effect(y, predictions, mask, sets)) >= width(effect(y, predictions, mask))


@pytest.mark.parametrize(
    "counts",
    [
        [(0, True, 40, 38), (1, False, 40, 40)],  # no class has both
        [(0, True, 9, 9), (0, False, 90, 45)],  # too few leaked
        [(0, True, 90, 90), (0, False, 9, 4)],  # too few others
        [(0, False, 90, 90)],
    ],
)
def test_an_effect_that_cannot_be_told_is_not_told(counts):
    assert effect(*labelled(counts)) is None


def interval_of(said: str | None) -> tuple[int, int]:
    low, high = map(int, re.findall(r"interval ([+-]\d+) to ([+-]\d+)", said or "")[0])
    return low, high


def sets_of(size: int, n: int) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(range(i, i + size)) for i in range(0, size * n, size))


def test_sets_that_are_all_right_leave_room_for_others_that_are_not():
    y, predictions, mask = labelled([(0, True, 30, 30), (0, False, 40, 40)])
    low, high = interval_of(effect(y, predictions, mask, sets_of(10, 3)))
    assert low <= -100 * (1 - 0.025 ** (1 / 3)) * 0.8
    assert high > 0


@pytest.mark.parametrize("n_sets", [1, 2])
def test_one_or_two_leaked_sets_have_no_interval(n_sets):
    y, predictions, mask = labelled([(0, True, 20, 20), (0, False, 40, 0)])
    said = effect(y, predictions, mask, sets_of(20 // n_sets, n_sets))
    assert (said or "").endswith("+100 points (too few sets of clips for an interval)")


def test_the_effects_interval_holds_the_truth_as_often_as_it_says():
    rng, held = np.random.default_rng(0), 0
    for _ in range(400):
        of_sets = np.repeat(rng.beta(4, 1, 5), 6)  # 80 % on average
        right = np.concatenate([rng.random(30) < of_sets, rng.random(40) < 0.6])
        y, mask = np.zeros(70, int), np.arange(70) < 30
        low, high = interval_of(effect(y, np.where(right, 0, 1), mask, sets_of(6, 5)))
        held += low <= 20 <= high
    assert held / 400 >= 0.925


def test_findings_get_their_effects():
    names = [f"{i}.wav" for i in range(80)]
    clips = clips_named(*names, groups=tuple("x" if i % 4 < 2 else f"g{i}" for i in range(80)))
    predictions = np.where(np.arange(80) % 4 < 2, 0, np.arange(80) % 8 // 4)
    (found,) = with_effects(source_overlap(clips, halves(80)), np.zeros(80, int), predictions, halves(80))
    assert "accuracy 100.0% on 40 of these clips, 50.0% on others of the same classes" in (found.effect or "")


# --- what a run hears -------------------------------------------------------------------------------------


def told(folder: Path, part: UsedPart) -> set[str]:
    """Names of the properties that give labels away, in a folder of class folders, as a run hears them."""
    found = find_clips(folder).clips
    made = [probe(clip.path, part) for clip in found]
    return {one.name for one in shortcuts(made, [clip.label for clip in found])}


@pytest.mark.parametrize(
    ("differs", "advice"),
    [
        ("duration", UsedPart(segments=Segments(duration=0.4))),
        ("bandwidth", UsedPart(sample_rate=7000)),
        ("share of silence", UsedPart(segments=Segments(duration=None, trim=60))),
    ],
)
def test_following_the_audits_advice_changes_the_audit(tmp_path, differs, advice):
    rng = np.random.default_rng(0)
    for i in range(24):
        odd = i % 2
        y = 0.1 * rng.standard_normal(SR // 2)
        if differs == "duration" and odd:
            y = 0.1 * rng.standard_normal(SR)
        if differs == "bandwidth" and odd:
            y = resample(resample(y.astype(np.float32), SR, 8000), 8000, SR)
        if differs == "share of silence":
            y = np.concatenate([np.zeros(SR * odd + rng.integers(2000)), y])
        path = tmp_path / "ab"[odd] / f"{i}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, y, SR, subtype="FLOAT")
    assert differs in told(tmp_path, UsedPart())
    assert differs not in told(tmp_path, advice)


def pairs_of_copies(folder: Path, used: float, gain: float = 1.0) -> Path:
    """Twelve clips of 3 s in two classes: those of a pair share the first second, or the rest if it alone is used."""
    for i in range(12):
        own, shared = sound(i, 3.0), gain ** (i % 2) * sound(100 + i // 2, 3.0)
        first, rest = (shared, own) if used == 1 else (own, shared)
        write(folder / "ab"[i // 2 % 2] / f"{i}.wav", np.concatenate([first[:SR], rest[SR:]]))
    return folder


@pytest.mark.parametrize(("gain", "said"), [(1.0, "equal in every sample"), (0.5, "near-duplicates")])
def test_copies_in_the_used_part_are_found_whatever_follows_them(audiofw, tmp_path, gain, said):
    folder = pairs_of_copies(tmp_path / "sounds", 1, gain)
    assert (
        f"12 clips in 6 sets are {said}"
        in audiofw("audit", f"data.source={folder}", "audio.duration=1", "audio.focus=start").out
    )
    assert (
        said
        not in audiofw(
            "audit", f"data.source={folder}", "audio.duration=1", "audio.focus=start", "audio.offset=1.5"
        ).out
    )


def test_copies_in_an_unused_part_are_ignored(audiofw, tmp_path):
    folder = pairs_of_copies(tmp_path / "sounds", 2)
    assert "no findings" in audiofw("audit", f"data.source={folder}", "audio.duration=1", "audio.focus=start").out
    assert "12 clips in 6 sets" in audiofw("audit", f"data.source={folder}", "audio.duration=null").out


@pytest.mark.parametrize("seconds", [0.01, 0.1, 0.3])
def test_very_short_used_parts_are_copies_only_where_they_are_equal(tmp_path, seconds):
    folder, part = pairs_of_copies(tmp_path, 1), UsedPart(segments=Segments(duration=seconds))
    clips = find_clips(folder).clips
    (found,) = find_duplicates(clips, [probe(clip.path, part) for clip in clips], read=part.read)
    assert (found.kind, len(found.sets)) == ("identical", 6)


def test_cut_recordings_and_cancelling_channels_are_found(tmp_path, clean):
    y = 0.1 * np.random.default_rng(0).standard_normal(SR)
    soundfile.write(tmp_path / "cut.wav", y, SR)
    (tmp_path / "cut.wav").write_bytes((tmp_path / "cut.wav").read_bytes()[:SR])
    soundfile.write(tmp_path / "reverse.wav", np.stack([y, -y], axis=1), SR)
    clips = [Clip(tmp_path / name, name, "a") for name in ("cut.wav", "reverse.wav")]
    cut, reverse = findings.find_flaws(clips, [probe(clip.path) for clip in clips])
    assert (cut.kind, cut.severity, cut.files) == ("damaged", "warning", ("cut.wav",))
    assert (reverse.kind, reverse.files) == ("channels", ("reverse.wav",))
    assert findings.find_flaws(*clean) == []


def test_refuse_ends_the_run_at_a_warning_only(clean, tmp_path):
    clips, probes = with_copies(clean, equal_copy(clean, tmp_path), label="a")
    found = find_duplicates(clips, probes)
    with pytest.raises(DataError, match=r"^audit: .*equal in every sample.*data\.skip") as caught:
        refuse(found)
    assert "\n" not in str(caught.value)
    refuse([finding._replace(severity="note") for finding in found])


def test_a_listed_name_stays_on_its_line(audiofw, sounds):
    folder = sounds()
    clip = next(folder.rglob("*.wav"))
    clip.with_name("two\nlines.wav").write_bytes(clip.read_bytes())
    outcome = audiofw("audit", f"data.source={folder}")
    assert f"  {clip.parent.name}/two\\nlines.wav\n" in outcome.out
