"""Long recordings of which a model of clips hears only a part: one line says so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from audiofw.audio.load import seconds_of
from audiofw.audio.segments import SEARCHED
from audiofw.data.inputs import InputRecording
from audiofw.errors import DataError


@dataclass
class Partly:
    """Counts the recordings that are much longer than what is heard of them."""

    heard: float | None  #: seconds of each; None: all
    count: int = 0
    first: str = ""

    def watch(self, sounds: Iterable[InputRecording]) -> Iterator[InputRecording]:
        """Pass recordings on, looking at the length of each."""
        for sound in sounds:
            if self.heard is not None and sound.path is not None:
                self._look(sound, self.heard)
            yield sound

    def _look(self, sound: InputRecording, heard: float) -> None:
        assert sound.path is not None
        try:
            seconds = seconds_of(sound.path)
        except DataError:  # said where it is predicted
            return
        if seconds > max(SEARCHED, 2 * heard):
            self.count += 1
            self.first = self.first or f"{sound.name}: {heard:g} of {seconds:.0f} s were used"

    def line(self) -> str:
        """Say how much was heard of the first, and how many others are as long; empty if there is none."""
        more = f" (and of {self.count - 1} more recordings)" if self.count > 1 else ""
        return f"{self.first}{more}; --window {self.heard:g} labels all of it" if self.count else ""
