"""The plugin contract in one page: a plugin is a function, and a hook hands it to audiofw.

What stands left of the ``*`` in the function's signature is what audiofw hands it; what stands right of
the ``*`` is what the user may set, each with a type and a default. ::

    import librosa
    from audiofw import hookimpl

    @hookimpl
    def register_features(register):
        register(loudness)

    def loudness(y, sr, *, hop_length: int = 512):
        \"\"\"Root-mean-square level of each frame.\"\"\"
        return librosa.feature.rms(y=y, hop_length=hop_length)

Types of options: ``int``, ``float``, ``bool``, ``str``, ``list[...]`` and unions of these with ``None``;
``Literal["a", "b"]`` for a choice; ``Annotated[int, Ge(1)]`` (from ``annotated_types``) for a range.

``register(function, name=None, holds_gil=False, names=None)``: ``name`` is the name on the menu when it is not
the function's own; ``holds_gil=True`` says that a feature, a pooling or an augmentation spends its time in Python
code, so that it is worth a process instead of a thread.

``names`` is a function that names what comes out, for reports and tables. A feature's, ``names(sr, **options)``, gives
a name for each row, without a dot or an ``@``: ``mfcc3``, ``mel_1200Hz``. A pooling's, ``names(rows, d, **options)``,
gives one for each of the ``d`` columns: the row, the statistic and, for a part of the clip, which:
``mfcc3.std``, ``mfcc3.delta.p90@2/4``. Without it, rows and columns are numbered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pluggy

hookspec = pluggy.HookspecMarker("audiofw")

hookimpl = pluggy.HookimplMarker("audiofw")
"""Marks a plugin's hook, as in ``@hookimpl def register_features(register): register(loudness)``."""

Register = Callable[..., None]


@hookspec
def register_features(register: Register) -> None:
    """Offer features: ``(y, sr, *, …)`` to a float array ``(rows, frames)``.

    ``y`` is one clip, mono ``float32 (n,)`` and the function's own to change; ``sr`` its rate in Hz.
    """


@hookspec
def register_poolings(register: Register) -> None:
    """Offer poolings: ``(frames, *, …)`` to a vector ``(d,)``, with ``frames`` a feature's ``(rows, frames)``.

    One that learns from the training clips asks for ``seed`` in place of ``frames``: ``(seed, *, …)`` to an unfitted
    scikit-learn transformer, which is fitted inside each fold. Its ``fit(X, y)`` and ``transform(X)`` are handed a
    sequence of pictures ``(rows, frames)``, frames differing; ``transform`` gives ``(pictures, d)``.
    """


@hookspec
def register_models(register: Register) -> None:
    """Offer models: ``(seed, n_jobs, make, *, …)`` to an unfitted scikit-learn classifier; a ``Pipeline`` is one.

    A function asks only for what it needs. ``make(name, **options)`` makes another model of the menu, with this
    one's seed and threads; its other options keep their defaults. ``**params`` at the end leaves options open: every
    option of the wrapped library can then be set as ``+model.gamma=1``. A classifier whose ``fit`` takes ``groups`` is
    handed the group of each row (its clip, where there are no groups), for inner splits that leak nothing.
    """


@hookspec
def register_splits(register: Register) -> None:
    """Offer splits: ``(seed, groups, folds, *, …)`` to a scikit-learn cross-validation splitter.

    A function asks only for what it needs; one that asks for ``groups`` or ``folds`` (a list of str, one for
    each clip) is refused in one clear line where the data has none.
    """


@hookspec
def register_augmentations(register: Register) -> None:
    """Offer augmentations: ``(y, sr, rng, *, …)`` to changed samples ``(n,)``, of any length.

    ``y`` is a part of a training clip, mono ``float32 (n,)`` and the function's own to change; ``rng`` a
    ``numpy.random.Generator``, the only source of chance.
    """


@hookspec
def register_trusted_types(register: Register) -> None:
    """Let model bundles hold classes of the plugin's own: ``register("my_package.models.MyClassifier", …)``.

    Each is given by the full name of the module that defines it. A bundle is loaded without pickle, and refused if it
    holds a class that neither audiofw nor an installed plugin trusts. Such a class must be safe to make from any
    attributes: its ``__setstate__``, if it has one, runs on what the file says.
    """


TRUSTED_TYPES = register_trusted_types.__name__


class Kind(NamedTuple):
    """One kind of plugin: its menu, its hook, and what audiofw can hand to its functions.

    ``offers`` is handed anew at each call; ``make``, of a kind that ``makes``, comes from the menus. ``needs`` must be
    asked for, and just one of ``either``; of an ``optional`` kind none need be chosen.
    """

    name: str
    hook: str
    offers: tuple[str, ...]
    needs: tuple[str, ...] = ()
    either: tuple[str, ...] = ()
    optional: bool = False
    makes: bool = False

    @property
    def all_offers(self) -> tuple[str, ...]:
        """All that a function may ask for."""
        return (*self.offers, "make") if self.makes else self.offers


KINDS = {
    kind.name: kind
    for kind in (
        Kind("feature", "register_features", offers=("y", "sr"), needs=("y", "sr")),
        Kind("pooling", "register_poolings", offers=("frames", "seed"), either=("frames", "seed")),
        Kind("model", "register_models", offers=("seed", "n_jobs"), makes=True),
        Kind("split", "register_splits", offers=("seed", "groups", "folds")),
        Kind("augmentation", "register_augmentations", offers=("y", "sr", "rng"), needs=("y", "rng"), optional=True),
    )
}
"""Every kind, by its name, which is also the name of its menu in the config."""
