"""The pictures of a run: drawn for any labels and any sound, whole or not at all, nothing global."""

from __future__ import annotations

import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from audiofw import plots

ODD = [
    "$x_1^2$ $",
    "a_b",
    "Большая синица",
    "犬の鳴き声",
    "\ud7ff tab\tnewline\n",
    "x" * 200,
    "",
    "{}%\\",
    "\udcff",
]


@pytest.fixture(autouse=True)
def warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def shape(path: Path) -> tuple[int, int]:
    """Height and width of a PNG, which has something drawn on it."""
    assert path.read_bytes().startswith(b"\x89PNG")
    image = matplotlib.image.imread(path)
    assert image.std() > 0.01
    return image.shape[:2]


def tone(seconds: float = 0.3, sr: int = 8000) -> np.ndarray:
    return np.sin(2 * np.pi * 440 * np.arange(int(seconds * sr)) / sr).astype(np.float32)


def test_more_classes_make_a_taller_picture_up_to_a_bound(tmp_path):
    heights = []
    for n in (2, 40, 200):
        path = tmp_path / f"{n}.png"
        plots.class_distribution([f"class {i}" for i in range(n)], path)
        heights.append(shape(path)[0])
    assert heights[0] < heights[1] < heights[2] <= 32 * plots.DPI


@pytest.mark.parametrize("labels", [["one"], [], ODD])
def test_distribution_of_any_labels(tmp_path, labels):
    plots.class_distribution(labels, tmp_path / "d.png")
    assert shape(tmp_path / "d.png")[1] == 8 * plots.DPI


def test_examples_grow_with_the_classes_and_stop_at_twelve(tmp_path):
    heights = []
    for n in (1, 2, 12, 15):
        plots.examples([(f"class {i}", tone(), 8000) for i in range(n)], tmp_path / f"{n}.png")
        heights.append(shape(tmp_path / f"{n}.png")[0])
    assert heights[0] < heights[1] < heights[2] == heights[3]


@pytest.mark.parametrize(
    "y",
    [np.zeros(4000), np.ones(1), np.zeros(0), np.full(500, np.nan), tone(3), tone() * 1e-6],
    ids=["silence", "one sample", "no sample", "not a number", "long", "faint"],
)
def test_example_of_any_sound(tmp_path, y):
    plots.examples([("sound", y, 8000)], tmp_path / "e.png")
    assert shape(tmp_path / "e.png")[1] == 9 * plots.DPI


def test_examples_with_odd_labels(tmp_path):
    plots.examples([(label, tone(), 8000) for label in ODD], tmp_path / "e.png")
    shape(tmp_path / "e.png")


def test_silence_is_dark_and_a_tone_stands_at_its_own_frequency():
    assert plots._decibels(np.zeros(4000, np.float32), 8000, 64).max() == -plots.TOP_DB
    loudest = plots._decibels(tone(), 8000, 64).mean(axis=1).argmax()
    assert loudest == pytest.approx(plots._mel(440) / plots._mel(4000) * 64, abs=1.5)


@pytest.mark.parametrize("n", [1, 2, 10, 31, 60])
def test_confusion_matrix_of_few_and_many_classes(tmp_path, n):
    matrix = np.diag(np.arange(n)) + np.eye(n, k=1, dtype=int)
    plots.confusion_matrix(matrix, [f"{ODD[i % len(ODD)]} {i}" for i in range(n)], tmp_path / "c.png")
    height, width = shape(tmp_path / "c.png")
    assert 300 < height < 2200
    assert 300 < width < 2200


def test_confusion_matrix_without_a_clip(tmp_path):
    plots.confusion_matrix(np.zeros((2, 2), int), ["a", "b"], tmp_path / "c.png")
    shape(tmp_path / "c.png")


def test_counts_are_written_unless_there_are_too_many(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(plots, "_write", lambda fig, path: written.append(fig))
    for n in (3, 31):
        plots.confusion_matrix(7 * np.eye(n, dtype=int), [str(i) for i in range(n)], tmp_path / "c.png")
    few, many = ([text.get_text() for text in fig.axes[0].texts] for fig in written)
    assert few == ["7"] * 3
    assert many == []


def test_long_names_are_shortened_in_the_middle():
    assert plots._shorten("a" * 100 + "the end").endswith("the end")
    assert len(plots._shorten("a" * 100)) == plots.MAX_LABEL
    assert plots._shorten("short") == "short"


def test_characters_that_no_font_has_become_boxes():
    assert plots._texts(["a\U0010fffd$"]) == ["a\N{WHITE SQUARE}$"]


def test_a_failed_drawing_leaves_the_older_picture_alone(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    path = tmp_path / "d.png"
    path.write_bytes(b"older")

    def savefig(self, file, **_):
        file.write(b"half")
        raise RuntimeError("out of ink")

    monkeypatch.setattr(Figure, "savefig", savefig)
    with pytest.raises(RuntimeError, match="out of ink"):
        plots.class_distribution(["a"], path)
    assert path.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_picture_replaces_the_older_one_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "new folder" / "d.png"
    plots.class_distribution(["a"], path)
    older = path.read_bytes()
    plots.class_distribution(["a", "b"], path)
    assert path.read_bytes() != older
    assert list(path.parent.iterdir()) == [path]


def test_drawing_in_threads_gives_what_drawing_alone_gives(tmp_path):
    def draw(name: str) -> bytes:
        plots.confusion_matrix(np.eye(4, dtype=int), list("abcd"), tmp_path / name)
        return (tmp_path / name).read_bytes()

    alone = draw("alone.png")
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(draw, [f"{i}.png" for i in range(8)])) == {alone}


def test_importing_and_drawing_need_no_display_and_no_pyplot(tmp_path):
    program = (
        "import sys; from audiofw import plots; assert 'matplotlib' not in sys.modules;"
        f"plots.class_distribution(['a', 'b'], {str(tmp_path / 'd.png')!r});"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
    shape(tmp_path / "d.png")
