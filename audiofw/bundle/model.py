"""A fitted model with all that comes before it: it takes recordings and predicts their classes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from os import PathLike
from pathlib import Path
from time import perf_counter
from typing import Any, Literal, NamedTuple

import numpy as np

from audiofw.contract.blame import named
from audiofw.data.labels import name_prediction
from audiofw.errors import AudiofwError, ClipError, ConfigError, DataError, PluginError
from audiofw.evaluation.conformal import label_sets, threshold
from audiofw.evaluation.fit import predict, thresholds_of
from audiofw.evaluation.unknown import Reference, measure_distances, read_reference, typicality
from audiofw.extraction.padding import FeatureMatrices, FixedWidth, RowCollector
from audiofw.extraction.recording import Unit
from audiofw.parallel.executors import Lost, outcome
from audiofw.parallel.workers import outcomes

Files = str | PathLike[str] | Sequence[str | PathLike[str]]


LARGEST_BATCH = 64  # recordings that the classifier predicts at once
UNKNOWN = "unknown"  # the answer for a recording of no class
SWIFT, SLOW = 0.05, 0.2  # seconds per batch below which batches grow, and above which they shrink


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


@dataclass(frozen=True, eq=False)
class Model:
    """A model from a bundle, with all steps before it: decoding, feature, pooling, padding.

    Attributes
    ----------
    classes_ : np.ndarray [shape=(n_classes,)]
        Names of the classes, sorted: the columns of `predict_proba`.
    facts : mapping
        Contents of ``bundle.json``: settings, versions, score.
    """

    unit: Unit
    classifier: Any
    classes_: np.ndarray
    width: int | None  #: of a feature vector; None with a pooling that learns, which takes two-dimensional features
    pad_value: Literal["zero", "floor"]
    facts: Mapping[str, Any] = field(default_factory=dict)
    novelty: Any = None  #: measures how far recordings are from the training clips; None if the run has not learnt it

    def __repr__(self) -> str:
        classes = ", ".join(map(str, self.classes_))
        return f"Model({type(self.classifier).__name__} on {self.unit.feature.name}; classes: {classes})"

    @property
    def thresholds(self) -> np.ndarray | None:
        """The probability from which each label is predicted, of a model of several labels; else None."""
        return thresholds_of(self.classifier)

    @cached_property
    def reference(self) -> Reference | None:
        """The distances and confidences of the run's test clips, out of fold; None if the run has not measured them."""
        return read_reference(self.facts.get("unknown"))

    def predict(self, files: Files, *, unknown: float | None = None, n_jobs: int = -1) -> np.ndarray:
        """Predict the class of each recording; several labels are one text, ``cat;dog``, and none is the empty text.

        Parameters
        ----------
        files : path, or sequence of paths
        unknown : float, optional
            Answer "unknown" for recordings unlike the training clips; this share of the known ones is lost, if they are
            like the run's test clips. See `typicality`.
        n_jobs : int
            Number of workers; -1 uses all cores.

        Returns
        -------
        np.ndarray [shape=(files,)] of str

        Raises
        ------
        ConfigError
            If the share is not between 0 and 1, or the run has tested too few clips for it.
        DataError
            For a file that cannot be used, with its name.
        PluginError
            For a plugin that fails on a file.

        Examples
        --------
        >>> import audiofw
        >>> model = audiofw.load_model("run")
        >>> model.predict("pets/cat/0.wav").tolist()
        ['cat']
        >>> model.predict("hiss.wav", unknown=0.2).tolist()
        ['unknown']
        """
        if unknown is not None:
            self.check_unknown(unknown)
        return np.array([prediction.label_or_unknown(unknown) for prediction in self.predictions(files, n_jobs=n_jobs)])

    def check_unknown(self, share: float) -> None:
        """Check whether a share of known clips to be lost can be used.

        Raises
        ------
        ConfigError
            If not; see `predict`.

        Examples
        --------
        >>> import audiofw
        >>> model = audiofw.load_model("run")
        >>> model.check_unknown(0.2)
        """
        if not 0 < share < 1:
            raise ConfigError(f"unknown={share:g}: must be between 0 and 1")
        if self.reference is None:
            raise ConfigError(f"unknown={share:g}: the model has not learnt it; train again, with unknown=true")
        if (n := len(self.reference.surprises)) < (least := math.ceil(1 / share - 1e-9) - 1):
            raise ConfigError(f"unknown={share:g}: needs {least} test clips, and the run has tested {n}")

    def typicality(self, files: Files, *, n_jobs: int = -1) -> np.ndarray:
        """Compute how typical each recording is: the share of the run's test clips that are at least as strange.

        Strange is what is far from the training clips and, with one label per clip, predicted with little confidence;
        see `audiofw.evaluation.unknown`.

        Parameters
        ----------
        files, n_jobs
            As for `predict`.

        Returns
        -------
        np.ndarray [shape=(files,)]

        Raises
        ------
        ConfigError
            If the run has not measured it.
        DataError
            For a file that cannot be used, with its name.

        Examples
        --------
        >>> import audiofw
        >>> model = audiofw.load_model("run")
        >>> known, hiss = model.typicality(["pets/cat/0.wav", "hiss.wav"])
        >>> bool(hiss < known)
        True
        """
        if self.reference is None:
            raise ConfigError("typicality: the model has not learnt it; train again, with unknown=true")
        return np.array([prediction.typicality for prediction in self.predictions(files, n_jobs=n_jobs)])

    def predict_proba(self, files: Files, *, n_jobs: int = -1) -> np.ndarray:
        """Predict the probability of each class for each recording.

        Parameters
        ----------
        files, n_jobs
            As for `predict`.

        Returns
        -------
        np.ndarray [shape=(files, n_classes)]
            Columns in the order of ``classes_``; each row sums to 1, unless a recording may have several labels.

        Raises
        ------
        PluginError
            If the model has no probabilities.
        DataError
            For a file that cannot be used, with its name.

        Examples
        --------
        >>> import audiofw
        >>> model = audiofw.load_model("run")
        >>> probabilities = model.predict_proba(["pets/cat/0.wav", "pets/dog/0.wav"])
        >>> probabilities.shape
        (2, 2)
        >>> model.classes_[probabilities.argmax(axis=1)].tolist()
        ['cat', 'dog']
        """
        rows = [prediction.probabilities for prediction in self.predictions(files, n_jobs=n_jobs)]
        if None in [row if row is None else True for row in rows]:
            raise PluginError("gives no probabilities: use predict", plugin=f"model={self.facts['model']['name']}")
        return np.array(rows)

    def predict_set(self, files: Files, *, coverage: float = 0.9, n_jobs: int = -1) -> list[list[str]]:
        """Predict a set of labels for each recording that contains the true one with a given coverage (conformal).

        Parameters
        ----------
        files, n_jobs
            As for `predict`.
        coverage : float
            Share of sets that contain the true label, for recordings like those that the run tested; see
            `audiofw.evaluation.conformal`.

        Returns
        -------
        list of list of str
            The most probable label first.

        Raises
        ------
        ConfigError
            If the coverage is not between 0 and 1, the model has no probabilities, or it predicts several labels.
        DataError
            For a file that cannot be used, with its name.

        Examples
        --------
        >>> import audiofw
        >>> model = audiofw.load_model("run")
        >>> model.predict_set(["pets/cat/0.wav", "pets/dog/0.wav"], coverage=0.8)
        [['cat'], ['dog']]
        """
        least = self.least_probability(coverage)
        return [self.labels(row, least) for row in self.predict_proba(files, n_jobs=n_jobs)]

    def least_probability(self, coverage: float) -> float:
        """Find the lowest probability of a label in a prediction set; see `predict_set`.

        Examples
        --------
        >>> import audiofw
        >>> model = audiofw.load_model("run")
        >>> 0 < model.least_probability(coverage=0.8) <= 1
        True
        """
        if not 0 < coverage < 1:
            raise ConfigError(f"coverage={coverage}: must be between 0 and 1")
        if self.thresholds is not None:
            raise ConfigError(
                f"coverage={coverage}: prediction sets are for one label per clip, this model gives several"
            )
        if not (conformity := self.facts.get("conformity")):
            raise ConfigError(f"coverage={coverage}: the model was saved without the probabilities of test clips")
        return threshold(conformity, coverage)

    def labels(self, probabilities: np.ndarray, least: float) -> list[str]:
        """List the labels with at least this probability, the most probable first; there is always one.

        Examples
        --------
        >>> import audiofw, numpy
        >>> model = audiofw.load_model("run")
        >>> model.labels(numpy.array([0.6, 0.4]), least=0.3), model.labels(numpy.array([0.1, 0.2]), least=0.3)
        (['cat', 'dog'], ['dog'])
        """
        order = np.argsort(-probabilities, kind="stable")
        chosen = label_sets(probabilities[None], least)[0]
        return [str(self.classes_[i]) for i in order if chosen[i]]

    def predictions(self, files: Files, *, n_jobs: int = -1) -> list[Prediction]:
        """Predict everything about each recording at once; see `predict`."""
        paths = [Path(file) for file in ([files] if isinstance(files, (str, PathLike)) else files)]
        if not paths:
            raise DataError("no files to predict")
        n_jobs = 1 if len(paths) == 1 else n_jobs
        made = []
        with closing(outcomes(self.unit, paths, n_jobs=n_jobs, processes=self.unit.holds_gil)) as results:
            for path, result in zip(paths, results, strict=True):
                if isinstance(fitted := self.fit_width(result), Lost):
                    fitted.error.clip = str(path)
                    raise fitted.error
                made.append(fitted)
        return self.classify(made)

    def fit_width(self, made: np.ndarray | Lost) -> np.ndarray | Lost:
        """Pad a recording's feature vectors, as the unit extracts them, to the width of the classifier."""
        if isinstance(made, Lost):
            return made
        collector: RowCollector = (
            FeatureMatrices() if self.width is None else FixedWidth(len(made), self.width, self.pad_value)
        )
        if collector.add(made, ""):
            wider = f"{made.shape[1]} features, more than the {self.width} that the model was trained on"
            return Lost.by(ClipError(wider))
        return collector.stack()

    def classify(self, made: Sequence[np.ndarray]) -> list[Prediction]:
        """Classify recordings; each is given by its feature vectors, as `fit_width` returns them."""
        clip_of = np.repeat(np.arange(len(made)), [len(rows) for rows in made])
        names = {"pooling": self.unit.pooling.name}
        if "model" in self.facts:
            names["model"] = self.facts["model"]["name"]
        with named(names):
            X = np.concatenate(made)
            numbers, probabilities = predict(self.classifier, X, clip_of, len(self.classes_))
            distances, typical = self._measure(X, clip_of, probabilities)
        rows = [None] * len(made) if probabilities is None else probabilities
        labels = [name_prediction(n, self.classes_) for n in numbers]
        return [Prediction(*each) for each in zip(labels, rows, distances, typical, strict=True)]

    def _measure(
        self, X: np.ndarray, clip_of: np.ndarray, probabilities: np.ndarray | None
    ) -> tuple[Sequence[float | None], Sequence[float | None]]:
        """Measure the distance and the typicality of each recording; None if they are not known."""
        n = len(np.unique(clip_of))
        if self.novelty is None:
            return [None] * n, [None] * n
        distances = measure_distances(self.novelty, self.classifier, X, clip_of)
        if self.reference is None:  # the bundle is being made
            return distances.tolist(), [None] * n
        confidences = None if probabilities is None else probabilities.max(axis=1)
        return distances.tolist(), typicality(self.reference, distances, confidences).tolist()

    def stream(self, made: Iterable[np.ndarray | Lost]) -> Iterator[Prediction | Lost]:
        """Classify recordings in order, as their feature vectors arrive; in batches if they arrive fast.

        Parameters
        ----------
        made : iterable of np.ndarray or Lost
            Feature vectors of one recording after the other, as the unit extracts them; read as needed.
        """
        results, size = iter(made), 1
        while True:
            started = perf_counter()
            batch: list[np.ndarray | Lost] = []
            try:
                batch.extend(islice(results, size))  # keeps what has arrived before an interrupt
            except KeyboardInterrupt:
                yield from self._classify_each(batch)
                raise
            if not batch:
                return
            yield from self._classify_each(batch)
            took = perf_counter() - started
            size = min(2 * size, LARGEST_BATCH) if took < SWIFT else max(size // 2, 1) if took > SLOW else size

    def _classify_each(self, made: Sequence[np.ndarray | Lost]) -> list[Prediction | Lost]:
        """Classify those that have features, all at once; if that fails, one by one, to find out which."""
        batch = [self.fit_width(each) for each in made]
        sound = [each for each in batch if not isinstance(each, Lost)]
        try:
            predictions: list[Any] = self.classify(sound) if sound else []
        except AudiofwError:
            predictions = [outcome(lambda rows: self.classify([rows])[0], rows) for rows in sound]
        classified = iter(predictions)
        return [each if isinstance(each, Lost) else next(classified) for each in batch]
