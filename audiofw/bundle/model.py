"""A fitted model with all that comes before it: it takes recordings and predicts their classes."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import islice
from time import perf_counter
from typing import Any, Literal

import numpy as np

from audiofw.bundle.labelling import Labeller, LabellingRule, check_window, choose_way, labelled_whole
from audiofw.bundle.live import Answer, listen
from audiofw.bundle.notebook import model_card, model_line
from audiofw.bundle.operating import thresholds_for
from audiofw.bundle.prediction import UNKNOWN, Prediction
from audiofw.bundle.timeline import Segment
from audiofw.cache.store import RecipeCache
from audiofw.contract.blame import named
from audiofw.data.given import NamedFile, Recordings, as_files
from audiofw.data.labels import join_labels, name_prediction
from audiofw.errors import AudiofwError, ClipError, ConfigError, PluginError
from audiofw.evaluation.conformal import label_sets, threshold
from audiofw.evaluation.fit import predict, thresholds_of
from audiofw.evaluation.unknown import Reference, measure_distances, read_reference, typicality
from audiofw.extraction.padding import FeatureMatrices, FixedWidth, RowCollector
from audiofw.extraction.recording import Unit
from audiofw.parallel.executors import Lost, outcome
from audiofw.parallel.workers import outcomes

_PROCESSES = threading.Lock()  # one pool of worker processes serves all threads
WINDOWS_AT_ONCE = 32  # of a recording
LARGEST_BATCH = 64  # recordings that the classifier predicts at once
SWIFT, SLOW = 0.05, 0.2  # seconds per batch below which batches grow, and above which they shrink


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
        return model_line(self.facts, self.classifier, self.unit.feature.name, self.classes_.tolist())

    def _repr_html_(self) -> str:
        """Draw the model in a notebook."""
        return model_card(self.facts, self.classifier, self.unit.feature.name, self.classes_.tolist())

    @property
    def thresholds(self) -> np.ndarray | None:
        """The probability from which each label is predicted, of a model of several labels; else None."""
        return thresholds_of(self.classifier)

    @cached_property
    def reference(self) -> Reference | None:
        """The distances and confidences of the run's test clips, out of fold; None if the run has not measured them."""
        return read_reference(self.facts.get("unknown"))

    def predict(
        self,
        recordings: Recordings,
        *,
        unknown: float | None = None,
        precision: float | None = None,
        recall: float | None = None,
        n_jobs: int = -1,
    ) -> np.ndarray:
        """Predict the class of each recording; several labels are one text, ``cat;dog``, and none is the empty text.

        Parameters
        ----------
        recordings : recording, or sequence of recordings
            Each a path, samples with their rate as ``(y, sr)``, the bytes of a file, or a file opened in binary mode;
            samples are [shape=(n,) or (channels, n)], as librosa loads them.
        unknown : float, optional
            Answer "unknown" for recordings unlike the training clips; this share of the known ones is lost, if they are
            like the run's test clips. See `typicality`.
        precision, recall : float, optional
            Only predict a class where its probability reaches the threshold at which it had this precision, or this
            recall, on the run's test clips; "unknown" where none does. One of them; see `operating_thresholds`.
        n_jobs : int
            Number of workers; -1 uses all cores.

        Returns
        -------
        np.ndarray [shape=(recordings,)] of str

        Raises
        ------
        ConfigError
            If the share is not between 0 and 1, or the run has tested too few clips for it.
        DataError
            For a recording that cannot be used, with its name, or something that is not a recording.
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
        least = None if precision is recall is None else self.operating_thresholds(precision=precision, recall=recall)
        made = self.predictions(recordings, n_jobs=n_jobs)
        return np.array([(one if least is None else self.at(one, least)).label_or_unknown(unknown) for one in made])

    def operating_thresholds(self, *, precision: float | None = None, recall: float | None = None) -> np.ndarray:
        """Find the threshold of each class for a wanted precision or recall, on the run's out-of-fold test clips.

        Parameters
        ----------
        precision, recall : float, optional
            One of them, above 0 and at most 1. Of all thresholds that meet it, the one with the highest value of the
            other is taken.

        Returns
        -------
        np.ndarray [shape=(n_classes,)]
            Infinite for a class that does not reach it with any threshold, of which a warning tells.

        Raises
        ------
        ConfigError
            For a value out of range, or a model without the probabilities of test clips.

        Examples
        --------
        >>> import audiofw
        >>> model = audiofw.load_model("run")
        >>> thresholds = model.operating_thresholds(precision=0.9)
        >>> thresholds.shape
        (2,)
        >>> model.predict("pets/cat/0.wav", precision=0.9).tolist()
        ['cat']
        """
        return thresholds_for(self.facts.get("operating"), [str(name) for name in self.classes_], precision, recall)

    def detected(self, probabilities: np.ndarray, least: np.ndarray) -> list[str]:
        """List the classes whose probabilities reach their thresholds, the most probable first.

        Examples
        --------
        >>> import audiofw, numpy
        >>> model = audiofw.load_model("run")
        >>> model.detected(numpy.array([0.6, 0.4]), numpy.array([0.5, 0.3]))
        ['cat', 'dog']
        """
        order = np.argsort(-probabilities, kind="stable")
        return [str(self.classes_[k]) for k in order if probabilities[k] >= least[k]]

    def at(self, made: Prediction, least: np.ndarray) -> Prediction:
        """Change a prediction to that at an operating point."""
        if made.probabilities is None:
            return made
        found = self.detected(made.probabilities, least)
        label = join_labels(found) if self.thresholds is not None else found[0] if found else UNKNOWN
        return made._replace(label=label)

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

    def typicality(self, recordings: Recordings, *, n_jobs: int = -1) -> np.ndarray:
        """Compute how typical each recording is: the share of the run's test clips that are at least as strange.

        Strange is what is far from the training clips and, with one label per clip, predicted with little confidence;
        see `audiofw.evaluation.unknown`.

        Parameters
        ----------
        recordings, n_jobs
            As for `predict`.

        Returns
        -------
        np.ndarray [shape=(recordings,)]

        Raises
        ------
        ConfigError
            If the run has not measured it.
        DataError
            For a recording that cannot be used, with its name, or something that is not a recording.

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
        return np.array([prediction.typicality for prediction in self.predictions(recordings, n_jobs=n_jobs)])

    def predict_proba(self, recordings: Recordings, *, n_jobs: int = -1) -> np.ndarray:
        """Predict the probability of each class for each recording.

        Parameters
        ----------
        recordings, n_jobs
            As for `predict`.

        Returns
        -------
        np.ndarray [shape=(recordings, n_classes)]
            Columns in the order of ``classes_``; each row sums to 1, unless a recording may have several labels.

        Raises
        ------
        PluginError
            If the model has no probabilities.
        DataError
            For a recording that cannot be used, with its name, or something that is not a recording.

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
        rows = [prediction.probabilities for prediction in self.predictions(recordings, n_jobs=n_jobs)]
        if None in [row if row is None else True for row in rows]:
            raise PluginError("gives no probabilities: use predict", plugin=f"model={self.facts['model']['name']}")
        return np.array(rows)

    def predict_set(self, recordings: Recordings, *, coverage: float = 0.9, n_jobs: int = -1) -> list[list[str]]:
        """Predict a set of labels for each recording that contains the true one with a given coverage (conformal).

        Parameters
        ----------
        recordings, n_jobs
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
            For a recording that cannot be used, with its name, or something that is not a recording.

        Examples
        --------
        >>> import audiofw
        >>> model = audiofw.load_model("run")
        >>> model.predict_set(["pets/cat/0.wav", "pets/dog/0.wav"], coverage=0.8)
        [['cat'], ['dog']]
        """
        least = self.least_probability(coverage)
        return [self.labels(row, least) for row in self.predict_proba(recordings, n_jobs=n_jobs)]

    def timeline(
        self,
        recordings: Recordings,
        *,
        window: float | None = None,
        hop: float | None = None,
        threshold: float | None = None,
        min_confidence: float = 0.0,
        unknown: float | None = None,
        background: bool = False,
        n_jobs: int = -1,
    ) -> list[list[Segment]]:
        """Label recordings over time, as ``audiofw predict --window`` does.

        Parameters
        ----------
        recordings : recording, or sequence of recordings
            As for `predict`; of any length.
        window, hop : float, optional
            Length of a window, and time from one to the next, in seconds; by default as the model was trained, if it
            was on windows, and without overlap.
        threshold : float, optional
            No segment below this probability.
        min_confidence : float
            "unknown" below this probability.
        unknown : float, optional
            As for `predict`.
        background : bool
            Also the segments of the model's background class.
        n_jobs : int
            Number of workers, for the windows of a recording.

        Returns
        -------
        list of list of Segment
            For each recording: ``start`` and ``end`` in seconds, ``label``, its mean ``confidence``, and ``error``, why
            there is none for a stretch that could not be used.

        Raises
        ------
        ConfigError
            Without a window, for a model that was not trained on windows; see also `predict`.
        DataError
            For a recording of which nothing can be used, with its name.
        PluginError
            For a plugin that fails.

        Examples
        --------
        >>> import audiofw, numpy, soundfile
        >>> cat, sr = soundfile.read("pets/cat/0.wav")
        >>> dog, sr = soundfile.read("pets/dog/0.wav")
        >>> model = audiofw.load_model("run")
        >>> (segments,) = model.timeline((numpy.concatenate([cat, dog]), sr), window=0.3)
        >>> [(one.start, one.end, one.label) for one in segments]
        [(0.0, 0.3, 'cat'), (0.3, 0.6, 'dog')]
        """
        way = self._way(window, hop, threshold, min_confidence, unknown, background)
        labeller = self.labeller(way, n_jobs=n_jobs)
        with as_files(recordings) as sounds, _PROCESSES if self.unit.holds_gil else nullcontext():
            return [labelled_whole(labeller, sound) for sound in sounds]

    def listen(
        self,
        blocks: Iterable[np.ndarray],
        sr: float,
        *,
        window: float | None = None,
        hop: float | None = None,
        unknown: float | None = None,
    ) -> Iterator[Answer]:
        """Label a stream as it comes in, such as a microphone's: one answer for each window, when it ends.

        Each window is resampled by itself, so the answer is that of `predict` for a file with these samples.

        Parameters
        ----------
        blocks : iterable of np.ndarray [shape=(n,) or (channels, n)]
            Floating-point samples, in blocks of any length.
        sr : float
            Their sampling rate in Hz.
        window, hop : float, optional
            In seconds, as for `timeline`; without windows in training, a window has the length of a clip.
        unknown : float, optional
            As for `predict`.

        Yields
        ------
        Answer
            ``start`` and ``end`` in seconds since the first sample, ``label``, ``probabilities`` (None if the model has
            none), and ``error``, why there is no label, e.g. for digital silence.

        Raises
        ------
        ConfigError, DataError
            If the window's length is not known, or a block does not hold samples.
        PluginError
            For a plugin that fails.

        Examples
        --------
        >>> import audiofw, soundfile
        >>> model = audiofw.load_model("run")
        >>> y, sr = soundfile.read("pets/cat/0.wav")
        >>> blocks = (y[start : start + 1000] for start in range(0, len(y), 1000))
        >>> [answer.label for answer in model.listen(blocks, sr, window=0.1)]
        ['cat', 'cat', 'cat']
        """
        way = self._way(window or self._clip_length(), hop, None, 0.0, unknown, True)
        return listen(self.unit, self._prediction_of, blocks, sr, way)

    def _clip_length(self) -> float | None:
        return None if "timeline" in self.facts else self.unit.segments.duration

    def _prediction_of(self, made: np.ndarray | Lost) -> Prediction | Lost:
        return self._classify_each([made])[0]

    def _way(
        self,
        window: float | None,
        hop: float | None,
        threshold: float | None,
        min_confidence: float,
        unknown: float | None,
        background: bool,
    ) -> LabellingRule:
        """Choose how recordings are labelled over time."""
        if unknown is not None:
            self.check_unknown(unknown)
        check_window(window, hop)
        way = choose_way(
            self.facts.get("timeline"),
            [str(name) for name in self.classes_],
            self.thresholds,
            window=window,
            hop=hop,
            threshold=threshold,
            min_confidence=min_confidence,
            unknown=unknown,
            background=background,
        )
        if way is None:
            raise ConfigError("window=None: the model was not trained on windows; give their length in seconds")
        return way

    def labeller(
        self, way: LabellingRule, *, n_jobs: int = -1, cache: RecipeCache | None = None, keeps_windows: bool = False
    ) -> Labeller:
        """Make what labels recordings over time; see `audiofw.bundle.labelling.Labeller`."""
        classify = partial(self.stream, least=WINDOWS_AT_ONCE)
        return Labeller(self.unit, classify, self.classes_, self.thresholds, way, n_jobs, cache, keeps_windows)

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

    def predictions(self, recordings: Recordings, *, n_jobs: int = -1) -> list[Prediction]:
        """Predict everything about each recording at once; see `predict`."""
        with as_files(recordings) as sounds, _PROCESSES if self.unit.holds_gil else nullcontext():
            return self.classify(self._rows(sounds, 1 if len(sounds) == 1 else n_jobs))

    def _rows(self, sounds: Sequence[NamedFile], n_jobs: int) -> list[np.ndarray]:
        """Extract the feature vectors of each recording; the first that cannot be used raises its error."""
        made, paths = [], [sound.path for sound in sounds]
        with closing(outcomes(self.unit, paths, n_jobs=n_jobs, processes=self.unit.holds_gil)) as results:
            for sound, result in zip(sounds, results, strict=True):
                if isinstance(fitted := self.fit_width(result), Lost):
                    fitted.error.clip = sound.name
                    raise fitted.error
                made.append(fitted)
        return made

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

    def stream(self, made: Iterable[np.ndarray | Lost], least: int = 1) -> Iterator[Prediction | Lost]:
        """Classify recordings in order, as their feature vectors arrive; in batches if they arrive fast.

        Parameters
        ----------
        made : iterable of np.ndarray or Lost
            Feature vectors of one recording after the other, as the unit extracts them; read as needed.
        least : int
            Size of the smallest batch: one alone takes as long as many, often as long as its features.
        """
        results, size = iter(made), least
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
            size = min(2 * size, LARGEST_BATCH) if took < SWIFT else max(size // 2, least) if took > SLOW else size

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
