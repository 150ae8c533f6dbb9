"""``hydra/sweeper=optuna``: Hydra's side of the search.

Hydra takes sweepers from the namespace package ``hydra_plugins`` alone, which loads in every Hydra app of an
environment; so this one is registered by hand, under such a name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from audiofw.experiment.tune.part import TARGET


@dataclass
class OptunaOptions:
    """The node ``hydra.sweeper``; what people set stands in the section ``tune``."""

    _target_: str = TARGET
    params: dict[str, str] = field(default_factory=dict)  #: the space of a preset: option -> sweep


class OptunaSweeper(Sweeper):
    """Runs trials, each with options that Optuna suggests from how the earlier ones went."""

    def __init__(self, params: Mapping[str, str]) -> None:
        self.params = params

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what Hydra hands over."""
        self.config, self.hydra_context = config, hydra_context
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Search; the words of the command line come after, and so win over, those of a preset."""
        from audiofw.experiment.tune.search import (
            search,  # Optuna, scikit-learn: a refused word should not wait for them
        )

        assert self.config is not None
        assert self.hydra_context is not None
        assert self.launcher is not None
        words = [*(f"{key}={value}" for key, value in self.params.items()), *arguments]
        search(words, self.config, self.hydra_context.config_loader, self.launcher)


def register() -> None:
    """Make ``hydra/sweeper=optuna`` known to Hydra; called before `hydra.main`."""
    plugins = Plugins.instance()
    plugins.register(OptunaSweeper)
    plugins.class_name_to_class[TARGET] = OptunaSweeper
    ConfigStore.instance().store(group="hydra/sweeper", name="optuna", node=OptunaOptions, provider="audiofw")
