"""The prediction for one recording."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

UNKNOWN = "unknown"  # the answer for a recording of no class


class Prediction(NamedTuple):
    """The prediction for one recording."""

    label: str  #: several as one text, see `audiofw.data.labels.join_labels`
    probabilities: np.ndarray | None  #: [shape=(classes,)]; None if the model gives none
    distance: float | None = None  #: from the training clips, see `audiofw.learn.novelty`; None if not measured
    typicality: float | None = None  #: share of the run's test clips that are at least as strange; None if not known

    def label_or_unknown(self, unknown: float | None) -> str:
        """The label; or `UNKNOWN` if the typicality is at most ``unknown``."""
        strange = unknown is not None and self.typicality is not None and self.typicality <= unknown
        return UNKNOWN if strange else self.label
