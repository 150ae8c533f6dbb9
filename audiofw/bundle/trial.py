"""Try a stranger's bundle in another process, so that a file that crashes compiled code costs one line.

LightGBM, XGBoost, CatBoost and ONNX Runtime parse their own formats in compiled code, and scikit-learn's compiled parts
trust the arrays that they are given. The other process (`audiofw.bundle.trial_process`) loads and uses the model. It
may crash, hang or fill its memory; this one then refuses the bundle.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from audiofw.bundle.files import FACTS
from audiofw.errors import DataError
from audiofw.system.hashing import digest_json

log = logging.getLogger(__name__)

SECONDS, SECONDS_PER_MB = 60.0, 1.0
MEMORY, MEMORY_PER_BYTE = 8 * 2**30, 30  # bytes that the other process may use, and for each byte of the bundle
ONE_THREAD = dict.fromkeys(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"], "1")
PROCESS = "audiofw.bundle.trial_process"


def try_elsewhere(facts: Mapping[str, Any], files: Mapping[str, bytes], where: str) -> None:
    """Load and use a bundle in another process; warn if its golden clips are predicted differently here.

    Raises
    ------
    DataError
        If that process crashes, takes too long or refuses the bundle.
    """
    log.debug("%s: was not written here, so it is tried in a process of its own first", where)
    size = sum(map(len, files.values()))
    with TemporaryDirectory(prefix="audiofw-trial-") as scratch:
        _lay_out(Path(scratch) / "model", facts, files)
        told = _run(
            [scratch, where, str(MEMORY + MEMORY_PER_BYTE * size)], SECONDS + SECONDS_PER_MB * size / 1e6, where
        )
    if "error" in told:
        raise DataError(told["error"])
    if told["different"]:
        log.warning(
            "%s: %d of %d golden clips are predicted differently than when the model was saved; see audiofw verify",
            where,
            told["different"],
            told["clips"],
        )


def _lay_out(folder: Path, facts: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
    """Write the very bytes that this process has read: the original may change in the meantime."""
    whole = {key: value for key, value in facts.items() if key != "digest"}
    text = json.dumps({**whole, "digest": digest_json(whole)})
    for name, data in {**files, FACTS: text.encode()}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def _run(words: list[str], seconds: float, where: str) -> dict[str, Any]:
    command = [sys.executable, "-P", "-m", PROCESS, *words]  # -P: import nothing from the working folder
    environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(command, capture_output=True, timeout=seconds, check=False, env=environment)
    except subprocess.TimeoutExpired as error:
        raise DataError(f"{where}: takes more than {seconds:.0f} s to load: damaged or malicious, refused") from error
    except OSError as error:
        raise DataError(f"{where}: cannot be tried in a process of its own: {error.strerror or error}") from error
    try:
        told = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError) as error:
        end = _signal(-done.returncode) if done.returncode < 0 else f"exit code {done.returncode}"
        raise DataError(f"{where}: crashes the library that loads it ({end}): damaged or malicious, refused") from error
    return dict(told)


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
