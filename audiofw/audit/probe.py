"""The audit's measurements of one recording: a fingerprint, and properties that should not reveal its label."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from audiofw.audio.decode import Reader
from audiofw.audio.load import Channel, load_whole, resample
from audiofw.audio.segments import Segments, trimmed
from audiofw.audio.stretch import Stretch, as_stretch
from audiofw.audit.fingerprint import fingerprint
from audiofw.errors import DataError
from audiofw.system.hashing import digest_bytes

N_FFT = 2048
MAX_SPECTRA = 64  # spread over the recording: enough for a mean
CUTOFF_DB = 80.0
SILENCE_DB = 60.0
FRAME_SECONDS = 0.02
LOUDNESS_FLOOR = -120.0
CEILING = 2.0**-15  # a clipped sample is this close to the peak: the step of 16 bits
UNSTATED = 1e-3  # seconds missing of a cut file whose header does not say how long it was
QUIET_PEAK = 0.1  # below it, equal neighbours at the peak are due to coarse quantisation, not clipping


class Properties(NamedTuple):
    """Numbers that describe how a recording was made rather than what it contains."""

    duration: float  #: seconds
    loudness: float  #: root mean square, dB relative to full scale
    silence: float  #: share of the time that is 60 dB or more below the loudest 20 ms
    rolloff_95: float  #: frequency in Hz below which 95 % of the mean spectrum's power lies
    rolloff_99: float  #: the same for 99 %
    cutoff: float  #: highest frequency, in Hz, within 80 dB of the mean spectrum's peak
    sample_rate: float  #: Hz
    bit_depth: float  #: bits per sample; 0 for lossy formats
    channels: float
    file_size: float  #: bytes


N_PROPERTIES = len(Properties._fields)
N_HEAD = 2 * N_PROPERTIES + 3 + 4  # numbers before the fingerprint


class UsedPart(NamedTuple):
    """The part of a recording that a run uses, by its options ``audio`` and ``windows``."""

    sample_rate: int | None = None
    offset: float = 0.0
    channel: Channel = "mix"
    segments: Segments = Segments(duration=None)

    def recipe(self) -> dict[str, Any]:
        """List the options for the cache's key."""
        return {**self._asdict(), "segments": asdict(self.segments)}

    def cut(self, y: np.ndarray, sr: int) -> tuple[np.ndarray, int]:
        """Select this part of a whole recording: one segment, or the stretch that windows cover."""
        start, read = int(self.offset * sr), self.segments.to_read
        y = y[start : None if read is None else start + int(read * sr)]
        if self.sample_rate is not None:
            y, sr = resample(y, sr, self.sample_rate), self.sample_rate
        if self.segments.hop is None:
            return self.segments.cut(y, sr)[0], sr
        return (y if self.segments.trim is None else trimmed(y, self.segments.trim)), sr

    def read(self, sound: Path | Stretch) -> tuple[np.ndarray, int]:
        """Read this part of a recording, as `probe` measures it; all of it if the part is empty."""
        y, sr, *_ = load_whole(sound, self.channel)
        cut, rate = self.cut(y, sr)
        return (cut, rate) if cut.size else (y, sr)


class Probe(NamedTuple):
    """The measurements of one recording."""

    digest: str  #: equal if the used parts, decoded, and their rates are equal
    properties: Properties  #: of the whole recording
    used: Properties  #: of the part that a run uses
    clipped: float  #: share of clipped samples
    missing: float  #: seconds that are damaged, or that the header declares and the file lacks
    cancels: bool  #: whether the channels cancel each other out when mixed
    prints: np.ndarray  #: of the used part: see `audiofw.audit.fingerprint.fingerprint`


def probe(sound: Path | Stretch, part: UsedPart = UsedPart()) -> Probe:  # noqa: B008  # immutable
    """Read and measure a whole recording, or a whole stretch.

    Parameters
    ----------
    sound : Path or Stretch
    part : UsedPart
        The part that the run uses, and the only one in which duplicates matter; by default all.

    Raises
    ------
    DataError
        If it cannot be read; the message is only the reason.
    """
    y, sr, reader, cancels = load_whole(sound, part.channel)
    try:
        size = as_stretch(sound).path.stat().st_size
        cut, rate = part.cut(y, sr)
        whole = _properties(y, sr, reader, size)
        cut, rate = (cut, rate) if cut.size else (y, sr)
        used = _properties(cut, rate, reader, size)._replace(sample_rate=float(rate))
        missing = max(sum(gap.end - gap.start for gap in reader.gaps), UNSTATED if reader.gaps else 0.0)
        return Probe(_digest(cut, rate), whole, used, _clipped_share(y), missing, cancels, fingerprint(cut, rate))
    except OSError as error:  # it was there a moment ago
        raise DataError(f"cannot be read: {error.strerror}") from error
    except MemoryError as error:
        raise DataError("too long for this machine's memory") from error


def to_vector(probe: Probe) -> np.ndarray:
    """Convert a probe to numbers that float64 represents exactly, for storage: [shape=(n,), dtype=float64]."""
    digest = np.frombuffer(bytes.fromhex(probe.digest), "<u4")
    flaws = [probe.clipped, probe.missing, probe.cancels]
    return np.concatenate([probe.properties, probe.used, flaws, digest, probe.prints.ravel()]).astype(np.float64)


def from_vector(vector: np.ndarray) -> Probe:
    """Restore the probe that `to_vector` has converted."""
    return _restored(vector[:N_HEAD], vector[N_HEAD:].astype(np.uint32))


def _restored(head: np.ndarray, prints: np.ndarray) -> Probe:
    whole, used, flaws, digest = np.split(head, np.cumsum([N_PROPERTIES, N_PROPERTIES, 3]))
    return Probe(
        digest.astype("<u4").tobytes().hex(),
        Properties(*whole.tolist()),
        Properties(*used.tolist()),
        float(flaws[0]),
        float(flaws[1]),
        bool(flaws[2]),
        prints.reshape(2, -1),
    )


class Probes(Sequence[Probe | None]):
    """The probes of many clips, as the numbers of `to_vector`: objects would take five times the memory."""

    def __init__(self, vectors: Iterable[np.ndarray | None] = ()) -> None:
        self._heads, self._prints, self._ends = array("d"), array("I"), array("q", [0])
        for vector in vectors:
            self.append(vector)

    def append(self, vector: np.ndarray | None) -> None:
        """Add the probe of the next clip; None for a clip that cannot be read."""
        numbers = np.full(N_HEAD, np.nan) if vector is None else np.asarray(vector, np.float64)
        self._heads.frombytes(numbers[:N_HEAD].tobytes())
        self._prints.frombytes(numbers[N_HEAD:].astype(np.uint32).tobytes())
        self._ends.append(len(self._prints))

    def digest(self) -> str:
        """Hash all probes."""
        return digest_bytes(b"".join(part.tobytes() for part in (self._heads, self._prints, self._ends)))

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, place: int) -> Probe | None: ...
    @overload
    def __getitem__(self, place: slice) -> list[Probe | None]: ...
    def __getitem__(self, place: int | slice) -> Probe | list[Probe | None] | None:
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(len(self)))]
        i = range(len(self))[place]
        head = np.array(self._heads[N_HEAD * i : N_HEAD * (i + 1)])
        prints = np.array(self._prints[self._ends[i] : self._ends[i + 1]], np.uint32)
        return None if np.isnan(head[0]) else _restored(head, prints)


def _digest(y: np.ndarray, sr: int) -> str:
    samples = np.ascontiguousarray(y + np.float32(0), dtype="<f4")  # adding makes -0 and 0 one
    return digest_bytes(samples.tobytes(), key=str(sr).encode())


def _properties(y: np.ndarray, sr: int, file: Reader, size: int) -> Properties:
    power = _mean_spectrum(y)
    hz = np.linspace(0, sr / 2, len(power))
    below = np.cumsum(power, dtype=np.float64)
    mean_square = float(np.mean(np.square(y, dtype=np.float64)))
    depth = re.search(r"\d+", file.subtype) if file.subtype.startswith("PCM") else None
    return Properties(
        duration=len(y) / sr,
        loudness=10 * np.log10(mean_square) if mean_square > 10 ** (LOUDNESS_FLOOR / 10) else LOUDNESS_FLOOR,
        silence=_silent_share(y, sr),
        rolloff_95=float(hz[np.searchsorted(below, 0.95 * below[-1])]),
        rolloff_99=float(hz[np.searchsorted(below, 0.99 * below[-1])]),
        cutoff=float(hz[np.flatnonzero(power >= 10 ** (-CUTOFF_DB / 10) * power.max())[-1]]),
        sample_rate=float(file.samplerate),
        bit_depth=float({"FLOAT": 32, "DOUBLE": 64}.get(file.subtype, depth and depth.group()) or 0),
        channels=float(file.channels),
        file_size=float(size),
    )


def _mean_spectrum(y: np.ndarray) -> np.ndarray:
    """Compute the mean power spectrum from 0 to half the sample rate, [shape=(1025,)]."""
    y = np.pad(y, (0, max(0, N_FFT - len(y))))
    frames = sliding_window_view(y, N_FFT)[:: max(N_FFT, len(y) // MAX_SPECTRA)]
    # Blackman window: the side lobes of a Hann window would hide an encoder's cutoff
    import scipy.fft  # keeps float32; an invalid run should not wait for it

    spectra = scipy.fft.rfft(frames * np.blackman(N_FFT).astype(np.float32))
    return np.mean(np.square(spectra.real) + np.square(spectra.imag), axis=0)


def _silent_share(y: np.ndarray, sr: int) -> float:
    n = min(len(y), max(1, round(FRAME_SECONDS * sr)))
    level = np.square(y[: len(y) // n * n].reshape(-1, n)).mean(axis=1)
    return float(np.mean(level <= 10 ** (-SILENCE_DB / 10) * level.max()))


def _clipped_share(y: np.ndarray) -> float:
    """Compute the share of clipped samples: three or more neighbours at the peak, or any beyond full scale."""
    level = np.abs(y)
    peak = level.max(initial=0.0)
    if peak < QUIET_PEAK:
        return 0.0
    at_peak = level >= peak - CEILING
    if peak <= 1 and np.count_nonzero(at_peak) < 3:
        return 0.0
    top = np.concatenate([[False, False], at_peak, [False, False]])
    middle = top[1:-1] & top[:-2] & top[2:]  # with a neighbour on each side
    flat = middle[1:-1] | middle[:-2] | middle[2:]
    return float(np.mean(flat | (level > 1)))
