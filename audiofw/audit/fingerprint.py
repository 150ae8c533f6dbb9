"""Which recordings are the same sound, though their samples differ: re-encoded, louder, later, cut.

After Haitsma and Kalker (ISMIR 2002): 33 mel bands from 100 to 7600 Hz, frames of 64 ms every 16 ms; each of 32 bits of
a frame says whether the step from one band to the next has grown in the last 64 ms, and a second word says which of the
bits are sure, i.e. more than 1.5 dB away from undecided. Gain cancels; silence, hum and other steady sound have no sure
bits, hence nothing to match.

Short recordings have few bits, and a word said twice by one speaker agrees on most: there the audit also compares the
waves (`same_waveform`).

Measured by ``python benchmarks/fingerprint.py ARCHIVE EVERY``, all recordings sought among each other, and copies of
every EVERY-th among all:

===========================  =================================  =======================================
what                         ESC-10: 400 of 5 s, 44.1 kHz       FSDD: 3000 words of 0.1 to 2 s, 8 kHz
===========================  =================================  =======================================
false alarms                 0 of 79 797 pairs                  0 of 4 498 500 pairs
found: gain of -6 dB         100 % of 100 copies                99.7 % of 300 copies
Ogg, default; least quality  100 %; 100 %                       97 %; 87 %
MP3, default; least quality  100 %; 100 %                       92 %; 73 %
first 100 ms; 88 ms cut      100 %; 100 %                       89 %; 87 %
100 ms of silence before     100 %                              99 %
resampled to 22 050 Hz       100 %                              99.7 %
-6 dB, 100 ms later, MP3     100 %                              87 %
time                         2.5 ms each, search 0.03 s in all  0.4 ms each, search 0.2 s in all
===========================  =================================  =======================================

The three other pairs of ESC-10 that match are of one recording each: their waves agree, second by second. Of 100 000
random fingerprints of 5 s, the search took 46 s and 1.9 GB.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

SR = 16000
N_FFT = 1024
HOP = 256
LAG = N_FFT // HOP  # frames that share no sample
BITS = 32
FLOOR = 1e-6  # of the loudest band: what lies 60 dB below it is silence, or the encoder's choice
SURE_DB = 1.5
ROUND_DB = 0.3  # bits of bands that are empty must agree, too: they are a part of the keys
MIN_INFO = 60
MIN_COVER = 0.5
ENOUGH_INFO = 2000
SAME_WAVEFORM = 0.92
WAVEFORM_SR = 8000
NEIGHBOURS = 7


class Match(NamedTuple):
    """Two recordings of one sound."""

    a: int  #: place of the first among the fingerprints
    b: int  #: place of the second
    shift: float  #: seconds by which the sound is later in ``b`` than in ``a``
    score: float  #: agreement of the sure bits, from -1 to 1; unrelated sound has about 0
    info: int  #: number of bits compared; below `ENOUGH_INFO`, ask `same_waveform`, too


def fingerprint(y: np.ndarray, sr: int) -> np.ndarray:
    """The fingerprint of one recording: 500 bytes for each second.

    Parameters
    ----------
    y : np.ndarray [shape=(n,), dtype=float32]
        The samples.
    sr : int
        Their rate, in Hz.

    Returns
    -------
    np.ndarray [shape=(2, frames), dtype=uint32]
        Bits, and which of them are sure. Sound of less than 0.13 s has no frame.
    """
    bands = _bands(np.asarray(y, dtype=np.float32), sr)
    if len(bands) <= LAG or not bands.any():
        return np.zeros((2, 0), np.uint32)
    level = 10 * np.log10(bands + FLOOR * bands.max())
    step = level[:, :-1] - level[:, 1:]
    change = step[LAG:] - step[:-LAG]
    return np.stack([_packed(change > ROUND_DB), _packed(np.abs(change) > SURE_DB)])


def near_pairs(prints: Sequence[np.ndarray]) -> list[Match]:
    """Find the recordings that are the same sound, without comparing each with each.

    Candidates share a word of bits, found by sorting; each candidate is then compared as a whole.

    Parameters
    ----------
    prints : Sequence[np.ndarray]
        What `fingerprint` gave of each recording.

    Returns
    -------
    list[Match]
        Sorted by ``a`` and ``b``, with ``a < b``. Of many equals, each is matched with some others, not with all.
    """
    if not (total := sum(one.shape[1] for one in prints)):
        return []
    codes = np.concatenate(prints, axis=1)
    starts = np.cumsum([0, *(one.shape[1] for one in prints)])
    best: dict[tuple[int, int], Match] = {}
    width = int(np.clip(np.ceil(np.log2(total)) + 4, 16, BITS))
    for a, b, shift in _candidates(codes, starts, width):
        score, info = similarity(prints[a], prints[b], shift)
        if score >= threshold(info) and ((a, b) not in best or best[a, b].score < score):
            best[a, b] = Match(a, b, shift * HOP / SR, score, info)
    return [best[pair] for pair in sorted(best)]


def similarity(a: np.ndarray, b: np.ndarray, shift: int) -> tuple[float, int]:
    """How well two fingerprints agree when ``b`` is taken ``shift`` frames later, and on how many bits that stands.

    Zeros when they have too little in common: fewer than 60 bits, or less than half of the shorter one's.
    """
    n = min(a.shape[1], b.shape[1] - shift) - max(0, -shift)
    if n <= 0:
        return 0.0, 0
    first, second = a[:, max(0, -shift) :][:, :n], b[:, max(0, shift) :][:, :n]
    sure = first[1] & second[1]
    info = int(_ones(sure).sum())
    whole = min(int(_ones(a[1]).sum()), int(_ones(b[1]).sum()))
    if info < max(MIN_INFO, MIN_COVER * whole):
        return 0.0, 0
    return 1 - 2 * int(_ones((first[0] ^ second[0]) & sure).sum()) / info, info


def threshold(info: int) -> float:
    """The least agreement on ``info`` bits that counts: fewer bits agree more easily by chance."""
    return 0.5 + 3 / np.sqrt(max(info, 1))


def same_waveform(a: tuple[np.ndarray, int], b: tuple[np.ndarray, int]) -> bool:
    """Whether two short sounds ``(y, sr)`` are one to the wave: the fingerprints of a word said twice are alike, too.

    The waves below 4 kHz are correlated at every shift; gain and polarity do not matter.
    """
    import scipy.fft
    import soxr

    x, y = (wave if sr == WAVEFORM_SR else soxr.resample(wave, sr, WAVEFORM_SR) for wave, sr in (a, b))
    n = scipy.fft.next_fast_len(len(x) + len(y), real=True)
    product = scipy.fft.irfft(scipy.fft.rfft(x, n) * scipy.fft.rfft(y, n).conj(), n)
    place = int(np.abs(product).argmax())
    late = place if place < len(x) else place - n
    x, y = x[max(0, late) :], y[max(0, -late) :]
    x, y = x[: len(y)], y[: len(x)]
    return bool(abs(x @ y) >= SAME_WAVEFORM * np.sqrt((x @ x) * (y @ y)) > 0)


def _bands(y: np.ndarray, sr: int) -> np.ndarray:
    """Power in each band, [shape=(frames, 33)]."""
    import soxr

    from audiofw.spectral import melspectrogram

    y = soxr.resample(y, sr, SR) if sr != SR else y
    if len(y) < N_FFT:
        return np.zeros((0, BITS + 1), np.float32)
    return melspectrogram(y=y, sr=SR, n_fft=N_FFT, hop_length=HOP, n_mels=BITS + 1, fmin=100, fmax=7600, center=False).T


def _packed(bits: np.ndarray) -> np.ndarray:
    words = np.packbits(np.ascontiguousarray(bits), axis=1, bitorder="little")
    return np.ascontiguousarray(words).view("<u4").ravel().astype(np.uint32)


def _ones(words: np.ndarray) -> np.ndarray:
    """Number of set bits of each word."""
    if hasattr(np, "bitwise_count"):
        return np.bitwise_count(words)
    bits = np.unpackbits(np.ascontiguousarray(words)[..., None].view(np.uint8), axis=-1)
    return bits.sum(axis=-1)


def _candidates(codes: np.ndarray, starts: np.ndarray, width: int) -> Iterator[tuple[int, int, int]]:
    """Pairs of recordings and shifts at which they share a word of ``width`` bits and agree around it."""
    owner = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    found = [_shared(codes, owner, width, low) for low in {0, BITS - width}]
    one, two = np.concatenate(found, axis=1)
    alike = _alike(codes, starts, owner, one, two)
    one, two = one[alike], two[alike]
    a, b = owner[one], owner[two]
    shift = (two - starts[b]) - (one - starts[a])
    triples, votes = np.unique(np.stack([a, b, shift]), axis=1, return_counts=True)
    yield from _most_voted(triples[:, np.argsort(-votes, kind="stable")])


def _most_voted(triples: np.ndarray, most: int = 4) -> Iterator[tuple[int, int, int]]:
    seen: dict[tuple[int, int], int] = {}
    for a, b, shift in triples.T.tolist():
        seen[a, b] = seen.get((a, b), 0) + 1
        if seen[a, b] <= most:
            yield a, b, shift


def _shared(codes: np.ndarray, owner: np.ndarray, width: int, low: int) -> np.ndarray:
    """Places of frames of different recordings with the same word, [shape=(2, pairs)]."""
    part = np.uint32((1 << width) - 1 << low)
    places = np.flatnonzero(_ones(codes[1] & part) >= width // 2)
    words = codes[0, places] & part
    order = np.lexsort((places, words))
    words, places = words[order], places[order]
    # A sound that repeats within one recording must not crowd out the others.
    first = np.r_[True, (words[1:] != words[:-1]) | (owner[places[1:]] != owner[places[:-1]])][: len(words)]
    words, places = words[first], places[first]
    pairs = []
    for apart in range(1, NEIGHBOURS + 1):
        same = np.flatnonzero(words[apart:] == words[:-apart])
        pairs.append(np.stack([places[same], places[same + apart]]))
    return np.concatenate(pairs, axis=1)


def _alike(codes: np.ndarray, starts: np.ndarray, owner: np.ndarray, one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Whether the frames around two frames agree, too: a quick look before the whole is compared."""
    agree, info = np.zeros(len(one)), np.zeros(len(one))
    for step in range(-4 * LAG, 4 * LAG + 1, 2):
        i, j = one + step, two + step
        inside = _within(i, one, starts, owner) & _within(j, two, starts, owner)
        i, j = np.where(inside, i, one), np.where(inside, j, two)
        sure = codes[1, i] & codes[1, j]
        info += _ones(sure) * inside
        agree += _ones(~(codes[0, i] ^ codes[0, j]) & sure) * inside
    return agree >= 0.7 * np.maximum(info, MIN_INFO / 4)


def _within(frames: np.ndarray, of: np.ndarray, starts: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Whether frames belong to the recordings that the frames ``of`` belong to."""
    return (frames >= starts[owner[of]]) & (frames < starts[owner[of] + 1])
