"""A package tests its plugins with ``audiofw.testing``, in a pytest that asks for it, and only there."""

import os
import subprocess
import sys
import textwrap
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

PLUGIN = """
    import numpy as np
    from audiofw import hookimpl

    @hookimpl
    def register_features(register):
        register(loud)

    def loud(y, sr):
        "Level."
        return np.abs(y[None])
"""

SUITE = """
    import pytest
    from audiofw.testing import contract_checks

    pytest_plugins = ["audiofw.testing"]

    @pytest.mark.parametrize("check", contract_checks("loud.py"), ids=str)
    def test_the_contract(check):
        check()

    def test_menus(menus):
        assert menus.find("feature", "mel")

    def test_clips(clips):
        y, sr = clips["one sample"]
        assert (y.shape, sr) == ((1,), 22050)

    def test_run(run, monkeypatch):
        monkeypatch.setenv("AUDIOFW_PLUGINS_PATH", ".")
        result = run("feature=loud", "pooling=stats")
        assert result.metrics["n_clips"] == 12
        assert result.model.classes_.tolist() == ["high", "low"]
"""


@pytest.fixture
def suite(tmp_path):
    """Run a plugin's own tests: ``suite()`` returns pytest's output."""
    (tmp_path / "loud.py").write_text(textwrap.dedent(PLUGIN).strip())
    (tmp_path / "test_loud.py").write_text(textwrap.dedent(SUITE))

    def run(*words: str) -> str:
        command = [sys.executable, "-m", "pytest", "-q", "--strict-markers", "-p", "no:cacheprovider", *words]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
        return done.stdout

    return run


def test_a_package_tests_itself_with_checks_and_fixtures(suite):
    out = suite()
    assert "19 passed" in out, out
    assert "test_the_contract[feature=loud: silence]" in suite("--collect-only")


def test_what_is_wrong_is_a_failing_test_with_line_and_remedy(suite, tmp_path):
    file = tmp_path / "loud.py"
    file.write_text(file.read_text().replace("np.abs(y[None])", "np.log(np.abs(y[None]))"))
    out = suite("-k", "silence")
    assert "1 failed" in out
    assert "AssertionError: loud.py:8: returned infinity: avoid the logarithm of zero" in out


def test_no_suite_is_entered_unasked():
    assert [entry for entry in entry_points(group="pytest11") if entry.value.startswith("audiofw")] == []
