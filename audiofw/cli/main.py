"""The command line: subcommands, errors in one line, exit codes; everything else is Hydra's."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Sequence
from importlib import import_module

from audiofw.config.overrides import take_plugin_folders
from audiofw.errors import AudiofwError, ConfigError, nearest
from audiofw.experiment.supervisor import is_supervised, is_sweep, supervise

TRACEBACK_VARIABLE = "HYDRA_FULL_ERROR"  # the variable that Hydra's users know


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command ``audiofw``.

    Parameters
    ----------
    argv : sequence of str, optional
        The words after the program's name; those of this process by default.

    Returns
    -------
    int
        0; 1 for recordings or plugins that fail, 2 for a wrong choice or value, 130 after Ctrl-C.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads cost LightGBM 20 × on a busy machine
    traceback_wanted = os.environ.get(TRACEBACK_VARIABLE) == "1"
    try:
        return _dispatch(list(sys.argv[1:] if argv is None else argv))
    except AudiofwError as error:
        if traceback_wanted:
            raise
        sys.stderr.write(f"audiofw: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("audiofw: stopped\n")
        return 130


COMMANDS = {
    "audit": "audiofw.cli.audit",
    "cache": "audiofw.cli.cache",
    "export": "audiofw.cli.export",
    "leaderboard": "audiofw.cli.leaderboard",
    "plugins": "audiofw.cli.plugins",
    "predict": "audiofw.cli.predict.command",
    "report": "audiofw.cli.report",
    "serve": "audiofw.cli.serve",
    "verify": "audiofw.cli.verify",
}
"""Each subcommand, and the module whose ``main`` it is: imported when it is called."""


def _dispatch(words: list[str]) -> int:
    words = take_plugin_folders(words)
    if words and words[0] in COMMANDS:
        logging.basicConfig(format="%(message)s")
        return int(import_module(COMMANDS[words[0]]).main(words[1:]))
    if words and re.fullmatch(r"\w[\w-]*", words[0]):
        raise ConfigError(
            f"there is no command '{words[0]}'{nearest(words[0], COMMANDS)}; commands: {', '.join(COMMANDS)}; "
            "an option is written key=value"
        )
    if "--plan" in words:
        from audiofw.cli.plan import show_plan

        return show_plan([word for word in words if word != "--plan"])
    if is_sweep(words) and not is_supervised():
        return supervise(words)
    from audiofw.experiment.hydra_app import run_app  # the subcommands do not need Hydra

    return run_app(words)
