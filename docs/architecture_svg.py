"""Draw the packages of audiofw in their layers: ``python docs/architecture_svg.py`` writes ``architecture.svg``.

The order is that of the layers in ``pyproject.toml``; what each package is for stands here.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from html import escape
from pathlib import Path

HERE = Path(__file__).resolve().parent

ROWS = {
    "entry points": {
        "testing": "fixtures for pytest",
        "api": "audiofw.run, features",
        "cli": "a file per subcommand",
        "serve": "page, JSON endpoint",
    },
    "running": {
        "kit": "what is asked of plugins",
        "experiment": "jobs, tune/, plan/",
        "report": "report.html",
        "leaderboard": "ranking, significance",
    },
    "measuring": {
        "results": "metrics.json, record",
        "bundle": "saved models, prediction",
        "audit": "leaks and shortcuts",
        "evaluation": "folds, scores, intervals",
    },
    "clips to a table": {
        "extraction": "the unit of work, X and y",
        "data": "archives, labels, splits",
    },
    "options, plugins": {
        "config": "types of what is in conf/",
        "contract": "hooks, menus, schema",
    },
    "sound, estimators": {
        "learn": "scikit-learn classifiers",
        "audio": "decoding, effects",
        "networks": "ONNX, LiteRT files",
        "spectral": "FFT, mel, MFCC, …",
    },
    "infrastructure": {
        "cache": "features on disk",
        "parallel": "threads, processes",
        "system": "files, locks, paths",
        "errors": "and version",
    },
}

LEFT, TOP, WIDTH, HEIGHT, GAP, PITCH = 190, 58, 172, 50, 14, 68

STYLE = """
  svg { --paper: #ffffff; --ink: #1f2328; --faint: #59636e; --line: #d1d9e0; --box: #eef4fb; --edge: #4a78a8;
        --plugin: #fdf3e1; --plugin-edge: #b7791f; }
  @media (prefers-color-scheme: dark) {
    svg { --paper: #161b22; --ink: #e6edf3; --faint: #9da7b1; --line: #30363d; --box: #1c2b3d; --edge: #6ea0d6;
          --plugin: #33291a; --plugin-edge: #d9a441; }
  }
  text { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: var(--ink); }
  .name { font: 600 15px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
  .faint { font-size: 12px; fill: var(--faint); }
  .paper { fill: var(--paper); stroke: var(--line); }
  .package { fill: var(--box); stroke: var(--edge); }
  .plugin { fill: var(--plugin); stroke: var(--plugin-edge); }
  .rule { stroke: var(--line); }
  .arrow { stroke: var(--faint); fill: none; stroke-width: 1.5; marker-end: url(#head); }
  .head { fill: var(--faint); }
"""


def draw() -> str:
    """Give the whole picture as SVG."""
    height = TOP + PITCH * len(ROWS) + 8
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 960 {height}" role="img" aria-labelledby="title">',
            '<title id="title">The packages of audiofw in their layers</title>',
            f"<style>{STYLE}</style>",
            '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
            '<path class="head" d="M0 0 8 4 0 8z"/></marker>',
            f'<rect class="paper" x=".5" y=".5" width="959" height="{height - 1}" rx="10"/>',
            text(24, 32, "A package imports those below it, and those to its right in its row.", "faint"),
            text(LEFT + 3 * (WIDTH + GAP), 32, "Plugins import what is public.", "faint"),
            f'<path class="arrow" d="M24 {TOP} V{height - 22}"/>',
            *(line for i, (title, row) in enumerate(ROWS.items()) for line in draw_row(TOP + i * PITCH, title, row)),
            *draw_plugins(TOP + 4 * PITCH),
            "</svg>\n",
        ]
    )


def draw_row(y: int, title: str, row: dict[str, str]) -> Iterator[str]:
    yield text(44, y + HEIGHT // 2 + 4, title)
    if y > TOP:
        yield f'<path class="rule" d="M44 {y - 9} H936"/>'
    for i, (name, what) in enumerate(row.items()):
        yield from draw_box("package", LEFT + i * (WIDTH + GAP), y, WIDTH, HEIGHT, name, what)


def draw_box(kind: str, x: int, y: int, width: int, height: int, name: str, *lines: str) -> Iterator[str]:
    yield f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="6"/>'
    yield text(x + 12, y + 21, name, "name")
    for i, line in enumerate(lines):
        yield text(x + 12, y + 39 + 16 * i, line, "faint")


def draw_plugins(y: int) -> Iterator[str]:
    """Beside the layers of the contract and of sound: plugins hook into the one and import the other."""
    x = LEFT + 3 * (WIDTH + GAP)
    yield from draw_box("plugin", x, y, WIDTH, PITCH + HEIGHT, "plugins/", "features, poolings,", "models, splits,")
    yield text(x + 12, y + 71, "augmentations; yours", "faint")
    yield f'<path class="arrow" d="M{x} {y + 25} H{x - 2 * GAP - WIDTH + 1}"/>'
    yield text(x - GAP - WIDTH + 16, y + 18, "registered by a hook", "faint")
    yield f'<path class="arrow" d="M{x} {y + PITCH + 25} H{x - GAP + 1}"/>'


def text(x: int, y: int, words: str, kind: str = "") -> str:
    return f'<text x="{x}" y="{y}"{kind and f" class={kind!r}"}>{escape(words)}</text>'


def layers() -> list[str]:
    """Read the packages from the top down, as import-linter knows them."""
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text())
    return project["tool"]["importlinter"]["contracts"][0]["layers"]


if __name__ == "__main__":
    assert [name for row in ROWS.values() for name in row] == [layer.partition(" ")[0] for layer in layers()]
    (HERE / "architecture.svg").write_text(draw(), encoding="utf-8")
