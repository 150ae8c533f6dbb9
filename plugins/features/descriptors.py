"""The classical descriptors of sound, all of one transform."""

from typing import Annotated

from annotated_types import Ge, Gt

from audiofw import hookimpl


@hookimpl
def register_features(register):
    register(descriptors, names=names)


def descriptors(
    y,
    sr,
    *,
    n_mels: Annotated[int, Ge(0)] = 128,
    n_mfcc: Annotated[int, Ge(0)] = 20,
    centroid: bool = True,
    bandwidth: bool = True,
    rolloff: bool = True,
    flatness: bool = True,
    contrast: bool = True,
    flux: bool = True,
    zero_crossings: bool = True,
    rms: bool = True,
    chroma: bool = True,
    onset: bool = True,
    top_db: Annotated[float, Gt(0)] = 80.0,
    n_fft: Annotated[int, Ge(1)] = 2048,
    hop_length: Annotated[int, Ge(1)] = 512,
):
    """Mel bands, cepstra and ten more descriptors of each frame, as librosa's, from one transform.

    What is switched off costs no time.

    Parameters
    ----------
    n_mels
        Mel bands, in dB below the loudest; 0: none, and cepstra and onset strength are made of 128.
    n_mfcc
        Mel-frequency cepstral coefficients, up to as many as there are bands; 0: none.
    centroid
        Mean frequency, in Hz.
    bandwidth
        Spread around the centroid, in Hz.
    rolloff
        Frequency below which 85 % of the magnitude lies, in Hz.
    flatness
        1 for noise, near 0 for a tone.
    contrast
        Peaks over valleys below 200 Hz and in up to six octaves above, in dB.
    flux
        Mean rise of the magnitudes from the frame before.
    zero_crossings
        Share of the samples where the sign changes.
    rms
        Level: root of the mean square of the samples.
    chroma
        Energy of the twelve pitch classes, the strongest being 1.
    onset
        Onset strength: mean rise of the mel bands, in dB.
    top_db
        Dynamic range of the mel bands: what lies further below the loudest is raised to this floor.
    n_fft
        Samples in a frame, and length of its FFT.
    hop_length
        Samples from one frame to the next.
    """
    import numpy as np

    from audiofw import spectral

    switches = {"centroid": centroid, "bandwidth": bandwidth, "rolloff": rolloff, "flatness": flatness}
    switches |= {"contrast": contrast, "flux": flux, "zero_crossings": zero_crossings, "rms": rms}
    wanted = _wanted(mel=n_mels, mfcc=n_mfcc, **switches, chroma=chroma, onset=onset)
    sizes = {"n_mels": n_mels or MEL_BANDS, "n_mfcc": n_mfcc or 1}
    made = spectral.feature_set(
        y, sr=sr, **sizes, only=[SOURCES[part] for part in wanted], n_fft=n_fft, hop_length=hop_length
    )
    if "mel" in wanted:
        made["melspectrogram"] = spectral.power_to_db(made["melspectrogram"], ref="max", top_db=top_db)
    return np.concatenate([made[SOURCES[part]] for part in wanted])


MEL_BANDS = 128  # librosa's, where none are asked for as rows

# In the order of the rows: the parts, and the functions of audiofw.spectral that make them
SOURCES = {
    "mel": "melspectrogram",
    "mfcc": "mfcc",
    "centroid": "spectral_centroid",
    "bandwidth": "spectral_bandwidth",
    "rolloff": "spectral_rolloff",
    "flatness": "spectral_flatness",
    "contrast": "spectral_contrast",
    "flux": "spectral_flux",
    "zero_crossings": "zero_crossing_rate",
    "rms": "rms",
    "chroma": "chroma_stft",
    "onset": "onset_strength",
}
PITCH_CLASSES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


def names(sr, *, n_mels, n_mfcc, top_db, n_fft, hop_length, **switches):
    """Name the rows, as ``mel_1200Hz``, ``mfcc3``, ``centroid``, ``contrast2`` and ``chroma_C#``."""
    from audiofw.spectral import octaves_below_half

    several = {
        "mel": _mel_names(sr, n_mels),
        "mfcc": [f"mfcc{i}" for i in range(n_mfcc)],
        "contrast": [f"contrast{i}" for i in range(octaves_below_half(sr) + 1)],
        "chroma": [f"chroma_{pitch}" for pitch in PITCH_CLASSES],
    }
    wanted = _wanted(mel=n_mels, mfcc=n_mfcc, **switches)
    return [name for part in wanted for name in several.get(part, [part])]


def _wanted(**switches):
    """Give the parts that are on, in the order of the rows."""
    from audiofw import ConfigError

    wanted = [part for part in SOURCES if switches[part]]
    if not wanted:
        raise ConfigError("feature: all descriptors are switched off: choose at least one, as in feature.n_mfcc=20")
    return wanted


def _mel_names(sr, n_mels):
    """Name the bands by their middle frequencies."""
    from audiofw.spectral import mel_frequencies

    return [f"mel_{middle:.0f}Hz" for middle in mel_frequencies(n_mels + 2, fmin=0.0, fmax=sr / 2)[1:-1]]
