"""Test plugins with pytest: the contract as checks, and fixtures.

``pytest_plugins = ["audiofw.testing"]`` in a ``conftest.py`` or a test file provides the fixtures `menus`, `clips` and
`run`. Suites without that line are not affected. ::

    import pytest
    from audiofw.testing import contract_checks

    @pytest.mark.parametrize("check", contract_checks("audiofw-loudness"), ids=str)
    def test_the_contract(check):
        check()

PYTEST_DONT_REWRITE: a test file imports this module before it lists it, of which pytest would warn.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from audiofw.api import RunResult
from audiofw.api import run as run_once
from audiofw.contract.menus import Menus
from audiofw.contract.registry import load_menus
from audiofw.kit.contract import Check, contract_checks
from audiofw.kit.sounds import Sound, make_clips, write_recordings

__all__ = ["Check", "Sound", "clips", "contract_checks", "menus", "run"]


@pytest.fixture
def menus() -> Menus:
    """All plugins that are available: built in, installed, and in the folders of ``AUDIOFW_PLUGINS_PATH``."""
    return load_menus()


@pytest.fixture
def clips() -> dict[str, Sound]:
    """Clips ``(y, sr)`` by name: noise, tone, silence, one sample, a hundred samples, clipped."""
    return make_clips()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., RunResult]:
    """Run audiofw on twelve short recordings of two classes, with a cache of its own: ``run("feature=loudness")``.

    Other options are those of the command line; without them there is no audit and no report.
    """
    monkeypatch.setenv("AUDIOFW_CACHE", str(tmp_path / "cache"))

    def run_on_recordings(*words: str) -> RunResult:
        recordings = write_recordings(tmp_path / "recordings")
        quick = [f"data.source={recordings}", "audio.duration=0.6", "audit=false", "report=false", "n_jobs=1"]
        return run_once([*quick, *words], path=tmp_path / "run")

    return run_on_recordings
