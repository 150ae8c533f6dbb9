"""Embeddings by a pretrained network, from an ONNX or LiteRT file."""

from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Interval

from audiofw import hookimpl
from audiofw.errors import ClipError, ConfigError

MOST_WINDOWS = 100  # that contain the same moment


@hookimpl
def register_features(register):
    register(embedding, sample_rate=needed_rate, min_duration=needed_duration)


def embedding(
    y,
    sr,
    *,
    model: Path | None = None,
    output: str | None = None,
    input: Literal["waveform", "log_mel", "network"] = "waveform",
    front: Path | None = None,
    sample_rate: Annotated[int, Interval(ge=500, le=1_000_000)] = 16000,
    window: Annotated[float, Interval(ge=0.001, le=86_400)] | None = 1.0,
    hop: Annotated[float, Interval(ge=0.001, le=86_400)] | None = None,
    gain: Annotated[float, Interval(ge=1e-15, le=1e15)] = 1.0,
    mean: Annotated[float, Interval(ge=-1e15, le=1e15)] = 0.0,
    std: Annotated[float, Interval(ge=1e-15, le=1e15)] = 1.0,
    layout: Literal["time_bands", "bands_time"] = "time_bands",
    within: Literal["mean", "frames"] = "mean",
    n_fft: Annotated[int, Interval(ge=2, le=65536)] = 512,
    win_length: Annotated[int, Interval(ge=1, le=65536)] | None = 400,
    hop_length: Annotated[int, Interval(ge=1, le=1_000_000)] = 160,
    n_mels: Annotated[int, Interval(ge=1, le=1024)] = 64,
    fmin: Annotated[float, Interval(ge=0, le=500_000)] = 125.0,
    fmax: Annotated[float, Interval(gt=0, le=500_000)] | None = 7500.0,
    htk: bool = True,
    mel_norm: Literal["slaney"] | None = None,
    power: Annotated[float, Interval(gt=0, le=10)] = 1.0,
    offset: Annotated[float, Interval(ge=1e-30, le=1e15)] = 1e-6,
    batch: Annotated[int, Interval(ge=1, le=4096)] = 16,
    threads: Annotated[int, Interval(ge=1, le=1024)] = 1,
    device: Literal["auto", "cpu"] = "auto",
    sha256: str | None = None,
    source: str | None = None,
):
    """Embedding by a pretrained network, one column for each window; works best with model=lda.

    You provide the network as a file; nothing is downloaded: ONNX (pip install 'audiofw[onnx]'), a zip of an ONNX file
    with its weights, or LiteRT (pip install 'audiofw[litert]'). feature=yamnet, birdnet and speech_embedding set these
    options for known networks.

    Parameters
    ----------
    model
        File of the network: .onnx, .zip or .tflite.
    output
        Name of the output, or of any tensor inside, such as the layer before the classes; null: the only output.
    input
        Input of the network: waveform, log_mel (a log-mel spectrogram, see the options below), or network (the output
        of another network, front, for the waveform).
    front
        File of the network that makes a spectrogram of the whole clip, for input=network.
    sample_rate
        Sampling rate that the network was trained with, in Hz.
    window
        Length of a window in seconds; shorter clips are padded with zeros. null: the whole clip, for networks that take
        any length.
    hop
        Hop between windows in seconds; null: window. A last window ends with the clip.
    gain
        Factor for the samples, which lie between -1 and 1: 32768 for a network that takes 16-bit numbers.
    mean
        Subtracted from the network's input, after the front end.
    std
        Divisor of the network's input, after mean is subtracted.
    layout
        Order of the axes of a spectrogram that the network takes.
    within
        If the network gives several vectors for one window: mean averages them, frames takes each as a column.
    n_fft
        FFT size of the log-mel spectrogram, in samples.
    win_length
        Length of its Hann window, in samples; null: n_fft.
    hop_length
        Samples between its frames, also those of front.
    n_mels
        Number of its mel bands.
    fmin
        Lowest frequency of its mel bands, in Hz.
    fmax
        Highest frequency of its mel bands, in Hz; null: half the sampling rate.
    htk
        Use the HTK mel formula instead of Slaney's.
    mel_norm
        Normalisation of its mel filters: slaney for equal area, null for a peak of 1.
    power
        Exponent of its magnitudes: 2 for power, 1 for amplitude.
    offset
        Added before its natural logarithm is taken.
    batch
        Largest number of windows that the network is given at a time, if it takes several.
    threads
        Threads for one clip; clips are processed in parallel anyway.
    device
        auto uses a GPU if onnxruntime can.
    sha256
        SHA-256 of the file that the other options are for; another file is refused. null: not checked.
    source
        Where to get the file, for the message if it is missing.
    """
    import numpy as np

    from audiofw.networks.network import open_network

    if sr != sample_rate:
        raise ConfigError(f"feature.sample_rate={sample_rate}: the clip is at {sr} Hz; set audio.sample_rate=auto")
    if hop and window and hop < window / MOST_WINDOWS:
        raise ConfigError(f"feature.hop={hop}: too short for feature.window={window}; at least a hundredth of it")
    if not np.isfinite(y).all():
        raise ValueError("the samples are not finite everywhere")  # networks may hide it
    framing = {"n_fft": n_fft, "win_length": win_length, "hop_length": hop_length, "center": False}
    bands = {"n_mels": n_mels, "fmin": fmin, "fmax": fmax, "htk": htk, "norm": mel_norm, "power": power}
    samples, rate = y if gain == 1 else np.float32(gain) * y, sr
    if input == "log_mel":
        samples, rate = _log_mel(np, samples, sr, offset, **framing, **bands), sr / hop_length
    elif input == "network":
        samples, rate = _spectrogram_by(np, samples, front, threads, device), sr / hop_length
    if mean or std != 1:
        samples = (samples - np.float32(mean)) / np.float32(std)
    windows = _cut(np, samples, rate, window, hop)
    network = open_network(model, output=output, threads=threads, device=device, option="feature.model")
    kind = network.input.dtype
    if input == "waveform" and gain == 1 and kind.kind in "iu" and not network.input.scale:
        full = np.iinfo(kind).max + 1
        raise ConfigError(f"feature.gain=1: the network takes {kind}, and samples lie between -1 and 1: set {full}")
    made = network(windows.swapaxes(1, -1) if layout == "bands_time" else windows, batch=batch)
    frames = _as_frames(made, within)
    if not frames.any():
        raise ClipError(f"{model.name} returned zeros only; is feature.output the right tensor?")
    return frames


def needed_rate(*, model, sha256, source, sample_rate, **_):
    """Return the network's sampling rate in Hz; ConfigError if its file is missing, or not the known one."""
    got = f"; it is in {source}: put it there, or set feature.model or AUDIOFW_NETWORKS, its folder" if source else ""
    if model is None:
        raise ConfigError("feature.model is missing: give the network's file, feature.model=FILE.onnx or .tflite")
    if not model.is_file():
        raise ConfigError(f"feature.model={model}: no such file{got}")
    if sha256 and _sha256(model) != sha256:
        raise ConfigError(
            f"feature.model={model}: not the file in {source or 'use'}; for another one, set feature.sha256=null"
        )
    return sample_rate


def needed_duration(*, input, sample_rate, window, hop_length, n_fft, **_):
    """Return the length in seconds of a clip that fills one window."""
    if input == "waveform":
        return window
    return ((_round((window or 0) * sample_rate / hop_length) or 1) * hop_length - hop_length + n_fft) / sample_rate


def _sha256(file):
    import hashlib

    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _round(number):
    return int(number + 0.5)


def _log_mel(np, y, sr, offset, **options):
    """Log-mel spectrogram, ``(frames, bands)``."""
    from audiofw import spectral

    return np.log(spectral.melspectrogram(y, sr=sr, **options) + np.float32(offset)).T


def _spectrogram_by(np, y, front, threads, device):
    """Let a network make a spectrogram of the whole clip, ``(frames, bands)``."""
    from audiofw.networks.network import open_network

    if front is None:
        raise ConfigError("feature.front is missing: input=network needs a network that makes the spectrogram")
    made = open_network(front, threads=threads, device=device, option="feature.front")(y[None])
    return made.reshape(-1, made.shape[-1])


def _cut(np, values, rate, window, hop):
    """Cut samples ``(n,)`` or a spectrogram ``(n, bands)`` into windows of seconds, the last one at the end."""
    n, size = len(values), len(values) if window is None else _round(window * rate)
    if not 0 < size <= n:
        raise ClipError(f"too short for a window of {window} s")
    step = max(1, size if hop is None else _round(hop * rate))
    starts = [*range(0, n - size + 1, step)]
    starts += [n - size] if starts[-1] + size < n else []
    return np.stack([values[start : start + size] for start in starts])


def _as_frames(made, within):
    """Turn the network's output for each window, ``(n, …)``, into columns, ``(rows, frames)``."""
    axes = [i for i, size in enumerate(made.shape) if i == 0 or size > 1]
    made = made.reshape([made.shape[i] for i in axes])
    if made.ndim > 3:
        raise ConfigError(f"feature.output: the network gives {made.shape[1:]} for a window; choose a vector")
    if made.ndim == 3:
        made = made.mean(axis=1) if within == "mean" else made.reshape(-1, made.shape[2])
    return made.reshape(len(made), -1).T
