"""Classical audio descriptors, all computed from one STFT."""

from typing import Annotated

from annotated_types import Interval

from audiofw import hookimpl


@hookimpl
def register_features(register):
    register(descriptors, names=names, onnx=onnx)


def descriptors(
    y,
    sr,
    *,
    n_mels: Annotated[int, Interval(ge=0, le=1024)] = 128,
    n_mfcc: Annotated[int, Interval(ge=0, le=1024)] = 20,
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
    top_db: Annotated[float, Interval(gt=0, le=400)] = 80.0,
    n_fft: Annotated[int, Interval(ge=2, le=65536)] = 2048,
    hop_length: Annotated[int, Interval(ge=1, le=1_000_000)] = 512,
):
    """Mel bands, MFCCs and ten more frame-wise descriptors from one STFT; same values as librosa.

    A descriptor that is switched off is not computed.

    Parameters
    ----------
    n_mels
        Number of mel bands, in dB relative to the maximum; 0: none (MFCCs and onset strength then use 128 bands).
    n_mfcc
        Number of mel-frequency cepstral coefficients, at most the number of mel bands; 0: none.
    centroid
        Spectral centroid, in Hz.
    bandwidth
        Spectral bandwidth: spread around the centroid, in Hz.
    rolloff
        Spectral roll-off: frequency below which 85 % of the magnitude lies, in Hz.
    flatness
        Spectral flatness: 1 for white noise, near 0 for a pure tone.
    contrast
        Spectral contrast: peak minus valley below 200 Hz and in up to six octaves above, in dB.
    flux
        Spectral flux: mean increase of the magnitudes since the previous frame.
    zero_crossings
        Zero-crossing rate: fraction of samples at which the sign changes.
    rms
        Root-mean-square level.
    chroma
        Energy of the twelve pitch classes, normalised so that the strongest is 1.
    onset
        Onset strength: mean increase of the mel bands since the previous frame, in dB.
    top_db
        Dynamic range of the mel bands in dB: lower values are clipped to top_db below the maximum.
    n_fft
        Frame length and FFT size, in samples.
    hop_length
        Samples between successive frames.
    """
    import numpy as np

    from audiofw import spectral

    switches = {"centroid": centroid, "bandwidth": bandwidth, "rolloff": rolloff, "flatness": flatness}
    switches |= {"contrast": contrast, "flux": flux, "zero_crossings": zero_crossings, "rms": rms}
    wanted = _wanted(mel=n_mels, mfcc=n_mfcc, **switches, chroma=chroma, onset=onset)
    made = spectral.feature_set(y, sr=sr, **_sizes(n_mels, n_mfcc, wanted), n_fft=n_fft, hop_length=hop_length)
    if "mel" in wanted:
        made["melspectrogram"] = spectral.power_to_db(made["melspectrogram"], ref="max", top_db=top_db)
    return np.concatenate([made[SOURCES[part]] for part in wanted])


def onnx(graph, y, sr, *, n_mels, n_mfcc, top_db, n_fft, hop_length, **switches):
    """Compute the same in ONNX."""
    wanted = _wanted(mel=n_mels, mfcc=n_mfcc, **switches)
    made = graph.feature_set(y, sr=sr, **_sizes(n_mels, n_mfcc, wanted), n_fft=n_fft, hop_length=hop_length)
    if "mel" in wanted:
        made["melspectrogram"] = graph.power_to_db(made["melspectrogram"], ref="max", top_db=top_db)
    return graph.Concat(*(made[SOURCES[part]] for part in wanted), axis=0)


MEL_BANDS = 128  # librosa's default, for MFCCs and onset strength when n_mels=0

# Descriptor -> function of audiofw.spectral, in row order
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
    """Name the rows: ``mel_1200Hz``, ``mfcc3``, ``centroid``, ``contrast2``, ``chroma_C#``, …"""
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
    """List the descriptors that are switched on, in row order."""
    from audiofw import ConfigError

    wanted = [part for part in SOURCES if switches[part]]
    if not wanted:
        raise ConfigError("feature=descriptors: all are switched off; switch at least one on, e.g. feature.n_mfcc=20")
    return wanted


def _sizes(n_mels, n_mfcc, wanted):
    """Give the arguments of feature_set, which takes no zeros."""
    return {"n_mels": n_mels or MEL_BANDS, "n_mfcc": n_mfcc or 1, "only": [SOURCES[part] for part in wanted]}


def _mel_names(sr, n_mels):
    """Name the bands by their centre frequencies."""
    from audiofw.spectral import mel_frequencies

    return [f"mel_{middle:.0f}Hz" for middle in mel_frequencies(n_mels + 2, fmin=0.0, fmax=sr / 2)[1:-1]]
