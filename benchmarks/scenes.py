"""Make recordings of known content: clips of ESC-10 one after the other in noise, and tables of what is where.

    python benchmarks/scenes.py ESC10.ZIP FOLDER [--classes "Dog bark" Rooster "Person sneeze"] [--snr 10]

``FOLDER/sounds/train/rec-000.wav`` and so on, with the clips of ESC-10's folds 1 to 3, and ``sounds/test/`` with those
of folds 4 and 5: no source is on both sides. The same events are listed as Raven selection tables in ``raven/``, as
Audacity label tracks in ``audacity/``, and in ``events.csv``:

    audiofw data.source=FOLDER/sounds data.annotations=FOLDER/raven data.unit=windows split=predefined
"""

from __future__ import annotations

import argparse
import io
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import librosa
import numpy as np
import soundfile

SR = 22050
NAMED = re.compile(r"(?:\d+ - )?(?P<label>[^/]+)/(?P<fold>\d)-[^/]+\.ogg$")
TRAINING_FOLDS = "123"
QUIET_DB = 20.0  # what is so far below a clip's peak would not be heard in the noise
PAUSE = 0.75  # seconds of quiet that divide a clip's sounds into several events, shorter than the gaps between clips
LONGEST, SHORTEST = 5.0, 0.2  # seconds of an event
GAP = (1.0, 6.0)  # seconds of noise between two events
LEVEL = 0.02  # root mean square of the noise


class Event(NamedTuple):
    """One clip in a recording."""

    start: float
    end: float
    label: str


Bank = dict[str, list[np.ndarray]]
"""The sounds that recordings of one part are made of, by label."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--classes", nargs="+", default=["Dog bark", "Rooster", "Person sneeze"], help="or: all")
    parser.add_argument("--snr", type=float, default=10.0, help="power of each event over that of the noise, in dB")
    parser.add_argument("--train", type=int, default=30, help="number of recordings")
    parser.add_argument("--test", type=int, default=20, help="number of recordings")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each recording")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    banks = read_banks(args.archive, args.classes)
    tables = []
    for number in range(args.train + args.test):
        part = "train" if number < args.train else "test"
        rng = np.random.default_rng([args.seed, number])
        y, events = make_scene(banks[part], args.seconds, args.snr, rng)
        name = f"{part}/rec-{number:03}.wav"
        (args.folder / "sounds" / part).mkdir(parents=True, exist_ok=True)
        soundfile.write(args.folder / "sounds" / name, y, SR, subtype="PCM_16")
        tables.append((name, events))
    write_tables(args.folder, tables)


def read_banks(archive: Path, classes: Sequence[str]) -> dict[str, Bank]:
    """Read the clips of the chosen classes, trimmed, divided into those for training and for test."""
    banks: dict[str, Bank] = {"train": {}, "test": {}}
    with zipfile.ZipFile(archive) as opened:
        for name in sorted(opened.namelist()):
            found = NAMED.search(name)
            if found and (found["label"] in classes or list(classes) == ["all"]):
                y, sr = soundfile.read(io.BytesIO(opened.read(name)), dtype="float32")
                y = librosa.resample(y if y.ndim == 1 else y.mean(axis=1), orig_sr=sr, target_sr=SR)
                part = "train" if found["fold"] in TRAINING_FOLDS else "test"
                banks[part].setdefault(found["label"], []).extend(divided(y))
    missing = set() if list(classes) == ["all"] else set(classes) - set(banks["train"])
    if missing or not banks["train"]:
        raise SystemExit(f"{archive}: no clips of {', '.join(sorted(missing)) or 'any class'}")
    return banks


def divided(y: np.ndarray) -> list[np.ndarray]:
    """Divide a clip where it is quiet for a while: an annotator would draw several boxes."""
    spans: list[list[int]] = []
    for start, end in librosa.effects.split(y, top_db=QUIET_DB).tolist():
        if spans and start - spans[-1][1] < PAUSE * SR:
            spans[-1][1] = end
        else:
            spans.append([start, end])
    sounds = [y[start:end][: round(LONGEST * SR)] for start, end in spans]
    return [sound for sound in sounds if sound.size >= SHORTEST * SR]


def make_scene(bank: Bank, seconds: float, snr: float, rng: np.random.Generator) -> tuple[np.ndarray, list[Event]]:
    """Put randomly drawn events into noise, with pauses; times are whole milliseconds."""
    y = make_noise(round(seconds * SR), rng)
    events: list[Event] = []
    at = rng.uniform(*GAP)
    while True:
        label = sorted(bank)[rng.integers(len(bank))]
        sound = bank[label][rng.integers(len(bank[label]))]
        start, end = round(at, 3), round(at + sound.size / SR, 3)
        if end + GAP[0] > seconds:
            break
        first = round(start * SR)
        y[first : first + sound.size] += sound * LEVEL * 10 ** (snr / 20) / np.sqrt(np.mean(sound**2))
        events.append(Event(start, end, label))
        at = end + rng.uniform(*GAP)
    return y / max(1.0, np.abs(y).max()), events


def make_noise(size: int, rng: np.random.Generator) -> np.ndarray:
    """Noise between white and brown, another in each recording."""
    n_fft = 1 << size.bit_length()
    spectrum = np.fft.rfft(rng.standard_normal(n_fft)) * np.arange(1, n_fft // 2 + 2) ** -rng.uniform(0.2, 1.0)
    y = np.fft.irfft(spectrum)[:size]
    return LEVEL * y / np.sqrt(np.mean(y**2))


def write_tables(folder: Path, tables: Sequence[tuple[str, Sequence[Event]]]) -> None:
    """Write the events as Raven, Audacity and CSV tables."""
    for name in ("raven", "audacity"):
        (folder / name).mkdir(exist_ok=True)
    rows = ["file_name,start,end,label"]
    for name, events in tables:
        stem = Path(name).stem
        raven = ["Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tAnnotation"]
        raven += [
            f"{i}\tSpectrogram 1\t1\t{start:.3f}\t{end:.3f}\t0\t{SR // 2}\t{label}"
            for i, (start, end, label) in enumerate(events, 1)
        ]
        track = [f"{start:.6f}\t{end:.6f}\t{label}" for start, end, label in events]
        write(folder / "raven" / f"{stem}.Table.1.selections.txt", raven)
        write(folder / "audacity" / f"{stem}.txt", track)
        rows += [f"{name},{start:.3f},{end:.3f},{label}" for start, end, label in events]
    write(folder / "events.csv", rows)


def write(path: Path, lines: Sequence[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    main()
