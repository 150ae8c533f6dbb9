"""Find the audio files below a folder, and count the other files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from os.path import relpath
from pathlib import Path

from audiofw.errors import DataError


def _extensions(words: str) -> frozenset[str]:
    return frozenset(words.split())


# formats that libsndfile can open
READABLE = _extensions(
    ".wav .wave .flac .ogg .oga .opus .mp3 .mp2 .aiff .aif .aifc .au .snd .caf .w64 .rf64 .sph .nist .voc"
    " .ircam .sf .paf .pvf .avr .wve .xi .sds .svx .8svx .iff"
)
# audio formats that libsndfile cannot open: treated as clips, so that each is reported as a failure
UNREADABLE = _extensions(
    ".m4a .m4b .aac .wma .mp4 .webm .amr .wv .ape .3gp .mka .ac3 .eac3 .dts .tta .mpc .spx .tak .shn .dsf .dff .qcp"
    " .oma .g722 .g726 .g729 .adx .hca .qoa"
)
AUDIO = READABLE | UNREADABLE
MANIFEST = "metadata.csv"


def find_sound(root: Path, source: Path) -> tuple[dict[str, Path], Counter[str]]:
    """Return the audio files and manifests below a folder by relative name, and the counts of other files by reason.

    Raises
    ------
    DataError
        If there is no audio file (the message names ``source``), or a folder cannot be read.
    """
    files: dict[str, Path] = {}
    passed: Counter[str] = Counter()
    for path in _below(root, passed, {root.resolve()}):
        if path.suffix.lower() in AUDIO or path.name == MANIFEST:
            files[clip_name(path, root)] = path
        else:
            passed[f"not audio ({path.suffix.lower() or 'no extension'})"] += 1
    if not any(path.name != MANIFEST for path in files.values()):
        raise DataError(_no_audio(source, passed + Counter({"not audio (.csv)": len(files)})))
    return files, passed


def sound_below(folder: Path) -> Iterator[Path]:
    """Iterate over the audio files below a folder in sorted order; see `find_sound`.

    Raises
    ------
    DataError
        If a folder cannot be read.
    """
    below = _below(folder, Counter(), {folder.resolve()})
    return (path for path in below if path.suffix.lower() in AUDIO)


def clip_name(path: Path, root: Path) -> str:
    """Name of a file in tables: its POSIX path relative to the root, printable."""
    # string operations, since pathlib takes seconds for 100 000 files
    whole = str(path)
    name = whole.removeprefix(f"{root}{os.sep}")
    name = (relpath(path, root) if name == whole else name).replace(os.sep, "/")
    # names that are not UTF-8 must still be printable
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _below(folder: Path, passed: Counter[str], roots: set[Path]) -> Iterator[Path]:
    """Iterate recursively over plain files; follows links, except to a folder that has already been read."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror}); check its permissions") from error
    for path in entries:
        if path.name.startswith(".") or path.name == "__MACOSX":
            passed["hidden"] += 1
        elif path.is_dir():
            if path.is_symlink() and not _is_new(path, roots):
                passed["link to a folder already read"] += 1
            else:
                yield from _below(path, passed, roots)
        elif path.is_file():
            yield path
        else:
            passed["broken link" if path.is_symlink() else "not a plain file"] += 1


def _is_new(link: Path, roots: set[Path]) -> bool:
    """Whether a linked folder is separate from all folders read so far; it is added to them."""
    target = link.resolve()
    apart = not any(target.is_relative_to(root) or root.is_relative_to(target) for root in roots)
    roots |= {target} if apart else set()
    return apart


def _no_audio(source: Path, passed: Counter[str]) -> str:
    found = ", ".join(f"{count} {reason}" for reason, count in passed.most_common(6) if count)
    if not found:
        return f"{source}: empty; use a folder or archive with recordings"
    return f"{source}: no audio files (.wav, .flac, .ogg, .mp3, …); found {found}"
