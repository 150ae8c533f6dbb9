"""outcomes: results in order and in bounded memory; failures, dead workers and Ctrl-C affect only their own items."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest
from gates import PATIENCE, PYTHONPATH, arrival, arrive, opened_gate, port_of, wait_until_gone
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info, threadpool_limits

from audiofw.contract.registry import import_file
from audiofw.errors import ClipError, ConfigError, DataError, PluginError
from audiofw.parallel import executors, workers
from audiofw.parallel.executors import Lost, Processes, Ready, Threads, pack_function, unpack_function
from audiofw.parallel.workers import cores, count_workers, outcomes

LANES = pytest.mark.parametrize("processes", [False, True], ids=["threads", "processes"])
MOST = 3 * workers.AHEAD * workers.LARGEST


def blas_threads() -> set[int]:
    import numpy as np

    np.ones((2, 2)) @ np.ones((2, 2))
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


@settings(deadline=None, max_examples=30)
@given(count=st.integers(0, 300), n_jobs=st.integers(1, 5))
def test_results_come_in_the_items_order(count, n_jobs):
    assert list(outcomes(lambda i: i * i, range(count), n_jobs=n_jobs)) == [i * i for i in range(count)]


def test_a_slow_item_does_not_change_the_order():
    others = threading.Event()

    def wait_for_others(i: int) -> int:
        if i == 3 * workers.AHEAD - 1:
            others.set()
        assert i or others.wait(PATIENCE)
        return i

    assert list(outcomes(wait_for_others, range(500), n_jobs=3)) == list(range(500))


def test_worker_processes_give_results_in_order():
    shift = 7  # closures can be sent, too
    assert list(outcomes(lambda i: i + shift, range(300), n_jobs=2, processes=True)) == list(range(7, 307))


def test_n_jobs_means_what_it_means_in_scikit_learn():
    assert count_workers(3) == 3
    assert count_workers(-1) == cores() >= 1
    assert count_workers(-2) == max(1, cores() - 1)
    assert count_workers(-1000) == 1
    with pytest.raises(ConfigError, match="n_jobs=0"):
        list(outcomes(abs, [1], n_jobs=0))


@LANES
def test_a_failure_costs_one_item_and_keeps_its_reason(processes):
    def fail_at_times(i: int) -> int:
        if i == 3:
            raise DataError("no samples in it")
        if i == 5:
            raise PluginError("two\n  lines", plugin="feature=odd", clip="5.wav")
        if i == 7:
            raise ClipError("returned NaN")
        return i

    results = list(outcomes(fail_at_times, range(10), n_jobs=2, processes=processes))
    assert [result for result in results if isinstance(result, Lost)] == [
        Lost("no samples in it"),
        Lost("feature=odd: two lines"),
        Lost("returned NaN"),
    ]
    assert [type(result.error) for result in results if isinstance(result, Lost)] == [DataError, PluginError, ClipError]
    assert (results[5].error.plugin, results[5].error.clip) == ("feature=odd", "5.wav")
    assert [i for i, result in enumerate(results) if isinstance(result, Lost)] == [3, 5, 7]


def work_badly(i: int) -> int:
    return {}[i]  # a bug of ours


@LANES
@pytest.mark.parametrize("n_jobs", [1, 3])
def test_anything_but_an_error_of_ours_ends_the_work_with_the_traceback_of_where_it_was_raised(processes, n_jobs):
    with pytest.raises(KeyError) as caught:
        list(outcomes(work_badly, range(10), n_jobs=n_jobs, processes=processes))
    assert "return {}[i]  # a bug of ours" in "".join(traceback.format_exception(caught.value))


@LANES
def test_a_lost_item_keeps_the_traceback_of_its_error(processes):
    def fail(i: int) -> None:
        try:
            work_badly(i)
        except KeyError as error:
            raise PluginError("no wood") from error

    (lost,) = outcomes(fail, [1], n_jobs=2, processes=processes)
    shown = "".join(traceback.format_exception(lost.error))
    assert "return {}[i]  # a bug of ours" in shown
    assert "KeyError: 1" in shown


@LANES
@pytest.mark.parametrize("n_jobs", [1, 3])
def test_known_items_pass_in_their_place(processes, n_jobs):
    items = [Ready(-i) if i % 3 else i for i in range(20)]
    results = list(outcomes(lambda i: i, items, n_jobs=n_jobs, processes=processes))
    assert results == [-i if i % 3 else i for i in range(20)]


class Counted:
    """Items that count how many have been consumed."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.taken = 0

    def __iter__(self) -> Iterator[int]:
        for item in range(self.count):
            self.taken += 1
            yield item


def test_only_a_few_items_are_under_way():
    items = Counted(20_000)
    ahead = [items.taken - done for done, _ in enumerate(outcomes(abs, items, n_jobs=3))]
    assert len(ahead) == 20_000
    assert max(ahead) <= MOST


def test_slow_items_are_handed_out_one_by_one(monkeypatch):
    monkeypatch.setattr(Threads, "worth", 0)  # whatever takes longer than no time is slow
    items = Counted(40)
    ahead = [items.taken - done for done, _ in enumerate(outcomes(abs, items, n_jobs=3))]
    assert max(ahead) <= 3 * workers.AHEAD + 1


@LANES
def test_blas_has_one_thread_inside(processes):
    before = blas_threads()
    results = list(outcomes(lambda i: blas_threads(), range(4), n_jobs=2, processes=processes))
    assert results == [{1}] * 4
    assert blas_threads() == before


def audiofw_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("audiofw")]


def test_interrupt_waits_for_the_items_in_hand_and_starts_no_other(monkeypatch):
    late, stopping, shut_down = [], threading.Event(), ThreadPoolExecutor.shutdown

    def note_and_shut_down(*args, **options) -> None:
        stopping.set()
        shut_down(*args, **options)

    monkeypatch.setattr(ThreadPoolExecutor, "shutdown", note_and_shut_down)

    def interrupt_at_500(i: int) -> None:
        if i == 500:  # the chunks have grown by now
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        if i >= 500:
            late.append(i)
            assert stopping.wait(PATIENCE)

    with pytest.raises(KeyboardInterrupt):
        list(outcomes(interrupt_at_500, range(10_000), n_jobs=2))
    assert 1 <= len(late) <= 2
    assert not audiofw_threads()


def test_closing_early_ends_the_threads():
    started = []
    results = outcomes(started.append, range(100_000), n_jobs=2)
    next(results)
    results.close()
    assert len(started) <= MOST
    assert not audiofw_threads()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


SCRIPT = """
    import os
    from pathlib import Path
    from audiofw.parallel.workers import outcomes
    from gates import arrive

    def hold(i):
        Path(str(os.getpid())).touch()
        arrive()

    if __name__ == "__main__":
        list(outcomes(hold, range(10_000), n_jobs=2, processes=True))
"""


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")
def test_ctrl_c_ends_worker_processes_too(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    (tmp_path / "pids").mkdir()
    with opened_gate() as gate:
        run = subprocess.Popen(
            [sys.executable, script],
            cwd=tmp_path / "pids",
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": PYTHONPATH, "GATE": port_of(gate)},
        )
        held = [arrival(gate), arrival(gate)]  # both workers
        os.killpg(run.pid, signal.SIGINT)  # Ctrl-C in a terminal reaches the whole process group
        _, stderr = run.communicate(timeout=PATIENCE)
        for worker in held:
            wait_until_gone(worker)
    assert stderr.count("Traceback") == 1  # the parent's own; the workers print nothing
    assert stderr.rstrip().endswith("KeyboardInterrupt")
    pids = [int(file.name) for file in (tmp_path / "pids").iterdir()]
    assert len(pids) == 2
    assert not any(map(alive, pids))


def test_a_worker_that_dies_twice_of_an_item_loses_that_item_alone():
    def die_of_seven(i: int) -> int:
        if i == 7:
            os.kill(os.getpid(), signal.SIGKILL)
        return i

    results = list(outcomes(die_of_seven, range(30), n_jobs=2, processes=True))
    assert results == [Lost("worker died: killed or out of memory") if i == 7 else i for i in range(30)]


def test_a_worker_that_dies_once_loses_nothing(tmp_path):
    def die_of_seven_once(i: int) -> int:
        mark = tmp_path / "mark"
        if i == 7 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return i

    assert list(outcomes(die_of_seven_once, range(30), n_jobs=2, processes=True)) == list(range(30))


@pytest.fixture
def gate():
    with opened_gate() as gate:
        yield gate


def test_an_item_is_tried_again_only_when_nothing_deadly_runs_beside_it(tmp_path, gate, monkeypatch):
    port = port_of(gate)

    def run(item: str) -> str:
        first_time = not (tmp_path / item).exists()
        (tmp_path / item).touch()
        if first_time and item != "deadly":
            arrive(port)
        if item == "innocent":
            return item
        os.kill(os.getpid(), signal.SIGKILL)

    lane = Processes(run, 2)
    innocent = lane.submit(["innocent"])
    with arrival(gate):
        deadly = lane.submit(["deadly"])
        assert isinstance(innocent.exception(PATIENCE), BrokenExecutor)
    later = lane.submit(["deadly later"])  # in new workers
    held, waited_for, wait = arrival(gate), [], executors.wait

    def let_go_and_wait(futures):
        waited_for.extend(futures)
        held.close()
        return wait(futures)

    monkeypatch.setattr(executors, "wait", let_go_and_wait)
    assert lane.settle(["innocent"], innocent).outcomes == ["innocent"]
    assert later in waited_for
    assert later.done()
    for item, future in (("deadly", deadly), ("deadly later", later)):
        assert lane.settle([item], future).outcomes == [Lost("worker died: killed or out of memory")]


def test_blas_is_held_to_one_thread_where_a_function_is_unpacked():
    with threadpool_limits(2):
        assert unpack_function(pack_function(lambda i: i))(3) == 3
        assert blas_threads() == {1}


def test_a_function_that_kills_every_worker_is_given_up(monkeypatch):
    monkeypatch.setattr("audiofw.parallel.executors.HOPELESS", 3)
    with pytest.raises(PluginError, match="3 worker processes died one after another"):
        list(outcomes(lambda i: os.kill(os.getpid(), signal.SIGKILL), range(100), n_jobs=2, processes=True))


def test_what_cannot_be_pickled_is_refused_in_one_line():
    lock = threading.Lock()
    with pytest.raises(PluginError, match=r"cannot be sent to worker processes \(TypeError: .*holds_gil=False"):
        list(outcomes(lambda i: lock, range(10), n_jobs=2, processes=True))


PLUGIN = """
    from functools import lru_cache

    @lru_cache
    def table(n):
        return list(range(n))

    def feature(i):
        return sum(table(i))
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """A plugin file, loaded like one in a plugins folder and unloaded afterwards."""
    monkeypatch.setitem(sys.modules, "audiofw_plugins.summing", None)
    file = tmp_path / "summing.py"
    file.write_text(textwrap.dedent(PLUGIN))
    return import_file(file, "audiofw_plugins")


def test_a_dropped_plugin_file_is_loaded_in_the_workers(plugin):
    results = outcomes(plugin.feature, range(20), n_jobs=2, processes=True)
    assert list(results) == [i * (i - 1) // 2 for i in range(20)]


def test_a_plugin_file_that_is_gone_is_told_in_one_line(plugin):
    Path(plugin.__file__).unlink()
    with pytest.raises(PluginError, match="cannot be loaded in a worker process: FileNotFoundError"):
        list(outcomes(plugin.feature, range(20), n_jobs=2, processes=True))
    assert list(outcomes(abs, [-1, 2], n_jobs=2, processes=True)) == [1, 2]  # which does not need it
