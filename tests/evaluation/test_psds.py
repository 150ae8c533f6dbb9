"""PSDS is that of ``sed_scores_eval``, whatever pandas is installed."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from audiofw.evaluation import psds as psds_module
from audiofw.evaluation.detection import WindowMeans
from audiofw.evaluation.events import NONE, make_events
from audiofw.evaluation.psds import psds

CLASSES = ("background", "cat", "dog")
TRUTH = make_events([(3, 6, 1), (10, 13, 2), (50, 53, 1), (52, 55, 1)])


def score(skill, noise=0.1, seed=0, n=100):
    rng = np.random.default_rng(seed)
    scores = noise * rng.random((n, 3))
    for start, end, of in zip(*TRUTH, strict=True):
        scores[int(start) : int(end), of] += skill
    starts = np.arange(n, dtype=float)
    return [(WindowMeans(starts, starts + 1, scores), TRUTH, float(n))]


def test_a_perfect_detector_scores_one_and_a_blind_one_less():
    pytest.importorskip("sed_scores_eval")
    assert psds(score(0.8), CLASSES, "background") == pytest.approx(1)
    assert psds(score(0.0), CLASSES, "background") < 0.5


def test_a_class_without_events_leaves_psds_undefined():
    scores, _, seconds = score(0.8)[0]
    assert psds([(scores, NONE, seconds)], CLASSES, "background") is None
    assert psds([], CLASSES, "background") is None


def test_without_the_extra_there_is_no_psds(monkeypatch):
    monkeypatch.setattr(psds_module, "find_spec", lambda name: None)
    assert psds(score(0.8), CLASSES, "background") is None


def test_an_extra_that_cannot_be_imported_costs_psds_alone(tmp_path, monkeypatch, caplog):
    (tmp_path / "sed_scores_eval.py").write_text("import pkg_resources_of_old_releases")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "sed_scores_eval"]:
        monkeypatch.delitem(sys.modules, name)
    assert psds(score(0.8), CLASSES, "background") is None
    assert "no PSDS, as sed_scores_eval cannot be imported: No module named" in caplog.text
    monkeypatch.delitem(sys.modules, "sed_scores_eval", raising=False)


def test_a_long_recording_in_pieces_scores_as_a_whole(monkeypatch):
    pytest.importorskip("sed_scores_eval")
    whole = psds(score(0.9, noise=1.0), CLASSES, "background")
    monkeypatch.setattr(psds_module, "PIECE", 20)
    assert psds(score(0.9, noise=1.0), CLASSES, "background") == pytest.approx(whole, abs=0.02)
    assert 0 < whole < 1
