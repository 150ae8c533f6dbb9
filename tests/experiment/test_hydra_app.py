"""experiment.hydra_app: what differs between Hydra's releases."""

from __future__ import annotations

import hydra
import hydra.utils

from audiofw.experiment.hydra_app import TARGETS, for_this_hydra


def test_hydra_1_3_is_told_which_behaviour_is_meant(monkeypatch):
    monkeypatch.delattr(hydra.utils, "execution_whitelist", raising=False)
    assert for_this_hydra(hydra.main) == {"version_base": "1.3"}


def test_hydra_1_4_is_told_what_configs_may_make(monkeypatch):
    monkeypatch.setattr(hydra.utils, "execution_whitelist", object(), raising=False)

    def main(config_path: str, execution_whitelist: list[str]) -> None: ...

    def initialize_config_dir(config_dir: str) -> None: ...

    assert for_this_hydra(main) == {"execution_whitelist": TARGETS}
    assert for_this_hydra(initialize_config_dir) == {}
