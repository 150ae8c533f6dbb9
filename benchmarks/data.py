"""Recordings for the benchmarks, from the archives of ESC-10 and of spoken digits, or synthesised without them.

    python benchmarks/data.py FOLDER [--esc10 ESC10.ZIP] [--digits FSDD.ZIP]

writes to FOLDER:

- ``ogg/``: 5 s clips at 44.1 kHz, one folder per class; file names start with the fold (1 to 5)
- ``wav/``: the same clips as 16-bit wav at 22 050 Hz
- ``pets.zip``: 255 takes of two of the classes, wav files of 1 to 10 s at 44.1 kHz: a small data set, like a tutorial's
- ``digits/``: short wav files at 8 kHz
"""

from __future__ import annotations

import argparse
import shutil
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr

PETS = ("Dog bark", "Baby cry")  # if missing, the first two classes
TAKES = 255
CLASSES, PER_CLASS, DIGITS = 10, 20, 3000  # of the synthesised data


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--esc10", type=Path)
    parser.add_argument("--digits", type=Path)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    if args.esc10:
        unpack(args.esc10, args.folder / "ogg")
    else:
        synthesise(args.folder / "ogg", rng)
    as_wav(args.folder / "ogg", args.folder / "wav")
    write_pets(args.folder / "ogg", args.folder / "pets", rng)
    if args.digits:
        unpack(args.digits, args.folder / "digits")
    else:
        synthesise_digits(args.folder / "digits", rng)


def unpack(archive: Path, folder: Path) -> None:
    """Extract the audio files without the top-level folder."""
    with zipfile.ZipFile(archive) as opened:
        for name in opened.namelist():
            if name.endswith((".ogg", ".wav")):
                path = folder.joinpath(*Path(name).parts[1:])
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(opened.read(name))


def synthesise(folder: Path, rng: np.random.Generator) -> None:
    """Write clips of classes that differ in pitch and rhythm, with noise."""
    for number in range(CLASSES):
        for take in range(PER_CLASS):
            name = f"{number:03d} - tone/{1 + take % 5}-{take:05d}-A.ogg"
            write(folder / name, tone(number, 5.0, 44100, rng), 44100)


def synthesise_digits(folder: Path, rng: np.random.Generator) -> None:
    """Write as many short clips as the spoken-digit data set has."""
    for take in range(DIGITS):
        write(folder / f"{take % 10}_someone_{take // 10}.wav", tone(take % 10, rng.uniform(0.2, 0.8), 8000, rng), 8000)


def tone(number: int, seconds: float, sr: int, rng: np.random.Generator) -> np.ndarray:
    """Synthesise a pulsating harmonic tone with noise."""
    t = np.arange(int(seconds * sr)) / sr
    pitch, rate = 150 * 1.25**number * rng.uniform(0.8, 1.25), rng.uniform(1, 2) * (1 + number % 3)
    sound = sum(np.sin(2 * np.pi * pitch * k * t) / k for k in (1, 2, 3)) * np.sin(np.pi * rate * t) ** 2
    return (0.2 * (sound + rng.uniform(0.1, 1.5) * rng.standard_normal(len(t)))).astype(np.float32).clip(-1, 1)


def as_wav(source: Path, folder: Path) -> None:
    """Convert ogg files to wav at 22 050 Hz."""
    for path in sorted(source.rglob("*.ogg")):
        y, sr = soundfile.read(path, dtype="float32")
        write(folder / path.relative_to(source).with_suffix(".wav"), soxr.resample(y, sr, 22050), 22050)


def write_pets(source: Path, folder: Path, rng: np.random.Generator) -> None:
    """Write takes of varying length from two classes; takes of one recording stay in its fold."""
    files = list(two_classes(source))
    for i, path in enumerate(files):
        y, sr = soundfile.read(path, dtype="float32")
        for number in range((i + 1) * TAKES // len(files) - i * TAKES // len(files)):
            write(folder / path.parent.name / f"{path.stem}-{number}.wav", take(y, sr, rng), sr)
    shutil.make_archive(str(folder), "zip", folder)


def two_classes(source: Path) -> Iterator[Path]:
    """Iterate over the files of the two classes."""
    folders = sorted(folder for folder in source.iterdir() if folder.is_dir())
    for folder in [folder for folder in folders if folder.name.endswith(PETS)] or folders[:2]:
        yield from sorted(folder.iterdir())


def take(y: np.ndarray, sr: int, rng: np.random.Generator) -> np.ndarray:
    """Start at a random position, repeat to a length of 1 to 10 s, change the level and add some noise."""
    n = int(rng.uniform(1, 10) * sr)
    turned = np.resize(np.roll(y, -rng.integers(len(y))), n) * 10 ** rng.uniform(-0.6, 0)
    noise = np.abs(turned).max() * 10 ** rng.uniform(-3, -1.5) * rng.standard_normal(n)
    return (turned + noise).astype(np.float32).clip(-1, 1)


def write(path: Path, y: np.ndarray, sr: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, y, sr)


def sounds(folder: Path) -> list[Path]:
    """List the audio files below a folder, sorted."""
    return sorted(path for path in folder.rglob("*") if path.suffix in (".wav", ".ogg"))


def labels(paths: Iterable[Path]) -> tuple[np.ndarray, np.ndarray]:
    """Return the class index (from the folder) and the fold (first digit of the name) of each file."""
    pairs = [(path.parent.name, int(path.name[0])) for path in paths]
    return np.unique([label for label, _ in pairs], return_inverse=True)[1], np.array([fold for _, fold in pairs])


if __name__ == "__main__":
    main()
