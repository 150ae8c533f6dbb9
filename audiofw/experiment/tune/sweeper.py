"""``hydra/sweeper=optuna``: the interface of the search to Hydra.

Hydra accepts only sweepers from the namespace package ``hydra_plugins``, which is loaded in every Hydra app of an
environment; so this one is registered by hand, under a name in there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from audiofw.contract.menus import store_node
from audiofw.experiment.tune.part import TARGET


@dataclass
class OptunaOptions:
    """The node ``hydra.sweeper``; users set the options in the section ``tune``."""

    _target_: str = TARGET
    params: dict[str, str] = field(default_factory=dict)  #: the search space of a preset: option -> sweep


class OptunaSweeper(Sweeper):
    """Runs trials with options that Optuna suggests from the results of earlier ones."""

    def __init__(self, params: Mapping[str, str]) -> None:
        self.params = params

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Store what Hydra passes."""
        self.config, self.hydra_context = config, hydra_context
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Run the search; the command line comes after a preset's options, and so overrides them."""
        from audiofw.experiment.tune.search import (
            search,  # imports Optuna and scikit-learn: an invalid option should not wait for them
        )

        assert self.config is not None
        assert self.hydra_context is not None
        assert self.launcher is not None
        words = [*(f"{key}={value}" for key, value in self.params.items()), *arguments]
        search(words, self.config, self.hydra_context.config_loader, self.launcher)


def register() -> None:
    """Register ``hydra/sweeper=optuna`` with Hydra; called before `hydra.main`."""
    plugins = Plugins.instance()
    plugins.register(OptunaSweeper)
    plugins.class_name_to_class[TARGET] = OptunaSweeper
    store_node(group="hydra/sweeper", name="optuna", node=OptunaOptions, provider="audiofw")
