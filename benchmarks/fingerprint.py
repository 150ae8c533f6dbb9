"""Measure how often the audio fingerprint finds a copy, and how often it matches two different recordings.

    python benchmarks/fingerprint.py ARCHIVE [EVERY]

All recordings are compared with each other. A matched pair is a false positive, unless the file names show a common
source (``2-122104-A``, ``2-122104-B``) or the sounds really are the same, so listen to them. Every EVERY-th recording
is then copied in each of the ways below, and the copies are searched for among all recordings.
"""

from __future__ import annotations

import io
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import soundfile
import soxr
from threadpoolctl import threadpool_limits

from audiofw.audit.fingerprint import ENOUGH_INFO, Match, fingerprint, near_pairs, same_waveform
from audiofw.data.provenance import evident_groups

Sound = tuple[np.ndarray, int]


def encoded(kind: str, subtype: str, level: float | None = None) -> Callable[[np.ndarray, int], Sound]:
    options = {} if level is None else {"compression_level": level}

    def copy(y: np.ndarray, sr: int) -> Sound:
        file = io.BytesIO()
        soundfile.write(file, y, sr, format=kind, subtype=subtype, **options)
        file.seek(0)
        return soundfile.read(file, dtype="float32")

    return copy


def delayed(y: np.ndarray, sr: int) -> Sound:
    return np.concatenate([np.zeros(sr // 10, y.dtype), y]), sr


def all_at_once(y: np.ndarray, sr: int) -> Sound:
    return encoded("MP3", "MPEG_LAYER_III")(*delayed(y / 2, sr))


COPIES: dict[str, Callable[[np.ndarray, int], Sound]] = {
    "gain -6 dB": lambda y, sr: (y / 2, sr),
    "ogg": encoded("OGG", "VORBIS"),
    "ogg, least quality": encoded("OGG", "VORBIS", 0.9),
    "mp3": encoded("MP3", "MPEG_LAYER_III"),
    "mp3, least quality": encoded("MP3", "MPEG_LAYER_III", 0.9),
    "first 100 ms cut": lambda y, sr: (y[sr // 10 :], sr),
    "first 88 ms cut": lambda y, sr: (y[round(sr * 0.088) :], sr),
    "100 ms later": delayed,
    "at 22 050 Hz": lambda y, sr: (soxr.resample(y, sr, 22050), 22050),
    "-6 dB, later, mp3": all_at_once,
}


def recordings(archive: str) -> Iterator[tuple[str, np.ndarray, int]]:
    with zipfile.ZipFile(archive) as file:
        for name in sorted(file.namelist()):
            if name.endswith((".wav", ".ogg", ".flac", ".mp3")):
                y, sr = soundfile.read(io.BytesIO(file.read(name)), dtype="float32", always_2d=True)
                yield name, y.mean(axis=1), sr


def same(match: Match, sounds: Sequence[Sound]) -> bool:
    """The audit's criterion for the same sound: for short ones, the waveforms must match as well."""
    return match.info >= ENOUGH_INFO or same_waveform(sounds[match.a], sounds[match.b])


def main(archive: str, every: int = 1) -> None:
    names, waves, rates = zip(*recordings(archive), strict=True)
    sounds = list(zip(waves, rates, strict=True))
    start = time.perf_counter()
    prints = [fingerprint(y, sr) for y, sr in sounds]
    took = (time.perf_counter() - start) / len(prints)
    start = time.perf_counter()
    alike = near_pairs(prints)
    search = time.perf_counter() - start
    found = [match for match in alike if same(match, sounds)]
    say = sys.stdout.write
    say(f"{len(prints)} recordings, fingerprint {1000 * took:.1f} ms each, search {search:.2f} s in total\n")
    say(f"matched originals: {len(found)} of {len(prints) * (len(prints) - 1) // 2} pairs")
    say(f" ({len(alike)} by fingerprint alone); those whose names do not show a common source:\n")
    sources = evident_groups(names) or list(names)
    for match in sorted(found, key=lambda match: -match.score):
        if sources[match.a] != sources[match.b]:
            say(f"  {match.score:.2f} {match.shift:+.2f} s  {names[match.a]}  {names[match.b]}\n")
    for kind, copy in COPIES.items():
        say(f"{kind:20s} found {_hits(prints, sounds, copy, every):7.2%}\n")


def _hits(prints: list[np.ndarray], sounds: list[Sound], copy: Callable[..., Sound], every: int) -> float:
    """Fraction of the copies that are found among all originals and copies."""
    originals = range(0, len(sounds), every)
    copies = [copy(*sounds[i]) for i in originals]
    every_sound = [*sounds, *copies]
    matches = near_pairs([*prints, *(fingerprint(y, sr) for y, sr in copies)])
    pairs = set(zip(originals, range(len(sounds), len(every_sound)), strict=True))
    return sum((match.a, match.b) in pairs and same(match, every_sound) for match in matches) / len(copies)


if __name__ == "__main__":
    with threadpool_limits(1):  # as in the workers of a run
        main(sys.argv[1], *(int(word) for word in sys.argv[2:]))
