"""Clips that could not be used: which errors are listed, and which end the work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from audiofw.errors import AudiofwError, ClipError, DataError, PluginError
from audiofw.parallel.executors import Lost

if TYPE_CHECKING:
    from audiofw.data.dataset import Clip

MOST_SHARE, MOST = 0.01, 2  # of the clips, and clips in all, for which plugins may give nothing usable

OnError = Literal["skip", "raise"]


class Failure(NamedTuple):
    """A clip that could not be used, and why."""

    name: str
    path: str
    reason: str


@dataclass
class Failures:
    """The failures of some clips, as they come.

    ``on_error`` says what a clip does that cannot be used, ``on_plugin_error`` what a plugin's bug does. The first
    error that ends the work is kept in ``fatal``: it is raised when the work that is under way is finished.
    """

    on_error: OnError = "skip"
    on_plugin_error: OnError = "raise"
    listed: list[Failure] = field(default_factory=list)
    fatal: AudiofwError | None = None
    _first: ClipError | None = None
    _count: int = 0

    def add(self, clip: Clip, lost: Lost) -> None:
        """Take in a clip that failed."""
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
        """Raise what ends the work, once ``n`` clips have been worked on.

        Raises
        ------
        DataError
            If no clip could be used, or for the first that could not and ``on_error="raise"``.
        PluginError
            For a plugin's bug, or where plugins gave nothing usable for more than 1 % of the clips, and at least three.
        """
        if self.fatal:
            raise self.fatal
        if self._first and self.on_plugin_error == "raise" and self._count > max(MOST, MOST_SHARE * n):
            raise _too_many(self._first, self._count, n) from self._first
        if len(self.listed) == n:
            raise _none_left(self.listed)


def _too_many(first: ClipError, count: int, n: int) -> PluginError:
    return PluginError(
        f"{first.args[0]}; plugins gave nothing usable for {count} of {n} clips ({100 * count / n:.1f} %), more than "
        f"the {100 * MOST_SHARE:g} % that a run may lose so: fix the plugin, or leave these clips out with "
        "data.on_plugin_error=skip",
        clip=first.clip,
        plugin=first.plugin,
        option="data.on_plugin_error",
    )


def _none_left(failures: Sequence[Failure]) -> DataError:
    reasons = Counter(failure.reason for failure in failures).most_common(3)
    told = "; ".join(f"{reason} ({count} ×)" for reason, count in reasons)
    return DataError(f"none of {len(failures)} clips could be used, {failures[0].name} the first: {told}")
