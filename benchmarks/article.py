"""The tutorial's script, step by step: the reference for whole runs.

    python benchmarks/article.py ARCHIVE

Unzip, plot one clip per class, load 3 s of each clip, mel spectrogram in dB, zero-pad to the longest, flatten, 80:20
split, scikit-learn's gradient boosting with its defaults, accuracy, F1 and confusion matrix. Not optimised on purpose.
"""

from __future__ import annotations

import json
import sys
import tempfile
import zipfile
from pathlib import Path

import librosa
import matplotlib as mpl
import numpy as np
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import LabelEncoder


def main(archive: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(folder)
        paths = sorted(Path(folder).rglob("*.wav"))
        draw(paths, Path(folder))
        X = table(paths)
        y = LabelEncoder().fit_transform([path.parent.name for path in paths])
        X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=42)
        model = GradientBoostingClassifier(random_state=42).fit(X_train, y_train)
        predictions = model.predict(X_test)
    confusion_matrix(y_test, predictions)
    f1 = f1_score(y_test, predictions, average="macro")
    sys.stdout.write(json.dumps({"accuracy": accuracy_score(y_test, predictions), "f1": f1}) + "\n")


def draw(paths: list[Path], folder: Path) -> None:
    """Plot the waveform and the mel spectrogram of one clip per class."""
    mpl.use("agg")
    import librosa.display
    import matplotlib.pyplot as plt

    first = {path.parent.name: path for path in reversed(paths)}
    fig, axes = plt.subplots(len(first), 2, figsize=(12, 4 * len(first)))
    for (left, right), path in zip(axes, first.values(), strict=True):
        y, sr = librosa.load(path, duration=3)
        librosa.display.waveshow(y, sr=sr, ax=left)
        librosa.display.specshow(mel_in_db(y, sr).T, sr=sr, x_axis="time", y_axis="mel", ax=right)
    fig.savefig(folder / "clips.png")


def mel_in_db(y: np.ndarray, sr: float) -> np.ndarray:
    """Mel spectrogram of one clip in dB, time-major: ``(frames, n_mels)``."""
    return librosa.power_to_db(librosa.feature.melspectrogram(y=y, sr=sr), ref=np.max).T


def table(paths: list[Path]) -> np.ndarray:
    """Feature table: the flattened spectrograms, zero-padded to the longest."""
    spectrograms = [mel_in_db(*librosa.load(path, duration=3)) for path in paths]
    longest = max(map(len, spectrograms))
    padded = [np.pad(S, ((0, longest - len(S)), (0, 0))) for S in spectrograms]
    return np.array([S.flatten() for S in padded])


if __name__ == "__main__":
    main(sys.argv[1])
