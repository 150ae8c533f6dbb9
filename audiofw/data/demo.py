"""The demo data set: four classes of synthesised sounds, so that a first run needs no download.

``demo-<version>.zip`` holds ``chirping/07-2.wav`` and so on: class, source, take. Takes of one source share its
pitch and rhythm, as recordings of one animal or machine do; ``data.pattern='(?P<group>\\w+/\\d+)-'`` names the groups.
Pitch, bandwidth, rhythm, length, loudness and noise overlap between the classes on purpose: no such property alone
predicts the class, and features and models differ in how well they do.
"""

from __future__ import annotations

import io
import secrets
import wave
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from audiofw.system.faults import writing_to

VERSION = 2  # raise it whenever the sounds change
SAMPLE_RATE = 22050
SOURCES, TAKES = 20, 2
SNR_DB = (-7, 16)
CUTOFF_HZ = (1500, 16000)  # of each take's low-pass: with it, bandwidth says nothing about the class

Rng = np.random.Generator


def demo_archive(cache_root: Path) -> Path:
    """Create the demo's archive in a folder, unless it is there already.

    Parameters
    ----------
    cache_root : Path
        Folder for the archive; created if missing.

    Returns
    -------
    Path
        A zip of 160 wav files (16 bit, mono, 22 050 Hz, 0.4 to 4 s) in one folder per class.
    """
    archive = cache_root / f"demo-{VERSION}.zip"
    if not archive.exists():
        cache_root.mkdir(parents=True, exist_ok=True)
        part = archive.with_suffix(f".{secrets.token_hex(4)}")
        try:
            with writing_to(archive):
                _write_zip(part)
            part.replace(archive)
        finally:
            part.unlink(missing_ok=True)
    return archive


def _write_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, y in _sounds():
            # a new ZipInfo has a fixed date, so equal sounds give equal bytes
            archive.writestr(zipfile.ZipInfo(name), _wav(y))


def _sounds() -> Iterator[tuple[str, np.ndarray]]:
    for number, (name, voice) in enumerate(VOICES.items()):
        for source in range(1, SOURCES + 1):
            for take in range(1, TAKES + 1):
                # one generator for the properties shared by a source's takes, one for the rest
                shared = np.random.default_rng([VERSION, number, source])
                own = np.random.default_rng([VERSION, number, source, take])
                yield f"{name}/{source:02d}-{take}.wav", _recorded(voice, shared, own)


def _recorded(voice: Callable[[np.ndarray, Rng, Rng], np.ndarray], shared: Rng, own: Rng) -> np.ndarray:
    """One take of a voice: a few seconds with noise, a low-pass like a microphone's, and a random level."""
    t = np.arange(int(SAMPLE_RATE * own.uniform(0.4, 4.0))) / SAMPLE_RATE
    sound = voice(t, shared, own)
    noise = _coloured(len(t), own.uniform(0.0, 1.2), own)
    noise *= _rms(sound) / _rms(noise) * 10 ** (-own.uniform(*SNR_DB) / 20)
    y = _low_passed(sound + noise, np.exp(own.uniform(*np.log(CUTOFF_HZ))))
    return y / np.abs(y).max() * 10 ** (-own.uniform(1, 25) / 20)


def siren(t: np.ndarray, shared: Rng, own: Rng) -> np.ndarray:
    """A harmonic tone with a slow vibrato."""
    centre, swing = shared.uniform(300, 1800), shared.uniform(0.05, 0.4)
    pace = shared.uniform(0.3, 4.0) * own.uniform(0.9, 1.1)
    pitch = centre * (1 + swing * np.sin(2 * np.pi * (pace * t + own.random())))
    return _tone(pitch, overtones=int(shared.integers(1, 5)))


def chirping(t: np.ndarray, shared: Rng, own: Rng) -> np.ndarray:
    """Short, quickly rising or falling notes with pauses."""
    low, high = shared.uniform(300, 1800), shared.uniform(1.3, 2.4)
    rate, length = shared.uniform(1.5, 9.0), shared.uniform(0.05, 0.25)
    age = _since_last(t, rate, own) / length
    pitch = low * high ** np.clip(age if shared.random() < 0.5 else 1 - age, 0, 1)
    return _tone(pitch, overtones=int(shared.integers(1, 4))) * np.sin(np.pi * np.clip(age, 0, 1))


def knocking(t: np.ndarray, shared: Rng, own: Rng) -> np.ndarray:
    """Impacts with a short resonance."""
    age = _since_last(t, shared.uniform(1.5, 9.0), own)
    ring = _tone(np.full_like(t, shared.uniform(150, 1800)), overtones=int(shared.integers(1, 5)))
    clatter = _coloured(len(t), shared.uniform(0, 1), own)
    decay = np.exp(-age / shared.uniform(0.01, 0.12))
    return (ring + shared.uniform(0.1, 1.0) * clatter) * decay


def engine(t: np.ndarray, shared: Rng, own: Rng) -> np.ndarray:
    """Many harmonics of a fluctuating pitch, amplitude-modulated."""
    pitch = shared.uniform(80, 600) * (1 + own.uniform(0, 0.15) * np.sin(2 * np.pi * own.uniform(0.1, 2) * t))
    throb = 1 + shared.uniform(0.1, 0.9) * np.sin(2 * np.pi * shared.uniform(2, 12) * t)
    rumble = _coloured(len(t), shared.uniform(0.5, 1.5), own)
    return _tone(pitch, overtones=int(shared.integers(4, 16))) * throb + shared.uniform(0.1, 0.8) * rumble


VOICES: dict[str, Callable[[np.ndarray, Rng, Rng], np.ndarray]] = {
    voice.__name__: voice for voice in (chirping, engine, knocking, siren)
}


def _tone(pitch: np.ndarray, overtones: int) -> np.ndarray:
    """A harmonic tone with time-varying pitch (Hz) and harmonic amplitudes 1/n."""
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    audible = [n for n in range(1, overtones + 1) if n * pitch.max() < SAMPLE_RATE / 2]
    return np.sum([np.sin(n * phase) / n for n in audible], axis=0)


def _since_last(t: np.ndarray, rate: float, rng: Rng) -> np.ndarray:
    """Time since the last of a series of slightly irregular beats, `rate` per second, in seconds."""
    beats = np.arange(-1 / rate, t[-1] + 1 / rate, 1 / rate) + rng.uniform(-0.2, 0.2) / rate
    beats += rng.uniform(-0.15, 0.15, len(beats)) / rate
    return t - beats[np.searchsorted(beats, t, side="right").clip(1) - 1]


def _coloured(n: int, slope: float, rng: Rng) -> np.ndarray:
    """Noise with amplitude ~ 1 / f^slope: 0 white, 0.5 pink, 1 brown."""
    size = 1 << n.bit_length()  # the FFT takes ten times longer for lengths with large prime factors
    spectrum = np.fft.rfft(rng.standard_normal(size))
    spectrum *= np.arange(1, len(spectrum) + 1) ** -slope
    y = np.fft.irfft(spectrum)[:n]
    return y / _rms(y)


def _low_passed(y: np.ndarray, cutoff: float) -> np.ndarray:
    """Low-pass filter with 24 dB per octave above the cutoff (Hz), like a cheap microphone or a wall."""
    size = 1 << len(y).bit_length()
    f = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    return np.fft.irfft(np.fft.rfft(y, size) / (1 + (f / cutoff) ** 4))[: len(y)]


def _rms(y: np.ndarray) -> float:
    return float(np.sqrt(np.mean(y**2)))


def _wav(y: np.ndarray) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((y * 32767).round().astype("<i2").tobytes())
    return out.getvalue()
