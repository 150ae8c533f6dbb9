"""The jobs of a sweep show the same clips, which are drawn and compressed once."""

from pathlib import Path

import numpy as np
import pytest

from audiofw.data.dataset import Clip
from audiofw.report import build, media


@pytest.fixture
def compressed(monkeypatch) -> list[int]:
    """The number of samples of each sound that was compressed."""
    build._drawn.cache_clear()
    done, original = [], media.sound_uri
    monkeypatch.setattr(media, "sound_uri", lambda y, sr: done.append(len(y)) or original(y, sr))
    return done


def test_the_same_samples_are_drawn_once_and_others_anew(compressed):
    y = np.random.default_rng(0).uniform(-0.5, 0.5, 8000).astype(np.float32)
    first, again, other = (
        build._shown(Clip(Path(name), name, "cat"), lambda sound, each=each: (each, 8000), audio=True)
        for name, each in (("a.wav", y), ("b.wav", y.copy()), ("a.wav", y[:-1]))
    )
    assert compressed == [8000, 7999]
    assert (first.name, again.name) == ("a.wav", "b.wav")
    assert first.sound == again.sound != other.sound
    assert first.seconds == 1.0 > other.seconds


def test_a_page_without_sounds_has_none_of_a_page_with_them(compressed):
    y = np.random.default_rng(0).uniform(-0.5, 0.5, 8000).astype(np.float32)
    sounds = [build._shown(Clip(Path("a.wav"), "a.wav", "cat"), lambda _: (y, 8000), audio).sound for audio in (1, 0)]
    assert sounds[0]
    assert sounds[1] is None
