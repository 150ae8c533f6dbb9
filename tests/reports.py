"""Shared by tests of reports: a run with unusual labels, synthetic runs without recordings, and an HTML parser."""

from __future__ import annotations

import csv
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from conftest import tone, write_wav

from audiofw.evaluation.scores import confusion_matrix, per_class, scores

ODD = ['<script>alert("x")</script>', 'it\'s a "long" name & more ' + "y" * 150, "犬 🐕 $x_1$ {{ 7 * 7 }}"]


def odd_sounds(folder: Path, clips: int = 8) -> Path:
    """Make tones of three classes with unusual names, and a manifest with one silent clip."""
    rows = [["path", "label"]]
    for k, label in enumerate(ODD):
        for i in range(clips):
            write_wav(folder / f"{k}/{i}.wav", tone(300 * 2**k * (1 + 0.03 * i), 0.4, noise=0.2, seed=10 * k + i))
            rows.append([f"{k}/{i}.wav", label])
    (folder / "0/empty.wav").write_bytes(b"")
    rows.append(["0/empty.wav", ODD[0]])
    with (folder / "clips.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return folder / "clips.csv"


def made_up_run(folder: Path, n_classes: int, each: int = 5, *, probabilities: bool = True, **metrics: Any) -> Path:
    """Write the files of a synthetic run without recordings, whose model makes random errors."""
    classes = [f"class {k:03d}" for k in range(n_classes)]
    y, rng = np.repeat(np.arange(n_classes), each), np.random.default_rng(0)
    proba = rng.dirichlet(np.full(n_classes, 0.3), len(y))
    proba[np.arange(len(y)), y] += 0.3
    proba /= proba.sum(axis=1, keepdims=True)
    said = proba.argmax(axis=1)
    shown = proba if probabilities else None
    pooled = scores(y, said, shown, n_classes)
    found = {
        "score": "accuracy",
        "value": pooled["accuracy"],
        "greater_is_better": True,
        "scores": {
            name: {"pooled": v, "mean": v, "std": None, "interval": None if v is None else [v - 0.1, v], "folds": [v]}
            for name, v in pooled.items()
        },
        "interval_level": 0.95,
        "interval_over": "clips",
        "n_interval_over": len(y),
        "baseline": scores(y, np.zeros_like(y), None, n_classes),
        "classes": classes,
        "f1_of": classes[1],
        "per_class": [
            {"class": name, **row._asdict()} for name, row in zip(classes, per_class(y, said, n_classes), strict=True)
        ],
        "confusion_matrix": confusion_matrix(y, said, n_classes).tolist(),
        "n_clips": len(y),
        "n_tested": len(y),
        "n_folds": 1,
        "fit_seconds": [1.0],
        "audit": [],
        **metrics,
    }
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps(found))
    (folder / "config.yaml").write_text(yaml.safe_dump({"model": {"name": "guess"}, "data": {"source": "gone.zip"}}))
    with (folder / "predictions.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["path", "label", "predicted", "fold", "group", *(f"p({c})" for c in classes if probabilities)])
        for i, row in enumerate(proba):
            shares = [f"{share:.6g}" for share in row] if probabilities else []
            writer.writerow([f"{i:05d}.wav", classes[y[i]], classes[said[i]], 1, "", *shares])
    return folder


class Page(HTMLParser):
    """The elements of a page, as pairs of tag and attributes, and its text."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._inside: list[str] = []
        self.source = file.read_text(encoding="utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._inside:
            while self._inside.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self._inside):
            self.texts.append(data)

    @property
    def text(self) -> str:
        """The text of the page on one line."""
        return " ".join(" ".join(self.texts).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """List the attributes of all elements with a tag."""
        return [attributes for name, attributes in self.elements if name == tag]

    def ids(self) -> set[str | None]:
        """List the ids of the elements."""
        return {attributes["id"] for _, attributes in self.elements if "id" in attributes}
