"""Import the peer libraries, or report which one is missing."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

from timing import MISSING


def peer(name: str) -> Any:
    """Import a peer library, or end this process with the reason why it cannot be imported."""
    try:
        return import_torchaudio() if name == "torchaudio" else importlib.import_module(name)
    except (ImportError, OSError) as error:
        sys.stdout.write(f"not installed: {type(error).__name__}: {str(error).splitlines()[0]}\n")
        sys.exit(MISSING)


def import_torchaudio() -> Any:
    """Import torchaudio, without its compiled extension if the CUDA libraries that it needs are missing.

    Mel spectrograms, dB conversion and resampling are implemented with torch operations and do not use the extension.
    """
    try:
        return importlib.import_module("torchaudio")
    except OSError:
        for name in [name for name in sys.modules if name.startswith("torchaudio")]:
            del sys.modules[name]
        absent: Any = ModuleType("torchaudio._extension")
        absent._IS_TORCHAUDIO_EXT_AVAILABLE = absent._IS_ALIGN_AVAILABLE = False
        absent.fail_if_no_align = lambda function: function
        sys.modules[absent.__name__] = absent
        return importlib.import_module("torchaudio")
