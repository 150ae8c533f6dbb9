"""The final estimator of a pipeline, and fitting with the weights and groups that it supports."""

from __future__ import annotations

from typing import Any

from audiofw.errors import ConfigError


def last_step(model: Any, prefix: str = "") -> tuple[Any, str, str]:
    """Return the final estimator of a pipeline, the name of its class, and the prefix of its parameters."""
    steps = getattr(model, "steps", None)
    if steps:
        return last_step(steps[-1][1], f"{prefix}{steps[-1][0]}__")
    return model, type(model).__name__, prefix


def takes(model: Any, name: str) -> bool:
    """Whether the ``fit`` of a model's final estimator has a parameter with this name."""
    from sklearn.utils.validation import has_fit_parameter

    return has_fit_parameter(last_step(model)[0], name)


def fit(model: Any, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Any:
    """Fit a model with sample weights, and with groups if it supports them.

    Raises
    ------
    ConfigError
        If weights are given and the model does not support them.

    Examples
    --------
    >>> from audiofw.learn.steps import fit
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> model = make_pipeline(StandardScaler(), LogisticRegression())
    >>> fit(model, [[0.0], [1.0], [1.2]], ["cat", "dog", "dog"], sample_weight=[2, 1, 1]).predict([[0.1]]).tolist()
    ['cat']
    """
    _, name, prefix = last_step(model)
    given = {}
    if sample_weight is not None:
        if not takes(model, "sample_weight"):
            raise ConfigError(
                f"balance=balanced: {name} takes no sample_weight, which class weights need; "
                "use balance=none or another model"
            )
        given[f"{prefix}sample_weight"] = sample_weight
    if groups is not None and takes(model, "groups"):
        given[f"{prefix}groups"] = groups
    model.fit(X, y, **given)
    return model
