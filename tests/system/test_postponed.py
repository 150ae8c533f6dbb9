"""Modules that libraries import without need are imported when something in them is used, and behave as ever."""

import importlib
import subprocess
import sys
import types
from concurrent.futures import ThreadPoolExecutor

import pytest

from audiofw.system import postponed
from audiofw.system.postponed import postponed_imports

SLOW = """
import imports_log
from slow_thing.inner import deepest
imports_log.seen.append(__name__)
half = lambda number: number / 2
class Thing: size = 3
"""
EAGER = """
import slow_thing as whole
from slow_thing import Thing, half
try:
    import test_tool
except ImportError:
    test_tool = None
def is_thing(x): return isinstance(x, whole.Thing)
"""


@pytest.fixture
def seen(tmp_path, monkeypatch):
    """Modules on the path; the list of those that were really imported."""
    for name, text in {
        "slow_thing/__init__.py": SLOW,
        "slow_thing/inner.py": "deepest = 'inside'",
        "eager_library/__init__.py": "",
        "eager_library/part.py": EAGER,
        "test_tool.py": "",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(postponed, "POSTPONED", {"slow_thing"})
    monkeypatch.setattr(postponed, "LIBRARIES", ("eager_library.",))
    monkeypatch.setattr(postponed, "REFUSED", {"test_tool": "eager_library.part"})
    log = types.ModuleType("imports_log")
    log.seen = []
    monkeypatch.setitem(sys.modules, "imports_log", log)
    yield log.seen
    for name in [name for name in sys.modules if name.startswith(("slow_thing", "eager_library", "test_tool"))]:
        del sys.modules[name]


def library():
    return importlib.import_module("eager_library.part")


def test_what_a_library_imports_without_use_is_not_imported(seen):
    with postponed_imports():
        part = library()
        assert not isinstance(3, part.Thing)
        assert not part.is_thing(3)
    assert seen == []


def test_what_a_library_calls_is_imported_then(seen):
    with postponed_imports():
        part = library()
        assert part.half(3) == 1.5
        assert part.Thing.size == 3
        assert part.is_thing(part.Thing())
        assert not part.is_thing(3)
    assert seen == ["slow_thing"]
    assert part.Thing.__call__().__class__ is sys.modules["slow_thing"].Thing


def test_others_get_what_is_real(seen):
    with postponed_imports():
        part = library()
        from slow_thing import Thing

        assert isinstance(Thing, type)
        assert part.is_thing(Thing())
        assert issubclass(Thing, part.Thing)

        class Own(part.Thing):
            pass

        assert Own.__mro__[1] is Thing
        assert importlib.import_module("slow_thing") is not part.whole
        assert part.whole.Thing is not None
    assert seen == ["slow_thing"]


def test_a_module_inside_a_postponed_one_can_be_imported(seen):
    with postponed_imports():
        library()
        assert importlib.import_module("slow_thing.inner").deepest == "inside"
    assert seen == ["slow_thing"]


def test_what_was_put_off_is_imported_after_the_context(seen):
    with postponed_imports():
        part = library()
    assert part.half(1) == 0.5
    assert seen == ["slow_thing"]


def test_threads_import_it_once(seen):
    with postponed_imports():
        part = library()
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(part.half, range(64))) == [number / 2 for number in range(64)]
    assert seen == ["slow_thing"]


def test_a_library_does_without_its_test_tools(seen):
    with postponed_imports():
        assert library().test_tool is None
        assert importlib.import_module("test_tool")


def test_a_module_that_is_not_installed_stays_missing(seen, monkeypatch):
    monkeypatch.setattr(postponed, "POSTPONED", {"slow_thing", "nowhere_to_be_found"})
    with postponed_imports(), pytest.raises(ModuleNotFoundError):
        importlib.import_module("nowhere_to_be_found")


def test_scikit_learn_is_imported_without_scipy_stats_and_pandas():
    code = """
import sys
from audiofw.system.postponed import _is_postponed, postponed_imports
with postponed_imports():
    import numpy as np
    from sklearn.metrics import log_loss
    from sklearn.neighbors import LocalOutlierFactor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    make_pipeline(StandardScaler(), LocalOutlierFactor(2)).fit_predict(np.random.default_rng(0).normal(size=(9, 3)))
    assert _is_postponed("scipy.stats")
    assert "pandas.core" not in sys.modules
    from sklearn.metrics import label_ranking_loss, roc_auc_score
    from sklearn.covariance import MinCovDet
    MinCovDet(random_state=0).fit(np.random.default_rng(0).normal(size=(30, 2)))  # uses the chi2 distribution
    assert not _is_postponed("scipy.stats")
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
