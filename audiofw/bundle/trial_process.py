"""What `audiofw.bundle.trial` runs in another process: load a bundle, check its trees, classify clips and noise."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from audiofw.bundle.boosters import check_boosters
from audiofw.bundle.files import read_bundle
from audiofw.bundle.golden import TOLERANCE, check_golden
from audiofw.bundle.load import read_model
from audiofw.bundle.model import Model
from audiofw.errors import AudiofwError, first_line

ROWS = 32


def main(words: list[str]) -> None:
    """Load and use the bundle in ``words[0]``, and print what came of it."""
    folder, where, memory = words
    limit_memory(int(memory))
    told: dict[str, object]
    try:
        told = use_bundle(*read_bundle(Path(folder) / "model"), where)
    except AudiofwError as error:
        told = {"error": _too_large(where) if _is_out_of_memory(error) else str(error)}
    except Exception as error:  # noqa: BLE001  # a damaged model may fail in any way
        unusable = f"{where}: cannot be used ({type(error).__name__}: {first_line(error)}), refused"
        told = {"error": _too_large(where) if _is_out_of_memory(error) else unusable}
    sys.stdout.write(f"\n{json.dumps(told)}\n")


def _too_large(where: str) -> str:
    return f"{where}: needs far more memory than its size explains: damaged or malicious, refused"


def _is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error is or was raised from a MemoryError, which `audiofw.contract.blame` takes for a clip's fault."""
    while error is not None and not isinstance(error, MemoryError):
        error = error.__cause__
    return error is not None


def limit_memory(memory: int) -> None:
    """Limit this process's memory, in bytes, where the system can."""
    with suppress(ImportError, ValueError, OSError):
        import resource  # not on Windows

        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def use_bundle(facts: Mapping[str, Any], files: Mapping[str, bytes], where: str) -> dict[str, object]:
    """Load a bundle, walk through its model, and count its golden clips and those that are predicted differently here.

    Raises
    ------
    Exception
        Of any kind, if the model is damaged.
    """
    logging.disable(logging.WARNING)
    model = read_model(facts, files, where, tried=True)
    check_boosters(model.classifier, where)
    _classify_noise(model)
    compared = check_golden(model, files)
    return {"clips": len(compared), "different": sum(each.difference > TOLERANCE for each in compared)}


def _classify_noise(model: Model) -> None:
    """Classify random rows, of small and of huge values, to walk through more of the model than the golden clips do."""
    if model.width is None:
        return
    noise = np.random.default_rng(0).standard_normal((ROWS, model.width), dtype=np.float32)
    scales = np.float32(10.0) ** np.linspace(-3, 6, ROWS, dtype=np.float32)
    model.classify(list((noise * scales[:, None])[:, None]))


if __name__ == "__main__":
    main(sys.argv[1:])
