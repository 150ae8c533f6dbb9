"""Augmentation: what each option does, and that copies are used only for training."""

import subprocess
import sys

import numpy as np
import pytest
from conftest import tone

from audiofw import ConfigError
from audiofw.contract.plugin import Choice
from audiofw.contract.registry import load_menus

SR = 22050
WAVEFORM = load_menus().plugins["augmentation"]["waveform"]
DEFAULTS = {option.name: option.default for option in WAVEFORM.options}
OFF = {**dict.fromkeys(DEFAULTS, 0.0), "noise": None}
Y = tone(440, 1.0).astype(np.float32)


def change(seed: int = 0, **options) -> np.ndarray:
    return Choice(WAVEFORM, {**OFF, "probability": 1.0, **options})(Y.copy(), SR, np.random.default_rng(seed))


STRENGTHS = {
    "shift": 0.5,
    "speed": 0.1,
    "stretch": 0.1,
    "pitch": 1.0,
    "equalise": 3.0,
    "low_pass": 1.5,
    "freq_mask": 1.0,
    "time_mask": 0.2,
    "noise": [10.0, 20.0],
    "gain": 6.0,
}


def test_every_option_is_tried_here():
    assert STRENGTHS.keys() == DEFAULTS.keys() - {"probability"}


@pytest.mark.parametrize("option", STRENGTHS)
def test_each_option_changes_the_sound_by_itself_and_leaves_it_alone_when_off(option):
    assert not np.array_equal(change(**{option: STRENGTHS[option]}), Y)
    np.testing.assert_array_equal(change(**{option: OFF[option]}), Y)
    np.testing.assert_array_equal(change(**{option: STRENGTHS[option], "probability": 0.0}), Y)


def test_strengths_are_drawn_from_all_of_their_range():
    gains = [20 * np.log10(np.abs(change(seed, gain=6.0)).max() / np.abs(Y).max()) for seed in range(40)]
    assert -6 < min(gains) < -4 < 4 < max(gains) < 6
    snrs = [10 * np.log10(np.mean(Y**2) / np.mean((change(seed, noise=[10.0, 20.0]) - Y) ** 2)) for seed in range(40)]
    assert 9.5 < min(snrs) < 12 < 18 < max(snrs) < 20.5
    lengths = [change(seed, speed=0.1).size / Y.size for seed in range(40)]
    assert 0.9 < min(lengths) < 0.93 < 1.07 < max(lengths) < 1.12


@pytest.mark.parametrize("limits", [[], [10.0], [20.0, 10.0], [1.0, 2.0, 3.0]])
def test_a_range_that_is_none_is_refused_with_the_key(limits):
    with pytest.raises(ConfigError, match=r"augmentation\.noise=.*give a range \[min, max\]"):
        change(noise=limits, probability=0.0)


def test_changing_needs_no_librosa():
    code = (
        "import sys, numpy as np; from audiofw.contract.registry import load_menus; "
        "from audiofw.contract.plugin import Choice; "
        "plugin = load_menus().plugins['augmentation']['waveform']; "
        "options = {option.name: option.default for option in plugin.options} | {'stretch': 0.1, 'pitch': 1.0}; "
        "Choice(plugin, options | {'probability': 1.0})(np.ones(9999, 'f4'), 22050, np.random.default_rng(0)); "
        "print([name for name in ('librosa.core', 'numba') if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
