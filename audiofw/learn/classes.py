"""The classes of a training set."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets


def encode_classes(y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes, sorted, and the index of each label among them, ``(n,)``.

    Raises
    ------
    ValueError
        For a regression target, or a single class.

    Examples
    --------
    >>> from audiofw.learn.classes import encode_classes
    >>> classes, codes = encode_classes(["dog", "cat", "dog"])
    >>> classes.tolist(), codes.tolist()
    (['cat', 'dog'], [1, 0, 1])
    """
    check_classification_targets(y)
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError("the number of classes has to be greater than one; got 1 class")
    return classes, codes
