"""Time feature extraction on one thread, side by side on the same clips in memory.

python benchmarks/kernels.py mel|nine|twelve|egemaps FOLDER
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from data import sounds
from peers import peer

from audiofw import spectral
from audiofw.audio.load import load
from audiofw.contract.registry import load_menus

CLIPS, ROUNDS = 20, 12
Kernel = Callable[[np.ndarray, int], Any]


def main(which: str, folder: str) -> None:
    files = sounds(Path(folder))
    clips = [load(path, duration=3.0, silence="keep") for path in files[:: max(1, len(files) // CLIPS)][:CLIPS]]
    theirs, ours = {"mel": mel, "nine": nine, "twelve": twelve, "egemaps": egemaps}[which]()
    said: dict[str, Any] = side_by_side(theirs, ours, clips)
    if which == "mel":
        said["difference"] = max(float(np.abs(theirs(*clip) - ours(*clip)).max()) for clip in clips)
    sys.stdout.write(json.dumps(said) + "\n")


def side_by_side(theirs: Kernel, ours: Kernel, clips: list[tuple[np.ndarray, int]]) -> dict[str, list[float]]:
    """Time both alternately after a warm-up round: ms of CPU time per clip for each round."""
    times: dict[str, list[float]] = {"theirs": [], "ours": []}
    for _ in range(1 + ROUNDS):
        for name, kernel in (("theirs", theirs), ("ours", ours)):
            started = time.process_time()  # one thread's, and so the time that it takes on an idle machine
            for clip in clips:
                kernel(*clip)
            times[name].append(1000 * (time.process_time() - started) / len(clips))
    return {name: values[1:] for name, values in times.items()}


def mel() -> tuple[Kernel, Kernel]:
    librosa = peer("librosa")

    def theirs(y: np.ndarray, sr: int) -> np.ndarray:
        return np.asarray(librosa.power_to_db(librosa.feature.melspectrogram(y=y, sr=sr), ref=np.max))

    def ours(y: np.ndarray, sr: int) -> np.ndarray:
        return spectral.power_to_db(spectral.melspectrogram(y=y, sr=sr), ref="max")

    return theirs, ours


def nine() -> tuple[Kernel, Kernel]:
    of = peer("librosa").feature
    calls = (
        *(of.melspectrogram, of.mfcc, of.chroma_stft, of.spectral_centroid, of.spectral_bandwidth),
        *(of.spectral_rolloff, of.spectral_contrast),
    )

    def theirs(y: np.ndarray, sr: int) -> list[np.ndarray]:
        return [call(y=y, sr=sr) for call in calls] + [of.rms(y=y), of.zero_crossing_rate(y)]

    return theirs, nine_of_ours


NINE = (
    *("melspectrogram", "mfcc", "chroma_stft", "spectral_centroid", "spectral_bandwidth", "spectral_rolloff"),
    *("spectral_contrast", "rms", "zero_crossing_rate"),
)


def nine_of_ours(y: np.ndarray, sr: int) -> dict[str, np.ndarray]:
    return spectral.feature_set(y, sr=sr, only=NINE)


def twelve() -> tuple[Kernel, Kernel]:
    """All descriptors of the feature plugin `descriptors`, stacked, with mel bands in dB."""
    librosa, (theirs_of_nine, _) = peer("librosa"), nine()
    descriptors = load_menus().choose_member("feature", "descriptors", {})

    def theirs(y: np.ndarray, sr: int) -> list[np.ndarray]:
        rise = np.maximum(np.diff(np.abs(librosa.stft(y))), 0).mean(axis=0)  # librosa has no spectral flux
        more = [librosa.feature.spectral_flatness(y=y), librosa.onset.onset_strength(y=y, sr=sr), rise]
        return [*theirs_of_nine(y, sr), *more]

    return theirs, descriptors


def egemaps() -> tuple[Kernel, Kernel]:
    opensmile = peer("opensmile")
    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    return smile.process_signal, nine_of_ours


if __name__ == "__main__":
    main(*sys.argv[1:])
