"""A third-party feature whose option names a file, and which needs a sampling rate and a duration of its own."""

from __future__ import annotations

import textwrap
from pathlib import Path

SCALED = """
    from pathlib import Path

    from audiofw import hookimpl

    @hookimpl
    def register_features(register):
        register(scaled)
        register(strict, sample_rate=lambda *, rate: rate, min_duration=0.5)

    def scaled(y, sr, *, by: Path | None = None):
        "The samples, scaled by the number in a file."
        return y[None, : y.size // 100 * 100].reshape(-1, 100).T * float(by.read_text() if by else 1)

    def strict(y, sr, *, rate: int = 4000):
        "The samples at a certain rate."
        assert sr == rate, sr
        return y[None, :]
"""


def drop_scaled(folder: Path) -> Path:
    """Write the plugin; returns the plugins folder."""
    folder.mkdir(exist_ok=True)
    (folder / "scaled.py").write_text(textwrap.dedent(SCALED))
    return folder
