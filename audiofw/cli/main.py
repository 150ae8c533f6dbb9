"""The command line: subcommands, one-line errors and exit codes; everything else is handled by Hydra."""

from __future__ import annotations

import gc
import logging
import os
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from importlib import import_module
from pathlib import Path

from audiofw.config.overrides import take_plugin_folders
from audiofw.errors import AudiofwError, ConfigError, DataError, PluginError, nearest, printable
from audiofw.experiment.supervisor import is_supervised, is_sweep, supervise
from audiofw.system import progress
from audiofw.system.faults import STDOUT, explain, find_fault, reason
from audiofw.system.logs import VERBOSITY, Terminal
from audiofw.system.postponed import postponed_imports
from audiofw.system.streams import named_stdout, silence_stdout
from audiofw.version import __version__

TRACEBACK_VARIABLE = "HYDRA_FULL_ERROR"  # Hydra's name for it
FLAGS_OF_VERBOSITY = {"-q": "quiet", "--quiet": "quiet", "-v": "verbose", "--verbose": "verbose"}
FLAGS_WITHOUT_VALUE = ("-m", "--multirun", "-r", "--run", "--plan")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command ``audiofw``.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments after the program's name; by default those of this process.

    Returns
    -------
    int
        0; 1 for recordings or plugins that fail, 2 for a wrong option or value, 130 after Ctrl-C.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads cost LightGBM 20 × on a busy machine
    traceback_wanted = os.environ.get(TRACEBACK_VARIABLE) == "1"
    words = list(sys.argv[1:] if argv is None else argv)
    ours = argv is None  # a process of our own, in which nothing but this command imports libraries
    try:
        with named_stdout(), postponed_imports() if ours else nullcontext():
            _check_working_folder()
            with _verbosity(take_plugin_folders(words)) as rest:
                return _dispatch(rest)
    except AudiofwError as error:
        if traceback_wanted:
            raise
        return _refuse(f"{error}{_remedy(error)}", error.exit_code)
    except OSError as error:
        if traceback_wanted or not find_fault(error):
            raise
        if error.filename == STDOUT:
            silence_stdout()
            if isinstance(error, BrokenPipeError):  # e.g. `| head`: the reader has had enough
                return 0
        return _refuse(explain(error), 1)
    except KeyboardInterrupt:
        return _refuse("stopped", 130)
    finally:
        if ours:
            gc.freeze()  # Python would look through everything for garbage once more before the process ends


def _check_working_folder() -> None:
    try:
        Path.cwd()
    except OSError as error:
        raise DataError(f"the working folder cannot be used: {reason(error)}; change to another one (cd)") from error


def _refuse(said: str, code: int) -> int:
    sys.stderr.write(f"audiofw: {printable(said)}\n")
    return code


@contextmanager
def _verbosity(words: list[str]) -> Iterator[list[str]]:
    """Take ``-q`` and ``-v`` from a command line, and let this process and its children heed the last of them."""
    first = next((i for i, word in enumerate(words) if word not in FLAGS_OF_VERBOSITY), len(words))
    n = first if words[first:] and words[first] in COMMANDS else len(words)  # a command has flags of its own
    asked = [FLAGS_OF_VERBOSITY[word] for word in words[:n] if word in FLAGS_OF_VERBOSITY]
    before = os.environ.get(VERBOSITY)
    if asked:
        os.environ[VERBOSITY] = asked[-1]
    try:
        yield [word for i, word in enumerate(words) if i >= n or word not in FLAGS_OF_VERBOSITY]
    finally:
        os.environ.pop(VERBOSITY, None)
        if before is not None:
            os.environ[VERBOSITY] = before


def _remedy(error: AudiofwError) -> str:
    """Point the author of a plugin that failed to the traceback."""
    is_bug = isinstance(error, PluginError) and error.__cause__ and not isinstance(error.__cause__, AudiofwError)
    return f" ({TRACEBACK_VARIABLE}=1 shows the traceback)" if is_bug else ""


COMMANDS = {
    "audit": "audiofw.cli.audit",
    "cache": "audiofw.cli.cache",
    "compare": "audiofw.cli.compare",
    "evaluate": "audiofw.cli.evaluate",
    "export": "audiofw.cli.export",
    "leaderboard": "audiofw.cli.leaderboard",
    "plugins": "audiofw.cli.plugins.command",
    "predict": "audiofw.cli.predict.command",
    "report": "audiofw.cli.report",
    "rerun": "audiofw.cli.rerun",
    "serve": "audiofw.cli.serve",
    "verify": "audiofw.cli.verify",
}
"""Each subcommand and the module that has its ``main``; imported when it is called."""


def _dispatch(words: list[str]) -> int:
    if words and words[0] in COMMANDS:
        logging.basicConfig(format="%(message)s", handlers=[Terminal()])
        logging.getLogger(progress.__name__).setLevel(logging.INFO)
        return int(import_module(COMMANDS[words[0]]).main(words[1:]))
    if "--version" in words:
        sys.stdout.write(f"audiofw {__version__}\n")
        return 0
    _refuse_bare_words(words)
    if "--plan" in words:
        from audiofw.cli.plan import show_plan

        return show_plan([word for word in words if word != "--plan"])
    if is_sweep(words) and not is_supervised():
        return supervise(words)
    from audiofw.experiment.hydra_app import run_app  # the subcommands do not need Hydra

    return run_app(words)


def _refuse_bare_words(words: Sequence[str]) -> None:
    """Explain what to type instead of a word that is neither a command, a flag, a flag's value nor ``key=value``.

    Raises
    ------
    ConfigError
        For the first such word.
    """
    for before, word in zip(["", *words], words, strict=False):
        value_of_flag = before.startswith("-") and before not in FLAGS_WITHOUT_VALUE
        if "=" in word or word.startswith(("-", "~")) or value_of_flag:
            continue
        if re.search(r"[./\\]", word) or Path(word).exists():
            raise ConfigError(
                f"'{word}' is not a command; to use it as data: audiofw {shlex.quote(f'data.source={word}')}"
            )
        raise ConfigError(
            f"unknown command '{word}'{nearest(word, COMMANDS)}; commands: {', '.join(COMMANDS)}; "
            "options are written key=value"
        )
