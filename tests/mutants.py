"""Change the bytes of saved models, and use each in a process forked for it: run as a script, with a bundle.

Prints a JSON list: for each mutant what the trial said ("refused", "crashed" or "fine") and, if it was fine, whether
using it without a trial goes well.
"""

from __future__ import annotations

import io
import json
import os
import random
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import ZipFile

NUMBERS = [b"0", b"-1", b"99999", b"2147483647", b"4294967296", b"-2147483648"]


def mutate(data: bytes, chance: random.Random) -> bytes:
    """Flip a bit, replace a byte or a number, or leave some bytes out."""
    changed, at = bytearray(data), chance.randrange(len(data))
    match chance.randrange(4):
        case 0:
            changed[at] ^= 1 << chance.randrange(8)
        case 1:
            changed[at] = chance.randrange(256)
        case 2:
            first = next((i for i in range(at, len(data)) if chr(data[i]).isdigit()), at)
            last = next((i for i in range(first, len(data)) if not chr(data[i]).isdigit()), first)
            changed[first:last] = chance.choice(NUMBERS)
        case _:
            del changed[at : at + 8]
    return bytes(changed)


def mutants(skops: bytes, count: int, seed: int) -> list[bytes]:
    """Change one part of a skops file in each."""
    with ZipFile(io.BytesIO(skops)) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    chance, made = random.Random(seed), []
    for number in range(count):
        name = "schema.json" if number % 2 else chance.choice(sorted(parts))
        data = io.BytesIO()
        with ZipFile(data, "w") as file:
            for each, content in {**parts, name: mutate(parts[name], chance)}.items():
                file.writestr(each, content)
        made.append(data.getvalue())
    return made


def alone(use: Callable[[], object], seconds: int = 30) -> str:
    """Call a function in a fork of this process."""
    from audiofw.errors import AudiofwError

    child = os.fork()
    if not child:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        signal.alarm(seconds)
        try:
            use()
        except AudiofwError as error:
            os._exit(3 if "\n" not in str(error) else 4)
        except Exception:  # noqa: BLE001
            os._exit(5)  # the trial's process tells it in one line
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return "crashed"
    return {0: "fine", 3: "refused", 5: "refused"}.get(os.WEXITSTATUS(status), "said in several lines")


def main(bundle: str, count: int) -> list[tuple[str, str]]:
    import lightgbm  # noqa: F401  # before the forks
    import skops.io  # noqa: F401
    import xgboost  # noqa: F401

    from audiofw.bundle.files import read_bundle
    from audiofw.bundle.golden import check_golden
    from audiofw.bundle.load import read_model
    from audiofw.bundle.trial_process import limit_memory, use_bundle

    def use(facts: dict[str, Any], changed: dict[str, bytes]) -> None:
        check_golden(read_model(facts, changed, "b", tried=True), changed)

    limit_memory(8 * 2**30)
    facts, files = read_bundle(Path(bundle))
    outcomes = []
    for data in mutants(files["model.skops"], count, seed=1):
        changed = {**files, "model.skops": data}
        trial = alone(partial(use_bundle, facts, changed, "b"))
        outcomes.append((trial, alone(partial(use, facts, changed)) if trial == "fine" else ""))
    return outcomes


if __name__ == "__main__":
    sys.stdout.write(f"\n{json.dumps(main(sys.argv[1], int(sys.argv[2])))}\n")
