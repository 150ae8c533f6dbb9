"""The feature `descriptors`: what each switch gives, and the names of the rows."""

from __future__ import annotations

import librosa
import numpy as np
import pytest

from audiofw.contract.registry import load_menus
from audiofw.errors import ConfigError

SR = 22050
SWITCHES = [
    "centroid",
    "bandwidth",
    "rolloff",
    "flatness",
    "contrast",
    "flux",
    "zero_crossings",
    "rms",
    "chroma",
    "onset",
]
OFF = {"n_mels": 0, "n_mfcc": 0, **dict.fromkeys(SWITCHES, False)}
PARTS = [{"n_mels": 40}, {"n_mfcc": 13}, *({name: True} for name in SWITCHES)]


@pytest.fixture(scope="module")
def menus():
    return load_menus()


@pytest.fixture(scope="module")
def y():
    rng, t = np.random.default_rng(0), np.arange(SR) / SR
    sound = np.sin(2 * np.pi * 440 * t) + rng.standard_normal(SR) * np.exp(-9 * t)
    return (sound / 5).astype(np.float32)


def described(menus, y, sr=SR, **options):
    """Map row names to rows."""
    feature = menus.choose_member("feature", "descriptors", options)
    rows, names = feature(y.copy(), sr), feature.plugin.names(sr, **feature.options)
    assert len(rows) == len(names)
    return dict(zip(names, rows, strict=True))


@pytest.mark.parametrize("part", PARTS, ids=lambda part: next(iter(part)))
def test_each_part_alone_is_as_among_the_others(menus, y, part):
    alone = described(menus, y, **{**OFF, **part})
    everything = described(menus, y, **{"n_mels": 128, **part, **({"n_mels": 40} if "n_mels" in part else {})})
    assert alone
    for name, row in alone.items():
        np.testing.assert_array_equal(row, everything[name], err_msg=name)


def test_each_switch_takes_its_rows_away(menus, y):
    everything = list(described(menus, y))
    for name in SWITCHES:
        left = list(described(menus, y, **{name: False}))
        gone = [row for row in everything if row not in left]
        assert gone
        assert all(row.startswith(name) for row in gone)
        assert left == [row for row in everything if row not in gone]


def test_rows_are_named_in_their_order(menus, y):
    names = list(described(menus, y, n_mels=2, n_mfcc=2))
    assert names[2:16] == [
        *("mfcc0", "mfcc1", "centroid", "bandwidth", "rolloff", "flatness"),
        *(f"contrast{i}" for i in range(7)),
        "flux",
    ]
    assert names[16:20] == ["zero_crossings", "rms", "chroma_C", "chroma_C#"]
    assert names[-2:] == ["chroma_B", "onset"]
    assert all(name.startswith("mel_") and name.endswith("Hz") for name in names[:2])


def test_mel_bands_are_in_decibels_below_the_loudest(menus, y):
    rows = np.stack(list(described(menus, y, **{**OFF, "n_mels": 40}).values()))
    power = librosa.feature.melspectrogram(y=y, sr=SR, n_mels=40)
    np.testing.assert_allclose(rows, librosa.power_to_db(power, ref=np.max), atol=5e-5)


def test_without_mel_rows_cepstra_and_onset_are_librosas_own(menus, y):
    rows = described(menus, y, **{**OFF, "n_mfcc": 20, "onset": True})
    np.testing.assert_allclose(rows["mfcc3"], librosa.feature.mfcc(y=y, sr=SR)[3], atol=5e-4)
    np.testing.assert_allclose(rows["onset"], librosa.onset.onset_strength(y=y, sr=SR), atol=1e-4)


def test_a_tone_is_where_it_is_named(menus, y):
    rows = described(menus, np.sin(2 * np.pi * 440 * np.arange(SR) / SR).astype(np.float32))
    middle = {name: row[len(row) // 2] for name, row in rows.items()}
    assert middle["chroma_A"] == 1
    loudest = max((name for name in middle if name.startswith("mel_")), key=middle.get)
    assert abs(float(loudest[4:-2]) - 440) < 30


@pytest.mark.parametrize(("sr", "rows"), [(8000, 6), (44100, 7)])
def test_contrast_has_the_octaves_that_the_sample_rate_allows(menus, y, sr, rows):
    assert list(described(menus, y, sr, **{**OFF, "contrast": True})) == [f"contrast{i}" for i in range(rows)]


def test_nothing_on_is_refused_in_one_line(menus, y):
    with pytest.raises(ConfigError, match="switched off; switch at least one on") as refusal:
        described(menus, y, **OFF)
    assert "\n" not in str(refusal.value)
