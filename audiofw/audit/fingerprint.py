"""Audio fingerprints: find recordings of the same sound whose samples differ (re-encoded, louder, shifted, cut).

After Haitsma and Kalker (ISMIR 2002): 33 mel bands from 100 to 7600 Hz, frames of 64 ms every 16 ms. Each of a frame's
32 bits says whether the level difference of two neighbouring bands has grown in the last 64 ms; a second word marks the
reliable bits, those more than 1.5 dB from the decision threshold. Gain cancels out; silence, hum and other steady sound
have no reliable bits, so there is nothing to match.

Short recordings have few bits, and two utterances of a word by one speaker agree in most of them, so the audit also
compares the waveforms there (`same_waveform`).

Measured by ``python benchmarks/fingerprint.py ARCHIVE EVERY``: all recordings are searched for among each other, and
copies of every EVERY-th among all of them:

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

The three further pairs of ESC-10 that match are true duplicates: their waveforms agree, second by second. A search
among 100 000 random fingerprints of 5 s took 46 s and 1.9 GB. Of 1 000, 4 000 and 20 000 copies of ten sounds, it finds
the sets in 1.9 s, 3.8 s (5 s each) and 4.3 s (0.3 s each), in less than 0.5 GB.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

SR = 16000
N_FFT = 1024
HOP = 256
LAG = N_FFT // HOP  # frames at this distance do not overlap
BITS = 32
FLOOR = 1e-6  # of the loudest band: what is 60 dB below it is silence, or depends on the encoder
SURE_DB = 1.5
ROUND_DB = 0.3  # so that the bits of empty bands agree, too: they are part of the search keys
MIN_INFO = 60
MIN_COVER = 0.5
ENOUGH_INFO = 2000
SAME_WAVEFORM = 0.92
WAVEFORM_SR = 8000
NEIGHBOURS = 7
MOST_REFUSED = 50  # comparisons that show different sounds, after which a recording is compared only with fresh ones
MOST_AT_ONCE = 2_000_000  # pairs of frames: more are compared in batches, to bound the memory
MOST_SORTED = 20_000_000  # frames


class Match(NamedTuple):
    """Two recordings of one sound."""

    a: int  #: index of the first fingerprint
    b: int  #: index of the second
    shift: float  #: seconds by which the sound is later in ``b`` than in ``a``
    score: float  #: agreement of the reliable bits, from -1 to 1; about 0 for unrelated sounds
    info: int  #: number of bits compared; below `ENOUGH_INFO`, also check `same_waveform`


def fingerprint(y: np.ndarray, sr: int) -> np.ndarray:
    """Compute the fingerprint of a recording: 500 bytes per second.

    Parameters
    ----------
    y : np.ndarray [shape=(n,), dtype=float32]
        The samples.
    sr : int
        Sample rate in Hz.

    Returns
    -------
    np.ndarray [shape=(2, frames), dtype=uint32]
        Bits, and which of them are reliable. Sounds shorter than 0.13 s have no frames.
    """
    bands = _bands(np.asarray(y, dtype=np.float32), sr)
    if len(bands) <= LAG or not bands.any():
        return np.zeros((2, 0), np.uint32)
    level = 10 * np.log10(bands + FLOOR * bands.max())
    step = level[:, :-1] - level[:, 1:]
    change = step[LAG:] - step[:-LAG]
    return np.stack([_packed(change > ROUND_DB), _packed(np.abs(change) > SURE_DB)])


def near_pairs(prints: Sequence[np.ndarray], accepts: Callable[[Match], bool] | None = None) -> list[Match]:
    """Find recordings of the same sound without comparing all pairs.

    Candidate pairs share a word of bits, found by sorting; each candidate is then compared in full.

    Parameters
    ----------
    prints : Sequence[np.ndarray]
        As `fingerprint` returns them.
    accepts : callable, optional
        Decides on each match. With it, only enough pairs are found to connect all recordings of a sound, so that time
        and memory grow with the number of recordings, however many are copies of each other.

    Returns
    -------
    list[Match]
        Sorted by ``a`` and ``b``, with ``a < b``. Among many equal recordings, each is matched with some, not all.
    """
    if not (total := sum(one.shape[1] for one in prints)):
        return []
    codes = np.concatenate(prints, axis=1)
    starts = np.cumsum([0, *(one.shape[1] for one in prints)])
    width = int(np.clip(np.ceil(np.log2(total)) + 4, 16, BITS))
    search = _Search(prints, accepts)
    owner = np.repeat(np.arange(len(prints), dtype=np.int32), np.diff(starts))
    for one, two in _batches(_shared(codes, owner, width, low) for low in {0, BITS - width}):
        new = search.is_open(owner[one], owner[two])
        for pair, shifts in _candidates(codes, starts, owner, one[new], two[new]).items():
            search.compare(*pair, shifts)
    return [search.best[pair] for pair in sorted(search.best)]


class _Search:
    """Compare candidates: all of them or, with ``accepts``, only those that are not yet known to be one sound."""

    def __init__(self, prints: Sequence[np.ndarray], accepts: Callable[[Match], bool] | None) -> None:
        self.best: dict[tuple[int, int], Match] = {}
        self._prints = prints
        self._accepts = accepts
        self._parent = list(range(len(prints)))  # of each recording, in a tree of those of its sound
        self._refused = [0] * len(prints)

    def is_open(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Mask of the pairs of recordings that are not yet known to be one sound."""
        if not self.best or not self._accepts:
            return np.ones(len(a), bool)
        roots = np.array(self._parent)
        while not np.array_equal(roots, further := roots[roots]):
            roots = further
        return roots[a] != roots[b]

    def compare(self, a: int, b: int, shifts: Sequence[int]) -> None:
        """Compare two recordings at some shifts, and keep the best match."""
        if self._accepts and not self._is_worth_it(a, b):
            return
        for shift in shifts:
            score, info = similarity(self._prints[a], self._prints[b], shift)
            if score >= least_similarity(info) and ((a, b) not in self.best or self.best[a, b].score < score):
                self.best[a, b] = Match(a, b, shift * HOP / SR, score, info)
        if self._accepts:
            self._decide(a, b, self._accepts)

    def _is_worth_it(self, a: int, b: int) -> bool:
        return min(self._refused[a], self._refused[b]) < MOST_REFUSED and self._root(a) != self._root(b)

    def _decide(self, a: int, b: int, accepts: Callable[[Match], bool]) -> None:
        if (a, b) in self.best and accepts(self.best[a, b]):
            self._parent[self._root(b)] = self._root(a)
            return
        self.best.pop((a, b), None)
        self._refused[a] += 1
        self._refused[b] += 1

    def _root(self, i: int) -> int:
        while self._parent[i] != i:
            self._parent[i] = i = self._parent[self._parent[i]]
        return i


def similarity(a: np.ndarray, b: np.ndarray, shift: int) -> tuple[float, int]:
    """Compare two fingerprints with ``b`` shifted by ``shift`` frames: their agreement, and how many bits are compared.

    Both are 0 if they overlap too little: in fewer than 60 bits, or less than half of the shorter one's.
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


def least_similarity(info: int) -> float:
    """Compute the agreement needed for a match on ``info`` bits: fewer bits agree more easily by chance."""
    return 0.5 + 3 / np.sqrt(max(info, 1))


def same_waveform(a: tuple[np.ndarray, int], b: tuple[np.ndarray, int]) -> bool:
    """Check whether two short sounds ``(y, sr)`` have one waveform: fingerprints of a repeated word are alike, too.

    The waveforms below 4 kHz are correlated at every shift; gain and polarity do not matter.
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
    """Compute the power in each band, [shape=(frames, 33)]."""
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
    """Count the set bits of each word."""
    if hasattr(np, "bitwise_count"):
        return np.bitwise_count(words)
    bits = np.unpackbits(np.ascontiguousarray(words)[..., None].view(np.uint8), axis=-1)
    return bits.sum(axis=-1)


def _batches(shared: Iterable[Iterable[np.ndarray]]) -> Iterator[np.ndarray]:
    """Put pairs of frames together, [shape=(2, pairs)]: all of them, or in batches if there are many."""
    waiting: list[np.ndarray] = []
    for pairs in chain.from_iterable(shared):
        if waiting and sum(each.shape[1] for each in waiting) + pairs.shape[1] > MOST_AT_ONCE:
            yield np.concatenate(waiting, axis=1)
            waiting = []
        *full, rest = np.split(pairs, range(MOST_AT_ONCE, pairs.shape[1], MOST_AT_ONCE), axis=1)
        yield from full
        waiting.append(rest)
    if waiting:
        yield np.concatenate(waiting, axis=1)


def _candidates(
    codes: np.ndarray, starts: np.ndarray, owner: np.ndarray, one: np.ndarray, two: np.ndarray
) -> dict[tuple[int, int], list[int]]:
    """Find the pairs of recordings whose frames also agree around these, and the shifts with the most frames."""
    alike = _alike(codes, starts, owner, one, two)
    one, two = one[alike], two[alike]
    a, b = owner[one].astype(np.int64), owner[two]
    shift = (two - starts[b]) - (one - starts[a])
    n, least, span = len(starts), shift.min(initial=0), int(np.ptp(shift)) + 1 if shift.size else 1
    found, votes = np.unique((a * n + b) * span + (shift - least), return_counts=True)  # faster than of triples
    pairs, shifts = np.divmod(found[np.argsort(-votes, kind="stable")], span)
    return _most_voted(zip(*(each.tolist() for each in (*np.divmod(pairs, n), shifts + least)), strict=True))


def _most_voted(triples: Iterable[tuple[int, int, int]], most: int = 4) -> dict[tuple[int, int], list[int]]:
    seen: dict[tuple[int, int], list[int]] = {}
    for a, b, shift in triples:
        shifts = seen.setdefault((a, b), [])
        if len(shifts) < most:
            shifts.append(shift)
    return seen


def _shared(codes: np.ndarray, owner: np.ndarray, width: int, low: int) -> Iterator[np.ndarray]:
    """Find frames of different recordings with the same word: their indices, [shape=(2, pairs)] for each distance."""
    part = np.uint32((1 << width) - 1 << low)
    sure = np.flatnonzero(_ones(codes[1] & part) >= width // 2)
    n_parts = -(-len(sure) // MOST_SORTED) or 1
    of_part = (codes[0, sure] & part) >> np.uint32(low)
    for number in range(n_parts):
        places = sure if n_parts == 1 else sure[of_part % n_parts == number]
        yield from _neighbours(codes[0, places] & part, places, owner)


def _neighbours(words: np.ndarray, places: np.ndarray, owner: np.ndarray) -> Iterator[np.ndarray]:
    order = np.lexsort((places, words))
    words, places = words[order], places[order]
    # a sound that repeats within one recording must not crowd out the others
    first = np.r_[True, (words[1:] != words[:-1]) | (owner[places[1:]] != owner[places[:-1]])][: len(words)]
    words, places = words[first], places[first]
    for apart in range(1, NEIGHBOURS + 1):
        same = np.flatnonzero(words[apart:] == words[:-apart])
        yield np.stack([places[same], places[same + apart]])


def _alike(codes: np.ndarray, starts: np.ndarray, owner: np.ndarray, one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Check whether the frames around two frames agree, too, before comparing in full."""
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
    """Check whether frames belong to the same recordings as the frames ``of``."""
    return (frames >= starts[owner[of]]) & (frames < starts[owner[of] + 1])
