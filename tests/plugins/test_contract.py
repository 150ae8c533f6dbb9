"""Every available plugin fulfils the contract of `audiofw.kit`; a new one is tested automatically."""

import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import nets
import numpy as np
import pytest
from quick import QUICK

from audiofw.contract.hookspecs import KINDS
from audiofw.contract.plugin import Choice, Plugin
from audiofw.contract.registry import load_menus
from audiofw.errors import PluginError
from audiofw.kit.contract import TESTS
from audiofw.kit.sounds import RATES, SR, make_clips
from audiofw.testing import Check, contract_checks

MENUS = load_menus()


def every(*kinds: str):
    """Parametrize a test over all plugins of the given kinds."""
    plugins = [plugin for kind in kinds for plugin in MENUS.plugins[kind].values()]
    return pytest.mark.parametrize("plugin", plugins, ids=lambda plugin: f"{plugin.kind.name}={plugin.name}")


def bound(plugin: Plugin, sr: int | None = None, **options) -> Choice:
    who = f"{plugin.kind.name}={plugin.name}"
    need_library(who)
    if who == "feature=embedding":
        options = {**OPTIONS[who], "sample_rate": sr or SR, "window": nets.WIDE / (sr or SR), **options}
    return MENUS.choose_member(plugin.kind.name, plugin.name, options)


def need_library(who: str) -> None:
    needed = {"model=catboost": "catboost", "feature=embedding": "onnxruntime", "tracking=mlflow": "mlflow"}
    if who in needed:
        pytest.importorskip(needed[who], reason="an extra; .[test] has it")


SCRATCH = tempfile.TemporaryDirectory()
OPTIONS = {"tracking=mlflow": {"uri": f"sqlite:///{SCRATCH.name}/mlflow.db"}}
if find_spec("onnxruntime"):
    NETWORK = str(nets.write_onnx(Path(SCRATCH.name) / "net.onnx"))
    OPTIONS["feature=embedding"] = {"model": NETWORK, "sample_rate": SR, "window": nets.WIDE / SR}


SLOW = ("twice, threads", "saved and loaded")
QUICKLY = {**OPTIONS, **{f"model={name}": options for name, options in QUICK.items()}}
CHECKS = [check for check in contract_checks(options=OPTIONS) if check.what not in SLOW]
CHECKS += [check for check in contract_checks(options=QUICKLY) if check.what in SLOW]


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_it_keeps_the_contract(check: Check):
    need_library(check.who)
    remark = check()
    if check.what == "saved and loaded":
        assert remark.startswith("accuracy ")
    elif "1 Hz to" in check.what:
        assert [sr for sr in RATES if sr >= 1000 and f"{sr} Hz" in remark] == []
    elif check.what == "names":
        assert remark in ("", "numbered, since it has no names function")
    elif check.what == "graph":
        assert remark in ("", "none: a model with it cannot be exported")
    else:
        assert remark == ("300 s" if check.what == "five minutes" else "")  # none that an outsider's may have


def test_every_kind_and_every_plugin_is_checked():
    assert set(TESTS) == set(KINDS)
    named = {f"{kind}={name}" for kind, menu in MENUS.plugins.items() for name in menu}
    assert {check.who for check in CHECKS} == named


@every("feature")
@pytest.mark.parametrize("sr", [8000, 16000, 44100])
def test_a_feature_takes_any_sample_rate(plugin, sr):
    assert np.isfinite(bound(plugin, sr)(make_clips()["noise"].y, sr)).all()


@every("feature")
def test_a_feature_refuses_nan(plugin):
    with pytest.raises(PluginError, match=r"ValueError: .*finite"):
        bound(plugin)(np.full(SR, np.nan, np.float32), SR)


@every("model")
def test_a_model_takes_options_of_its_library_and_refuses_unknown_ones(plugin):
    if not plugin.open_ended:
        pytest.skip("its options are closed")
    if "make" in plugin.asks:
        pytest.skip("its other options are those of what it makes")
    params = bound(plugin, random_state=5)(42, 1).get_params()
    assert 5 in [value for name, value in params.items() if name.rpartition("__")[2] == "random_state"]
    with pytest.raises(Exception, match="no_such_option"):
        bound(plugin, no_such_option=1)(42, 1)


def test_the_menus_open_without_any_heavy_library():
    code = (
        "import sys; from audiofw.experiment.hydra_app import store_schema; "
        "from audiofw.contract.registry import load_menus; "
        "store_schema(load_menus()); "
        "heavy = ('numpy', 'scipy', 'sklearn', 'librosa.core', 'matplotlib', 'xgboost', 'lightgbm', 'soundfile'); "
        "print([module for module in heavy if module in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
