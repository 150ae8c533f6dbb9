"""The steps of a pipeline, and what its last one takes."""

from __future__ import annotations

from typing import Any

from audiofw.errors import ConfigError


def last_step(model: Any, prefix: str = "") -> tuple[Any, str, str]:
    """Find the classifier at the end of a pipeline: itself, its class's name, and the prefix of its parameters."""
    steps = getattr(model, "steps", None)
    if steps:
        return last_step(steps[-1][1], f"{prefix}{steps[-1][0]}__")
    return model, type(model).__name__, prefix


def takes(model: Any, name: str) -> bool:
    """Whether the fit of a model's last step has a parameter of this name."""
    from sklearn.utils.validation import has_fit_parameter

    return has_fit_parameter(last_step(model)[0], name)


def fit(model: Any, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Any:
    """Fit a model; groups go to one that takes them, weights must be taken.

    Raises
    ------
    ConfigError
        When there are weights and the model takes none.
    """
    _, name, prefix = last_step(model)
    given = {}
    if sample_weight is not None:
        if not takes(model, "sample_weight"):
            raise ConfigError(
                f"balance=balanced: {name} takes no sample_weight, so it cannot be balanced: "
                "balance=none, or another model"
            )
        given[f"{prefix}sample_weight"] = sample_weight
    if groups is not None and takes(model, "groups"):
        given[f"{prefix}groups"] = groups
    model.fit(X, y, **given)
    return model
