"""Audio effects, used by augmentations and by robustness tests.

Every function takes samples ``y``, float32 ``(n,)``, and returns float32 samples. ``rng`` is the only source of
randomness; silence and a single sample are valid input. The functions are thread-safe.
"""

from __future__ import annotations

import io
from typing import Literal

import numpy as np

from audiofw.errors import DataError

LOWEST = 50.0  # Hz; origin of frequency curves over octaves


def amplified(y: np.ndarray, db: float) -> np.ndarray:
    """Apply a gain in dB.

    Examples
    --------
    >>> import numpy as np
    >>> from audiofw.audio import effects
    >>> rng = np.random.default_rng(0)
    >>> y = rng.standard_normal(22050, dtype=np.float32)  # one second of white noise at 22 050 Hz
    >>> round(float(np.std(effects.amplified(y, db=-20.0)) / np.std(y)), 3)
    0.1
    """
    return y * np.float32(10 ** (db / 20))


def rolled(y: np.ndarray, share: float) -> np.ndarray:
    """Shift circularly by a fraction of the length.

    Examples
    --------
    >>> import numpy as np
    >>> from audiofw.audio import effects
    >>> effects.rolled(np.arange(4), share=0.25).tolist()
    [3, 0, 1, 2]
    """
    return np.roll(y, round(share * y.size))


def noise(n: int, rng: np.random.Generator, fall: float = 0.0) -> np.ndarray:
    """Generate noise of power 1 with a spectrum ``1 / f**fall``: 0 is white, 1 pink, 2 brown.

    Examples
    --------
    >>> import numpy as np
    >>> from audiofw.audio import effects
    >>> rng = np.random.default_rng(0)
    >>> pink = effects.noise(22050, rng, fall=1.0)
    >>> round(float(np.mean(pink**2)), 3)
    1.0
    """
    white = rng.standard_normal(n, dtype=np.float32)
    if not fall or n < 4:
        return white
    spectrum = np.fft.rfft(white)
    spectrum *= np.arange(1, spectrum.size + 1) ** (-fall / 2)
    coloured = np.fft.irfft(spectrum, n)
    return (coloured / np.sqrt(np.mean(coloured**2))).astype(np.float32)


def noisy(y: np.ndarray, snr: float, rng: np.random.Generator, fall: float = 0.0) -> np.ndarray:
    """Add noise at a signal-to-noise ratio in dB; silence stays silent.

    Examples
    --------
    >>> import numpy as np
    >>> from audiofw.audio import effects
    >>> rng = np.random.default_rng(0)
    >>> y = rng.standard_normal(22050, dtype=np.float32)  # one second of white noise at 22 050 Hz
    >>> added = effects.noisy(y, snr=20.0, rng=rng) - y
    >>> round(10 * np.log10(float(np.mean(y**2) / np.mean(added**2))))
    20
    """
    level = np.sqrt(np.mean(y.astype(np.float64) ** 2)) * 10 ** (-snr / 20)
    return y + np.float32(level) * noise(y.size, rng, fall)


def resampled(y: np.ndarray, ratio: float) -> np.ndarray:
    """Play faster by a ratio: tempo, pitch and formants rise together, as on a tape.

    Examples
    --------
    >>> import numpy as np
    >>> from audiofw.audio import effects
    >>> rng = np.random.default_rng(0)
    >>> y = rng.standard_normal(22050, dtype=np.float32)  # one second of white noise at 22 050 Hz
    >>> effects.resampled(y, 2.0).size
    11025
    """
    import soxr

    faster = soxr.resample(y, ratio, 1.0, quality="HQ")
    return faster if faster.size else y


def stretched(y: np.ndarray, sr: int, rate: float, semitones: float = 0.0) -> np.ndarray:
    """Change the tempo by a rate and the pitch by semitones, independently.

    A vectorised form of the phase vocoder in ``librosa.effects.time_stretch`` and ``pitch_shift``.

    Examples
    --------
    >>> import numpy as np
    >>> from audiofw.audio import effects
    >>> rng = np.random.default_rng(0)
    >>> y = rng.standard_normal(22050, dtype=np.float32)  # one second of white noise at 22 050 Hz
    >>> effects.stretched(y, 22050, rate=0.5).size
    44100
    """
    up = 2 ** (semitones / 12)
    size = max(1, round(y.size / rate))
    longer = resampled(_vocoded(y, sr, rate / up), up)[:size]
    return np.pad(longer, (0, size - longer.size))


def _vocoded(y: np.ndarray, sr: int, rate: float) -> np.ndarray:
    from scipy.signal import istft, stft

    n_fft = 2 ** max(4, round(np.log2(0.046 * sr)))
    framing = {"nperseg": n_fft, "noverlap": n_fft - n_fft // 4}
    padded = np.pad(y, (0, max(0, n_fft - y.size)))
    S = stft(padded, **framing)[2]
    _, longer = istft(_advanced(S, rate, 2 * np.pi * np.arange(len(S)) / 4), **framing)
    return longer[: max(1, round(y.size / rate))].astype(np.float32)


def _advanced(S: np.ndarray, rate: float, expected: np.ndarray) -> np.ndarray:
    """Phase vocoder: step through the frames at a rate, advancing the phase of each bin as in the original."""
    steps = np.arange(0, S.shape[1], rate)
    at, part = np.floor(steps).astype(int), steps % 1
    magnitude, phase = np.abs(np.pad(S, ((0, 0), (0, 1)))), np.angle(np.pad(S, ((0, 0), (0, 1))))
    turned = np.diff(phase, axis=1) - expected[:, None]
    advance = expected[:, None] + turned - 2 * np.pi * np.round(turned / (2 * np.pi))
    running = np.cumsum(advance[:, at[:-1]], axis=1, dtype=np.float64)
    total = phase[:, :1] + np.pad(running, ((0, 0), (1, 0)))
    turns = np.remainder(total, 2 * np.pi).astype(np.float32)  # float32 cosines are ten times faster than np.exp
    louder = ((1 - part) * magnitude[:, at] + part * magnitude[:, at + 1]).astype(np.float32)
    stepped = np.empty(louder.shape, np.complex64)
    stepped.real, stepped.imag = louder * np.cos(turns), louder * np.sin(turns)
    return stepped


def filtered(y: np.ndarray, sr: int, octaves: np.ndarray, db: np.ndarray) -> np.ndarray:
    """Apply a zero-phase filter: gains in dB, linearly interpolated between the given octaves above 50 Hz.

    Examples
    --------
    >>> import numpy as np
    >>> from audiofw.audio import effects
    >>> rng = np.random.default_rng(0)
    >>> y = rng.standard_normal(22050, dtype=np.float32)  # one second of white noise at 22 050 Hz
    >>> boomy = effects.filtered(y, 22050, octaves=np.array([0.0, 3.0]), db=np.array([6.0, 0.0]))
    >>> boomy.shape, boomy.dtype.name
    ((22050,), 'float32')
    """
    from scipy.fft import next_fast_len

    size = next_fast_len(y.size + sr // 10, real=True)  # room, so that the filter does not wrap around
    f = np.fft.rfftfreq(size, 1 / sr)
    curve = np.interp(np.log2(np.maximum(f, 1.0) / LOWEST), octaves, db)
    return np.fft.irfft(np.fft.rfft(y, size) * 10 ** (curve / 20), size)[: y.size].astype(np.float32)


def equalised(y: np.ndarray, sr: int, db: float, rng: np.random.Generator) -> np.ndarray:
    """Equalise randomly, like a different microphone or room: gains of up to ±``db`` about every octave.

    Examples
    --------
    >>> import numpy as np
    >>> from audiofw.audio import effects
    >>> rng = np.random.default_rng(0)
    >>> y = rng.standard_normal(22050, dtype=np.float32)  # one second of white noise at 22 050 Hz
    >>> effects.equalised(y, 22050, db=6.0, rng=rng).shape
    (22050,)
    """
    top = max(1.0, np.log2(sr / 2 / LOWEST))
    octaves = np.linspace(0, top, max(2, round(top) + 1))
    return filtered(y, sr, octaves, rng.uniform(-db, db, octaves.size))


def low_passed(y: np.ndarray, sr: int, frequency: float, db: float = 80.0) -> np.ndarray:
    """Attenuate everything above a frequency in Hz, with a transition of a twelfth of an octave.

    Examples
    --------
    >>> import numpy as np
    >>> from audiofw.audio import effects
    >>> rng = np.random.default_rng(0)
    >>> y = rng.standard_normal(22050, dtype=np.float32)  # one second of white noise at 22 050 Hz
    >>> low = effects.low_passed(y, 22050, frequency=2000.0)
    >>> round(float(np.mean(low**2) / np.mean(y**2)), 1)  # 2 of 11 kHz are left
    0.2
    """
    octave = np.log2(frequency / LOWEST)
    return filtered(y, sr, np.array([octave - 1 / 12, octave]), np.array([0.0, -db]))


def without_a_band(y: np.ndarray, sr: int, octaves: float, rng: np.random.Generator, db: float = 60.0) -> np.ndarray:
    """Attenuate a band of the given width in octaves, at a random position from 50 Hz to half the sampling rate.

    Examples
    --------
    >>> import numpy as np
    >>> from audiofw.audio import effects
    >>> rng = np.random.default_rng(0)
    >>> y = rng.standard_normal(22050, dtype=np.float32)  # one second of white noise at 22 050 Hz
    >>> masked = effects.without_a_band(y, 22050, octaves=1.0, rng=rng)
    >>> bool(np.mean(masked**2) < np.mean(y**2))
    True
    """
    low, edge = rng.uniform(0, max(0.0, np.log2(sr / 2 / LOWEST) - octaves)), 1 / 12
    at = low + np.array([-edge, 0, octaves, octaves + edge])
    return filtered(y, sr, at, np.array([0.0, -db, -db, 0.0]))


def with_a_gap(y: np.ndarray, sr: int, share: float, rng: np.random.Generator, db: float = 60.0) -> np.ndarray:
    """Attenuate a random passage of the given fraction of the length, with ramps of 5 ms.

    Examples
    --------
    >>> import numpy as np
    >>> from audiofw.audio import effects
    >>> rng = np.random.default_rng(0)
    >>> masked = effects.with_a_gap(np.ones(22050, np.float32), 22050, share=0.2, rng=rng)
    >>> round(float(np.mean(masked < 0.01)), 1)
    0.2
    """
    size, edge = share * y.size, sr / 200
    start = rng.uniform(0, y.size - size)
    at = np.array([start - edge, start, start + size, start + size + edge])
    curve = np.interp(np.arange(y.size), at, [0.0, -db, -db, 0.0])
    return (y * 10 ** (curve / 20)).astype(np.float32)


def band_limited(y: np.ndarray, sr: int, rate: int) -> np.ndarray:
    """Resample to a lower rate in Hz and back, like a telephone; removes everything above half that rate.

    Examples
    --------
    >>> import numpy as np
    >>> from audiofw.audio import effects
    >>> rng = np.random.default_rng(0)
    >>> y = rng.standard_normal(22050, dtype=np.float32)  # one second of white noise at 22 050 Hz
    >>> telephone = effects.band_limited(y, 22050, rate=8000)
    >>> bool(np.mean(telephone**2) < 0.4 * np.mean(y**2))  # at most 4 of 11 kHz are left
    True
    """
    import soxr

    if rate >= sr:
        return y
    back = soxr.resample(soxr.resample(y, sr, rate, quality="HQ"), rate, sr, quality="HQ")[: y.size]
    return np.pad(back, (0, y.size - back.size))


def reverberant(y: np.ndarray, sr: int, seconds: float, rng: np.random.Generator, wet: float = 0.5) -> np.ndarray:
    """Add reverberation: noise that decays by 60 dB in the given seconds, with the fraction ``wet`` of the power.

    Examples
    --------
    >>> import numpy as np
    >>> from audiofw.audio import effects
    >>> rng = np.random.default_rng(0)
    >>> y = rng.standard_normal(22050, dtype=np.float32)  # one second of white noise at 22 050 Hz
    >>> effects.reverberant(y, 22050, seconds=0.5, rng=rng).shape
    (22050,)
    """
    from scipy.signal import oaconvolve

    n = max(2, round(seconds * sr))
    echo = rng.standard_normal(n) * 10 ** (-3 * np.arange(n) / n)
    echo *= np.sqrt(wet / np.sum(echo**2))
    direct = np.sqrt(1 - wet) * y
    return (direct + oaconvolve(y.astype(np.float64), echo)[: y.size]).astype(np.float32)


def encoded(y: np.ndarray, sr: int, form: Literal["mp3", "ogg"], level: float = 0.9) -> np.ndarray:
    """Encode with a lossy codec and decode again, with the same alignment and length.

    Parameters
    ----------
    y : np.ndarray [shape=(n,)]
    sr : int
        Sampling rate in Hz.
    form : {"mp3", "ogg"}
        MPEG-1/2 layer III at a constant bit rate, or Vorbis.
    level : float
        libsndfile's compression level, from 0 to 1 (smallest file).

    Raises
    ------
    DataError
        If this version of libsndfile cannot write the format.

    Examples
    --------
    >>> import numpy as np
    >>> from audiofw.audio import effects
    >>> rng = np.random.default_rng(0)
    >>> y = rng.standard_normal(22050, dtype=np.float32)  # one second of white noise at 22 050 Hz
    >>> effects.encoded(y, 22050, "mp3").shape
    (22050,)
    """
    import soundfile

    rate = min(MP3_RATES, key=lambda rate: (rate < sr, abs(rate - sr))) if form == "mp3" else sr
    peak = float(np.abs(y).max()) or 1.0  # avoid clipping beyond full scale
    options = {"format": "MP3", "subtype": "MPEG_LAYER_III", "bitrate_mode": "CONSTANT"}
    if form == "ogg":
        options = {"format": "OGG", "subtype": "VORBIS"}
    sound, file = np.pad(_at_rate(y / peak, sr, rate), (0, MP3_DELAY)), io.BytesIO()
    try:
        soundfile.write(file, sound, rate, compression_level=level, **options)
    except soundfile.SoundFileError as error:
        raise DataError(f"libsndfile {soundfile.__libsndfile_version__} cannot write {form}: {error}") from error
    file.seek(0)
    back = soundfile.read(file, dtype="float32")[0]
    late = MP3_DELAY if back.size > sound.size else 0  # at some rates the decoder removes it
    back = _at_rate(back[late:], rate, sr)[: y.size] * np.float32(peak)
    return np.pad(back, (0, y.size - back.size))


MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
"""Sampling rates of the MP3 format in Hz."""

MP3_DELAY = 1105  # samples before the sound starts: 576 of LAME and 529 of the decoder


def _at_rate(y: np.ndarray, sr: int, rate: int) -> np.ndarray:
    import soxr

    return y if rate == sr else soxr.resample(y, sr, rate, quality="HQ")
