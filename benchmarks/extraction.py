"""Time one library: a folder of audio files to a table of mel spectrograms in dB, on all cores.

python benchmarks/extraction.py librosa|torchaudio|audiofw FOLDER [OUT.npy]
"""

from __future__ import annotations

import json
import os
import sys
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

SECONDS, SR = 3.0, 22050


def main(library: str, folder: str, out: str = "") -> None:
    make = {"librosa": by_librosa, "torchaudio": by_torchaudio, "audiofw": by_audiofw}[library]()
    started = time.perf_counter()
    X = make(Path(folder))
    seconds = time.perf_counter() - started
    if out:
        np.save(out, X)
    sys.stdout.write(json.dumps({"seconds": seconds, "clips": len(X)}) + "\n")


def by_audiofw() -> Any:
    from audiofw.audio.segments import Segments
    from audiofw.contract.registry import load_menus
    from audiofw.data.dataset import find_clips
    from audiofw.extraction.extract import tabulate
    from audiofw.extraction.recording import Unit

    menus = load_menus()
    unit = Unit(
        sample_rate=SR,
        offset=0.0,
        silence="keep",
        feature=menus.choose("feature", {"name": "mel"}),
        pooling=menus.choose("pooling", {"name": "flatten"}),
        segments=Segments(SECONDS),
    )
    return lambda folder: tabulate(find_clips(folder).clips, unit, progress="").X


def by_librosa() -> Any:
    from peers import peer

    joblib = peer("joblib")

    def make(folder: Path) -> np.ndarray:
        from data import sounds

        tasks = (joblib.delayed(librosa_row)(str(path)) for path in sounds(folder))
        return stack(joblib.Parallel(n_jobs=-1)(tasks))

    return make


def librosa_row(path: str) -> np.ndarray:
    import librosa

    y, sr = librosa.load(path, duration=SECONDS)
    return librosa.power_to_db(librosa.feature.melspectrogram(y=y, sr=sr), ref=np.max).T.ravel()


def by_torchaudio() -> Any:
    from peers import peer

    torch, torchaudio = peer("torch"), peer("torchaudio")
    import soundfile
    from data import sounds

    torch.set_num_threads(os.cpu_count() or 1)
    of = torchaudio.transforms
    mel = of.MelSpectrogram(
        SR, 2048, hop_length=512, n_mels=128, norm="slaney", mel_scale="slaney", pad_mode="constant"
    )
    resampler = lru_cache(lambda sr: of.Resample(sr, SR))

    def row(path: Path) -> np.ndarray:
        with soundfile.SoundFile(path) as file:  # torchaudio.load now needs TorchCodec
            sr = file.samplerate
            y = torch.from_numpy(file.read(int(SECONDS * sr), dtype="float32", always_2d=True)).mean(dim=1)
        if sr != SR:
            y = resampler(sr)(y)
        power = mel(y)
        decibels = torchaudio.functional.amplitude_to_DB(power, 10.0, 1e-10, float(power.max().log10()), 80.0)
        return np.asarray(decibels.T.reshape(-1).numpy())

    def make(folder: Path) -> np.ndarray:
        with torch.inference_mode():
            return stack([row(path) for path in sounds(folder)])

    return make


def stack(rows: list[np.ndarray]) -> np.ndarray:
    """Stack rows, padding each with its minimum, as audiofw does."""
    X = np.empty((len(rows), max(len(row) for row in rows)), np.float32)
    for line, row in zip(X, rows, strict=True):
        line[: len(row)], line[len(row) :] = row, row.min()
    return X


if __name__ == "__main__":
    main(*sys.argv[1:])
