"""A server that stops in time, whatever hangs: another process ends it if it does not end by itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LONGEST = 3.5  # seconds from the signal to the end

# Python writes each signal to the pipe at once, even while other code holds the GIL; the pipe ends with the server.
WATCHER = """
import os, select, shutil, signal, sys, time
server, seconds, folder = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
word = os.read(0, 1)
while word and word[0] not in (signal.SIGINT, signal.SIGTERM):
    word = os.read(0, 1)
end = time.monotonic() + seconds
while word and select.select([0], [], [], max(end - time.monotonic(), 0))[0]:
    word = os.read(0, 1)
if word and os.getppid() == server:
    os.kill(server, signal.SIGKILL)
shutil.rmtree(folder, ignore_errors=True)
"""


@contextmanager
def ended_in_time(folder: Path, seconds: float = LONGEST) -> Iterator[None]:
    """Kill this process if it still runs some seconds after SIGTERM or Ctrl-C, and remove its temporary folder.

    A thread of this process could not: code that holds the GIL stops them all. Only on POSIX, and in the main thread.
    """
    if os.name != "posix":
        yield
        return
    read, write = os.pipe()
    os.set_blocking(write, False)
    words = [sys.executable, "-I", "-S", "-c", WATCHER, str(os.getpid()), str(seconds), str(folder)]
    with os.fdopen(read) as told, subprocess.Popen(words, stdin=told, start_new_session=True):
        before = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            os.close(write)
