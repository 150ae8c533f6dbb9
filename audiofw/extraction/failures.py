"""Clips that could not be used: which errors are listed, and which end the extraction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from audiofw.errors import AudiofwError, ClipError, DataError, PluginError
from audiofw.parallel.executors import Lost

if TYPE_CHECKING:
    from audiofw.data.dataset import Clip

MOST_SHARE, MOST = 0.01, 2  # fraction and number of clips for which plugins may return nothing usable

OnError = Literal["skip", "raise"]


class Failure(NamedTuple):
    """A clip that could not be used, with the reason."""

    name: str
    path: str
    reason: str


@dataclass
class Failures:
    """Collects the failures of clips.

    ``on_error`` controls clips that cannot be used, ``on_plugin_error`` bugs of plugins. The first error that ends the
    extraction is kept in ``fatal``, and raised once the clips in progress are finished.
    """

    on_error: OnError = "skip"
    on_plugin_error: OnError = "raise"
    listed: list[Failure] = field(default_factory=list)
    fatal: AudiofwError | None = None
    _first: ClipError | None = None
    _count: int = 0

    def add(self, clip: Clip, lost: Lost) -> None:
        """Add a clip that failed."""
        lost.error.clip = str(clip.path)
        if self._ends_the_work(lost.error):
            self.fatal = self.fatal or lost.error
            return
        self.listed.append(Failure(clip.name, str(clip.path), lost.reason))
        if isinstance(lost.error, ClipError):
            self._count += 1
            self._first = self._first or lost.error

    def _ends_the_work(self, error: AudiofwError) -> bool:
        if error.costs_a_clip:
            return self.on_error == "raise"
        return self.on_plugin_error == "raise" or not isinstance(error, PluginError)

    def check(self, n: int) -> None:
        """Raise the error that ends the extraction, if any, after ``n`` clips have been processed.

        Raises
        ------
        DataError
            If no clip could be used, or if one could not and ``on_error="raise"``.
        PluginError
            For a bug of a plugin, or if plugins returned nothing usable for more than 1 % of the clips (three or more).
        """
        if self.fatal:
            raise self.fatal
        if self._first and self.on_plugin_error == "raise" and self._count > max(MOST, MOST_SHARE * n):
            raise _too_many(self._first, self._count, n) from self._first
        if len(self.listed) == n:
            raise _none_left(self.listed)


def _too_many(first: ClipError, count: int, n: int) -> PluginError:
    return PluginError(
        f"{first.args[0]}; plugins returned nothing usable for {count} of {n} clips ({100 * count / n:.1f} %), more "
        f"than the {100 * MOST_SHARE:g} % allowed; fix the plugin, or skip these clips with "
        "data.on_plugin_error=skip",
        clip=first.clip,
        plugin=first.plugin,
        option="data.on_plugin_error",
    )


def _none_left(failures: Sequence[Failure]) -> DataError:
    reasons = Counter(failure.reason for failure in failures).most_common(3)
    told = "; ".join(f"{reason} ({count} ×)" for reason, count in reasons)
    return DataError(f"none of {len(failures)} clips could be used (first: {failures[0].name}): {told}")
