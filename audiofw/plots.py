"""Pictures of a run: how many clips of each class, what they look like, and which classes the model mistakes.

Every picture is a figure of its own, never pyplot's: no display, no global state, so any thread may draw it.
"""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from audiofw.atomic import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 110
BLUE = "#0072B2"  # Okabe and Ito's: told apart by every kind of colour vision
MAX_EXAMPLES = 12
MAX_NUMBERED_CLASSES = 30
MAX_LABEL = 36
MAX_ROWS_INCHES = 30.0
TOP_DB = 80.0
PLAIN: dict[str, Any] = {"parse_math": False, "usetex": False}  # a `$` in a label is a dollar
TICKS_HZ = (0, 250, 500, 1000, 2000, 4000, 8000, 16000, 32000)


def class_distribution(labels: Sequence[str], path: str | os.PathLike[str]) -> None:
    """Bars: how many clips each class has, sorted by class.

    Parameters
    ----------
    labels : Sequence[str] [shape=(clips,)]
        The label of each clip.
    path : str or os.PathLike
        The PNG to write, whole or not at all.
    """
    counts = Counter(str(label) for label in labels)
    classes = sorted(counts)
    row, font, step = _rows(len(classes), 0.27)
    fig = _figure(8.0, 1.1 + row * len(classes))
    ax = fig.add_subplot()
    bars = ax.barh(range(len(classes)), [counts[name] for name in classes], color=BLUE, height=0.75)
    if step == 1:
        ax.bar_label(bars, padding=3, fontsize=font)
    ax.set_yticks(range(0, len(classes), step), _texts(classes[::step]), fontsize=font, **_face(classes))
    ax.set_ylim(len(classes) - 0.4, -0.6)
    ax.margins(x=0.08)
    ax.set_xlabel("clips")
    ax.locator_params(axis="x", integer=True)
    _bare(ax)
    _title(fig, f"Clips of each class: {_many(len(labels), 'clip')}, {_many(len(classes), 'class', 'classes')}")
    _write(fig, path)


def examples(examples: Sequence[tuple[str, np.ndarray, int]], path: str | os.PathLike[str]) -> None:
    """One clip of each class: its waveform and, beside it, its mel spectrogram.

    Parameters
    ----------
    examples : Sequence[tuple[str, np.ndarray, int]]
        Label, samples ``y [shape=(n,)]`` and sample rate in Hz, one clip of each class. 12 are drawn.
    path : str or os.PathLike
        The PNG to write, whole or not at all.
    """
    shown = examples[:MAX_EXAMPLES]
    some = f"first {len(shown)} of {len(examples)} classes" if len(shown) < len(examples) else "one of each class"
    height = 0.9 + 1.35 * max(1, len(shown))
    fig = _figure(9.0, height, layout=None)
    # Margins by hand: the layout engine would take half of the time of this picture.
    grid = fig.subplots(max(1, len(shown)), 2, squeeze=False, width_ratios=(1, 1.2))
    fig.subplots_adjust(0.055, 0.48 / height, 0.91, 1 - 0.62 / height, wspace=0.2, hspace=0.55)
    for (wave, picture), (label, y, sr) in zip(grid, shown, strict=False):
        y = np.nan_to_num(np.asarray(y, dtype=np.float32)) if len(y) else np.zeros(1, np.float32)
        _waveform(wave, y, sr)
        image = _spectrogram(picture, y, sr)
        wave.set_title(_texts([label])[0], loc="left", fontsize=9, **_face([label]))
    for ax in grid[-1]:
        ax.set_xlabel("time (s)", fontsize=9)
    if shown:
        scale = fig.add_axes((0.925, 1 - 1.5 / height, 0.012, 0.88 / height))
        fig.colorbar(image, cax=scale, ticks=(-80, -40, 0)).ax.tick_params(labelsize=8)
    _title(
        fig,
        f"Example clips, waveform and mel spectrogram in dB below its loudest: {some}",
        y=1 - 0.12 / height,
        va="top",
    )
    _write(fig, path)


def confusion_matrix(matrix: np.ndarray, classes: Sequence[str], path: str | os.PathLike[str]) -> None:
    """True classes in rows, predicted classes in columns; the colour is the share of the row.

    Parameters
    ----------
    matrix : np.ndarray [shape=(classes, classes)]
        Counts of clips, as ``sklearn.metrics.confusion_matrix`` gives them.
    classes : Sequence[str] [shape=(classes,)]
        Names of rows and columns.
    path : str or os.PathLike
        The PNG to write, whole or not at all.
    """
    matrix = np.asarray(matrix)
    total = matrix.sum(axis=1, keepdims=True)
    share = np.divide(matrix, total, out=np.zeros(matrix.shape), where=total > 0)
    cell, font, step = _rows(len(classes), 0.5 if len(classes) <= MAX_NUMBERED_CLASSES else 0.22, cap=14.0)
    side = max(2.4, cell * len(classes))
    fig = _figure(side + 3.4, side + 2.2)
    ax = fig.add_subplot()
    image = ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
    ticks, names = range(0, len(classes), step), _texts(classes[::step])
    ax.set_yticks(ticks, names, fontsize=font, **_face(classes))
    ax.set_xticks(ticks, names, fontsize=font, rotation=90 if len(classes) > 12 else 45, **_face(classes))
    for tick in ax.get_xticklabels() if len(classes) <= 12 else ():
        tick.set(ha="right", rotation_mode="anchor")
    ax.set_xlabel("predicted class")
    ax.set_ylabel("true class")
    if len(classes) <= MAX_NUMBERED_CLASSES:
        _numbers(ax, matrix, share)
    fig.colorbar(image, ax=ax, label="share of the true class", shrink=0.8, aspect=25)
    right = np.trace(matrix) / matrix.sum() if matrix.sum() else 0.0
    _title(fig, f"Confusion matrix: {_many(int(matrix.sum()), 'clip')}, {right:.1%} right")
    _write(fig, path)


def _numbers(ax: Axes, matrix: np.ndarray, share: np.ndarray) -> None:
    font = 9 if matrix.max() < 1000 else 7
    for row, column in np.argwhere(matrix):
        colour = "white" if share[row, column] > 0.55 else "black"
        ax.text(column, row, f"{matrix[row, column]:d}", ha="center", va="center", color=colour, fontsize=font)


def _waveform(ax: Axes, y: np.ndarray, sr: int) -> None:
    # A picture is some 400 pixels wide: minimum and maximum of each stretch show all that a line could.
    starts = np.unique(np.linspace(0, len(y), min(len(y), 800), endpoint=False).astype(int))
    low, high = np.minimum.reduceat(y, starts), np.maximum.reduceat(y, starts)
    if len(starts) == len(y):
        ax.plot(starts / sr, y, color=BLUE, linewidth=0.8, marker="." if len(y) < 20 else "")
    else:
        ax.fill_between(starts / sr, low, high, color=BLUE, linewidth=0.4)
    peak = float(np.abs(y).max()) or 1.0
    ax.set_ylim(-1.05 * peak, 1.05 * peak)
    ax.set_xlim(0, len(y) / sr)
    ax.set_yticks((-peak, 0, peak), (f"{-peak:.2g}", "0", f"{peak:.2g}"))
    ax.tick_params(labelsize=8)
    _bare(ax)


def _spectrogram(ax: Axes, y: np.ndarray, sr: int, n_mels: int = 64) -> Any:
    image = ax.imshow(
        _decibels(y, sr, n_mels),
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap="magma",
        vmin=-TOP_DB,
        vmax=0,
        extent=(0, len(y) / sr, 0, n_mels),
    )
    hz = [f for f in TICKS_HZ if f == 0 or sr / 32 <= f <= sr / 2]
    ax.set_yticks([_mel(f) / _mel(sr / 2) * n_mels for f in hz], [f"{f} Hz" for f in hz])
    ax.tick_params(labelsize=8)
    return image


def _decibels(y: np.ndarray, sr: int, n_mels: int) -> np.ndarray:
    from audiofw.spectral import melspectrogram, power_to_db

    n_fft = 2 ** max(5, round(np.log2(0.046 * sr)))
    power = melspectrogram(
        y=y, sr=sr, n_fft=n_fft, hop_length=max(n_fft // 4, len(y) // 500), n_mels=n_mels, dtype="float32"
    )
    # Relative to its own maximum, silence would shine as bright as a shout.
    return power_to_db(power, ref=np.max, top_db=TOP_DB) if power.any() else np.full(power.shape, -TOP_DB)


def _mel(hz: float) -> float:
    """Slaney's mel scale: linear to 1000 Hz, logarithmic beyond."""
    return 3 * hz / 200 if hz < 1000 else 15 + 27 * float(np.log(hz / 1000) / np.log(6.4))


def _rows(n: int, inches: float, cap: float = MAX_ROWS_INCHES) -> tuple[float, float, int]:
    """Height of a row in inches, size of its font in points, and every which row has room for a label."""
    row = min(inches, cap / max(n, 1))
    font = min(9.0, 0.75 * 72 * row)
    return row, max(font, 5.0), max(1, int(np.ceil(5.0 / font)))


def _figure(width: float, height: float, layout: Any = "constrained") -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    fig = Figure(figsize=(width, height), dpi=DPI, layout=layout, facecolor="white")
    FigureCanvasAgg(fig)
    return fig


def _title(fig: Figure, text: str, **place: Any) -> None:
    fig.suptitle(text, x=0.01, ha="left", fontsize=11, fontweight="bold", **place)


def _bare(ax: Axes) -> None:
    ax.spines[["top", "right"]].set_visible(False)


def _many(n: int, one: str, more: str = "") -> str:
    return f"{n} {one if n == 1 else more or one + 's'}"


def _texts(labels: Iterable[str]) -> list[str]:
    """Labels of one line and of a bearable length, in characters that some installed font can draw."""
    plain = [" ".join(str(label).split()) for label in labels]
    drawable = _fonts("".join(plain))[1]
    return [_shorten("".join(c if c in drawable else "\N{WHITE SQUARE}" for c in text)) for text in plain]


def _shorten(text: str) -> str:
    # Names of one family differ at either end, so the middle goes.
    return text if len(text) <= MAX_LABEL else f"{text[: MAX_LABEL - 14]}…{text[-13:]}"


def _face(labels: Iterable[str]) -> dict[str, Any]:
    return {**PLAIN, "fontfamily": _fonts("".join(map(str, labels)))[0]}


def _fonts(text: str) -> tuple[list[str], set[str]]:
    """Families that together draw ``text``, matplotlib's own first, and the characters that they have."""
    from matplotlib.font_manager import FontProperties, fontManager, get_font

    families, drawable, missing = ["DejaVu Sans"], set("\N{WHITE SQUARE}"), set(text)
    own = fontManager.findfont(FontProperties(family="DejaVu Sans"))
    others = ((font.name, font.fname) for font in fontManager.ttflist if "Last Resort" not in font.name)
    for name, file in [("DejaVu Sans", own), *others]:
        if not missing:
            break
        found = {c for c in missing if get_font(file).get_char_index(ord(c))}
        drawable, missing = drawable | found, missing - found
        if found and name not in families:
            families.append(name)
    return families, drawable


def _write(fig: Figure, path: str | os.PathLike[str]) -> None:
    picture = io.BytesIO()
    fig.savefig(picture, format="png")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_whole(Path(path), picture.getvalue())
