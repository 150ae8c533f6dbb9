"""What a benchmark needs: folders, interpreters, and the commands that are timed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from timing import Command, run

WARM = "import librosa.feature, sklearn.ensemble, matplotlib.pyplot, xgboost, lightgbm, audiofw.experiment.run"
DISTRIBUTIONS = (
    *("numpy", "scipy", "soundfile", "soxr", "librosa", "joblib", "scikit-learn", "lightgbm", "xgboost"),
    *("torch", "torchaudio", "opensmile"),
)
VERSIONS = """
import importlib.metadata as m, json, platform, sys
found = {"Python": platform.python_version()}
for name in sys.argv[1:]:
    try:
        found[name] = m.version(name)
    except m.PackageNotFoundError:
        found[name] = "not installed"
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Bench:
    """Folders and interpreters; the peers may have their own environment, so as not to slow down audiofw's imports."""

    here: Path
    scratch: Path
    python: str
    peers: str
    repeats: int

    @property
    def data(self) -> Path:
        return self.scratch / "data"

    def script(self, name: str, *words: Any, python: str = "", **env: str) -> Command:
        """Build the command for a script in this folder."""
        return self.command([python or self.peers, str(self.here / name), *map(str, words)], **env)

    def command(self, words: Sequence[str], **env: str) -> Command:
        root = str(self.here.parent)
        ours = {"PYTHONPATH": root, "OMP_WAIT_POLICY": "PASSIVE", **env}
        theirs = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return Command(words, {**theirs, **ours}, self.scratch)

    def audiofw(self, *words: str, keep: bool = False) -> Command:
        """Build an ``audiofw`` command, with an empty cache unless ``keep``."""
        cache = self.scratch / "cache"
        if not keep:
            shutil.rmtree(cache, ignore_errors=True)
        return self.command([self.python, "-m", "audiofw", *words], AUDIOFW_CACHE=str(cache))

    def prepare(self, esc10: Path | None, digits: Path | None) -> None:
        """Write the data; compile and import every library once, so that neither side is charged for it."""
        given = [*(["--esc10", esc10] if esc10 else []), *(["--digits", digits] if digits else [])]
        run(self.script("data.py", self.data, *given, python=self.python))
        for python in {self.python, self.peers}:
            run(self.command([python, "-m", "compileall", "-q", *self._sources()]))
            run(self.command([python, "-c", WARM]))
        run(self.audiofw("--help"))

    def _sources(self) -> list[str]:
        return [str(folder) for folder in (self.here, self.here.parent / "audiofw", self.here.parent / "plugins")]

    def versions(self) -> dict[str, str]:
        return run(self.command([self.peers, "-c", VERSIONS, *DISTRIBUTIONS])).said

    def folder(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self.scratch))
