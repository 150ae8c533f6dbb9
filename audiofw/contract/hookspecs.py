"""The plugin contract in one page: a plugin is a function that a hook registers.

Parameters before the ``*`` in the function's signature are passed by audiofw; parameters after it are options that
the user can set, each with a type and a default. ::

    import librosa
    from audiofw import hookimpl

    @hookimpl
    def register_features(register):
        register(loudness)

    def loudness(y, sr, *, hop_length: int = 512):
        \"\"\"Root-mean-square level of each frame.\"\"\"
        return librosa.feature.rms(y=y, hop_length=hop_length)

Option types: ``int``, ``float``, ``bool``, ``str``, ``Path``, ``list[...]`` and unions of these with ``None``;
``Literal["a", "b"]`` for choices; ``Annotated[int, Interval(ge=1, le=4096)]`` (of ``annotated_types``) for a range,
``Annotated[list[float], MaxLen(8)]`` for a greatest length. NaN and infinity are never accepted. Annotate an option
that names a file as ``Path``: results are then known by the file's content, so that a changed file is noticed.

Each hook takes ``register``, see `Register`, and calls it once for each plugin.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import pluggy

hookspec = pluggy.HookspecMarker("audiofw")

hookimpl = pluggy.HookimplMarker("audiofw")
"""Marks a function of a plugin as a hook: ``@hookimpl def register_features(register): register(loudness)``."""


Need = float | Callable[..., float | None] | None
"""What a feature needs of its clips: a number, or a function of its options that returns one."""


class Register(Protocol):
    """What hooks are given: ``register(function, name=None, holds_gil=False, names=None, …)``."""

    def __call__(
        self,
        function: Callable[..., Any],
        name: str | None = None,
        *,
        holds_gil: bool = False,
        names: Callable[..., list[str]] | None = None,
        onnx: Callable[..., str] | None = None,
        sample_rate: Need = None,
        min_duration: Need = None,
    ) -> None:
        """Put a function on the menu of the hook's kind.

        Parameters
        ----------
        function
            Made with ``def``; its signature is checked when it is registered.
        name
            The plugin's name; by default the function's.
        holds_gil
            Marks a feature, pooling or augmentation that spends its time in Python code, so that it runs in worker
            processes instead of threads.
        names
            A function that names the output, for reports and tables. For a feature, ``names(sr, **options)`` returns a
            name for each row, without ``.`` or ``@``: ``mfcc3``, ``mel_1200Hz``. For a pooling, ``names(rows, d,
            **options)`` returns a name for each of the ``d`` columns: row, statistic and, if it covers only a segment
            of the clip, which one: ``mfcc3.std``, ``mfcc3.delta.p90@2/4``. Without it, rows and columns are numbered.
        onnx
            A function that computes the same in ONNX, so that models can be exported with ``audiofw export``. For a
            feature, ``onnx(graph, y, sr, **options)`` returns ``(rows, frames)``; for a pooling, ``onnx(graph, frames,
            **options)`` returns ``(d,)``. The operators of ONNX are methods of ``graph``, which add a node: ``y``, of
            one clip, ``float32 (n,)``, and what methods return are names of values. What cannot be exported raises
            NotImplementedError with the reason.
        sample_rate
            The rate in Hz that a feature needs, to which clips are then resampled; a number, or a function of the
            options: ``sample_rate=lambda *, rate, **_: rate``.
        min_duration
            The duration in seconds that a feature needs; shorter clips are padded with zeros. A number or a function.
        """


class Trust(Protocol):
    """What `register_trusted_types` is given: ``register(*names)``, full names of classes."""

    def __call__(self, *names: str) -> None: ...


@hookspec
def register_features(register: Register) -> None:
    """Register features: functions ``(y, sr, *, …)`` that return a float array ``(rows, frames)``.

    ``y`` is one clip, mono ``float32 (n,)``, which the function may modify in place; ``sr`` is its sampling rate in Hz.

    Examples
    --------
    >>> from audiofw import hookimpl
    >>> @hookimpl
    ... def register_features(register):
    ...     register(loudness)
    >>> def loudness(y, sr, *, hop_length: int = 512):
    ...     "Root-mean-square level of each frame."
    ...     from audiofw import spectral
    ...     return spectral.rms(y, hop_length=hop_length)
    """


@hookspec
def register_poolings(register: Register) -> None:
    """Register poolings: functions ``(frames, *, …)`` that turn a feature's ``(rows, frames)`` into a vector ``(d,)``.

    A pooling that learns from the training clips takes ``seed`` instead of ``frames``: ``(seed, *, …)`` returns an
    unfitted scikit-learn transformer, which is fitted on each training fold. Its ``fit(X, y)`` and ``transform(X)``
    receive a sequence of ``n`` arrays ``(rows, frames)``, whose numbers of frames may differ; ``transform`` returns
    ``(n, d)``.

    Examples
    --------
    >>> from audiofw import hookimpl
    >>> @hookimpl
    ... def register_poolings(register):
    ...     register(mean)
    >>> def mean(frames):
    ...     "Mean of each row over time."
    ...     return frames.mean(axis=1)
    """


@hookspec
def register_models(register: Register) -> None:
    """Register models: functions ``(seed, n_jobs, make, *, …)`` that return an unfitted scikit-learn classifier.

    The classifier may be a ``Pipeline``. A function declares only the arguments that it needs. ``make(name,
    **options)`` creates another available model with the same seed and number of threads, and with default values for
    the options not given. A final ``**params`` accepts further options, so that every option of the wrapped library can
    be set with ``+model.gamma=1``. If the classifier's ``fit`` has a parameter ``groups``, it receives the group of
    each row (its clip if the data has no groups), so that its inner splits do not leak.

    Examples
    --------
    >>> from audiofw import hookimpl
    >>> @hookimpl
    ... def register_models(register):
    ...     register(naive_bayes)
    >>> def naive_bayes(*, var_smoothing: float = 1e-9):
    ...     "Gaussian naive Bayes."
    ...     from sklearn.naive_bayes import GaussianNB
    ...     return GaussianNB(var_smoothing=var_smoothing)
    """


@hookspec
def register_splits(register: Register) -> None:
    """Register splits: functions ``(seed, groups, folds, *, …)`` that return a scikit-learn cross-validation splitter.

    A function declares only the arguments that it needs. If it takes ``groups`` or ``folds`` (lists with one str per
    clip) and the data has none, the run ends with an error.

    Examples
    --------
    >>> from audiofw import hookimpl
    >>> @hookimpl
    ... def register_splits(register):
    ...     register(group_holdout)
    >>> def group_holdout(seed, groups, *, test_size: float = 0.2):
    ...     "One split that keeps each group on one side."
    ...     from sklearn.model_selection import GroupShuffleSplit
    ...     return GroupShuffleSplit(n_splits=1, test_size=test_size, random_state=seed)
    """


@hookspec
def register_augmentations(register: Register) -> None:
    """Register augmentations: functions ``(y, sr, rng, *, …)`` that return changed samples ``(n,)``, of any length.

    ``y`` is a segment of a training clip, mono ``float32 (n,)``, which the function may modify in place; ``rng`` is a
    ``numpy.random.Generator``, which must be the only source of randomness.

    Examples
    --------
    >>> from audiofw import hookimpl
    >>> @hookimpl
    ... def register_augmentations(register):
    ...     register(quieter)
    >>> def quieter(y, sr, rng, *, db: float = 12.0):
    ...     "Up to ``db`` quieter."
    ...     from audiofw.audio import effects
    ...     return effects.amplified(y, -rng.uniform(0, db))
    """


@hookspec
def register_trackers(register: Register) -> None:
    """Register trackers: functions ``(event, *, …)`` that are called when something happens in a run or a sweep.

    ``event`` is an `audiofw.contract.events.Event`: ``event.name`` is ``run_begins``, ``fold_done``, ``run_ends``,
    ``run_fails`` or ``sweep_ends``. What the function returns is ignored. If it raises, the user is warned, and the run
    goes on as if it had not.

    Examples
    --------
    >>> from audiofw import hookimpl
    >>> @hookimpl
    ... def register_trackers(register):
    ...     register(marks)
    >>> def marks(event, *, file: str = "marks.txt"):
    ...     "Appends each run's score to a file."
    ...     if event.name == "run_ends":
    ...         with open(file, "a") as marks:
    ...             marks.write(f"{event.folder}: {event.metrics['value']}\\n")
    """


@hookspec
def register_trusted_types(register: Trust) -> None:
    """Allow classes of the plugin in model bundles: ``register("my_package.models.MyClassifier", …)``.

    Give the full name, with the module that defines the class. Bundles are loaded without pickle and rejected if they
    contain a class that neither audiofw nor an installed plugin trusts. A trusted class must be safe to construct with
    arbitrary attributes: its ``__setstate__``, if any, runs on data from the file.

    Examples
    --------
    >>> from audiofw import hookimpl
    >>> @hookimpl
    ... def register_trusted_types(register):
    ...     register("my_package.models.MyClassifier")
    """


TRUSTED_TYPES = register_trusted_types.__name__


class Kind(NamedTuple):
    """One kind of plugin: its config group, its hook and the arguments that audiofw can pass to its functions.

    Attributes
    ----------
    offers
        Arguments passed at each call, in this order; a function takes any of them.
    needs
        Arguments that a function must take.
    either
        Arguments of which a function must take exactly one.
    optional
        Whether a run may do without a plugin of this kind.
    makes
        Whether a function may also take ``make``, to create other plugins of its kind.
    combines
        Whether several can be chosen at once: ``feature=mel+mfcc``.
    observes
        Whether it is only told of results, and cannot change any.
    """

    name: str
    hook: str
    offers: tuple[str, ...]
    needs: tuple[str, ...] = ()
    either: tuple[str, ...] = ()
    optional: bool = False
    makes: bool = False
    combines: bool = False
    observes: bool = False

    @property
    def all_offers(self) -> tuple[str, ...]:
        """All arguments that a function may take."""
        return (*self.offers, "make") if self.makes else self.offers


KINDS = {
    kind.name: kind
    for kind in (
        Kind("feature", "register_features", offers=("y", "sr"), needs=("y", "sr"), combines=True),
        Kind("pooling", "register_poolings", offers=("frames", "seed"), either=("frames", "seed")),
        Kind("model", "register_models", offers=("seed", "n_jobs"), makes=True),
        Kind("split", "register_splits", offers=("seed", "groups", "folds")),
        Kind("augmentation", "register_augmentations", offers=("y", "sr", "rng"), needs=("y", "rng"), optional=True),
        Kind("tracking", "register_trackers", offers=("event",), needs=("event",), optional=True, observes=True),
    )
}
"""All kinds by name, which is also the name of the config group."""

RESULT_KINDS = tuple(name for name, kind in KINDS.items() if not kind.observes)
"""The kinds whose plugins results depend on."""

HOOKS = (*(kind.hook for kind in KINDS.values()), TRUSTED_TYPES)
"""All hooks in the order in which they are called; each takes ``register``."""
