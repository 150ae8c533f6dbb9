"""Uploads wait for each other and not for slow clients; requests are logged, one line each."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from gates import PATIENCE

pytest.importorskip("uvicorn", reason='needs pip install "audiofw[serve]"')

from starlette.requests import ClientDisconnect, Request
from uvicorn.config import Config
from uvicorn.server import Server, ServerState

from audiofw.serve.access import AccessLog, opened_log
from audiofw.serve.protocol import HEAD, READING, ImpatientProtocol
from audiofw.serve.uploads import Uploads

POST = {
    "type": "http",
    "method": "POST",
    "path": "/predict",
    "raw_path": b"/predict",
    "query_string": b"",
    "http_version": "1.1",
    "headers": [],
    "client": ("127.0.0.1", 5),
}


class Client:
    """Sends the parts of a body, and then nothing more; keeps what it gets."""

    def __init__(self, *parts: bytes, ends: bool = True) -> None:
        self._parts, self._ends = list(parts), ends
        self.got: list[dict] = []

    async def receive(self):
        if not self._parts:
            await asyncio.Event().wait()
        part = self._parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(self._parts) or not self._ends}

    async def send(self, message) -> None:
        self.got.append(message)

    @property
    def statuses(self) -> list[int]:
        return [message["status"] for message in self.got if "status" in message]

    @property
    def text(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.got)


async def answer_all(scope, receive, send) -> None:
    """An application that reads a body and answers with it."""
    body = await Request(scope, receive).body()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


class Clock:
    """A clock that a test sets, or that goes on by a second whenever it is read."""

    def __init__(self, step: float = 0.0) -> None:
        self.now, self._step = 0.0, step

    def __call__(self) -> float:
        self.now += self._step
        return self.now


def test_a_whole_body_is_passed_on():
    client = Client(b"a", b"b")
    asyncio.run(Uploads(answer_all, seconds=60)(POST, client.receive, client.send))
    assert (client.statuses, client.text) == ([200], b"ab")


def test_a_client_that_stops_sending_is_told_and_closed():
    client = Client(b"a", ends=False)
    asyncio.run(Uploads(answer_all, seconds=0.001)(POST, client.receive, client.send))
    assert client.statuses == [408]
    assert b"too long" in client.text
    assert (b"connection", b"close") in client.got[0]["headers"]


def test_the_time_of_all_parts_counts_together():
    client = Client(*[b"a"] * 9, ends=False)  # each of which comes in time
    asyncio.run(Uploads(answer_all, seconds=5, clock=Clock(step=1))(POST, client.receive, client.send))
    assert client.statuses == [408]


def test_a_client_that_disconnects_is_no_bug():
    async def leave():
        return {"type": "http.disconnect"}

    client = Client()
    asyncio.run(Uploads(answer_all, seconds=60)(POST, leave, client.send))
    assert client.got == []


def test_only_some_uploads_are_read_at_once_and_the_next_one_waits():
    async def ask() -> None:
        entered, let_go, inside = asyncio.Semaphore(0), asyncio.Event(), []

        async def hold(scope, receive, send) -> None:
            inside.append(scope["n"])
            entered.release()
            await let_go.wait()

        uploads = Uploads(hold, seconds=60, at_once=2)
        tasks = [asyncio.create_task(uploads({**POST, "n": n}, Client().receive, Client().send)) for n in range(3)]
        await entered.acquire()
        await entered.acquire()
        assert inside == [0, 1]
        let_go.set()
        await asyncio.gather(*tasks)
        assert inside == [0, 1, 2]

    asyncio.run(ask())


def test_one_that_waits_too_long_is_told_to_come_again():
    async def ask() -> list[int]:
        entered, let_go = asyncio.Event(), asyncio.Event()

        async def hold(scope, receive, send) -> None:
            entered.set()
            await let_go.wait()

        uploads, client = Uploads(hold, seconds=0.001, at_once=1), Client()
        task = asyncio.create_task(uploads(POST, Client().receive, Client().send))
        await entered.wait()
        await uploads(POST, client.receive, client.send)
        let_go.set()
        await task
        assert (b"retry-after", b"10") in client.got[0]["headers"]
        return client.statuses

    assert asyncio.run(ask()) == [503]


def test_requests_without_a_body_do_not_wait():
    client = Client(b"")
    asyncio.run(Uploads(answer_all, seconds=60, at_once=0)({**POST, "method": "GET"}, client.receive, client.send))
    assert client.statuses == [200]


def test_uploads_do_not_fill_the_disk(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/sound.wav").write_bytes(bytes(5000))
    for most, status in ((4000, 507), (100_000, 200)):
        monkeypatch.setattr("audiofw.serve.uploads.MOST_KEPT", most)
        client = Client(b"a")
        asyncio.run(Uploads(answer_all, seconds=60, folder=tmp_path)(POST, client.receive, client.send))
        assert client.statuses == [status]


@pytest.fixture
def address():
    """Serve with limits of time that end at once, on a free local port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        app = Uploads(answer_all, seconds=0.001)
        config = Config(app, http=ImpatientProtocol, ws="none", lifespan="off", log_config=None)
        server = Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield listening.getsockname()
        server.should_exit = True
        thread.join(PATIENCE)


def sent(address, data: bytes) -> bytes:
    """Send this and no more; all that comes until the server closes the connection."""
    with socket.create_connection(address, timeout=PATIENCE) as client, client.makefile("rb") as stream:
        client.sendall(data)
        return stream.read()


def test_a_real_client_that_stalls_is_closed(address, monkeypatch):
    head = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"
    assert sent(address, head + b"half").startswith(b"HTTP/1.1 408 ")
    monkeypatch.setattr("audiofw.serve.protocol.HEAD", 0.0)
    with suppress(ConnectionResetError):
        assert sent(address, head[:9]) == b""


# --- connections ------------------------------------------------------------------------------------------


class Loop:
    """An event loop's timers, which a test fires."""

    def __init__(self) -> None:
        self.timers: list[SimpleNamespace] = []

    def call_later(self, seconds, work, *args):
        timer = SimpleNamespace(seconds=seconds, work=lambda: work(*args), on=True)
        timer.cancel = lambda: setattr(timer, "on", False)
        self.timers.append(timer)
        return timer

    def fire(self, seconds: float) -> None:
        for timer in [timer for timer in self.timers if timer.on and timer.seconds == seconds]:
            timer.on = False
            timer.work()

    def create_task(self, work, **options):
        work.close()
        return Task()


class Task:
    """A task that never begins."""

    def add_done_callback(self, done) -> None:
        pass


class Transport:
    def __init__(self) -> None:
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True

    def get_extra_info(self, name):
        return None

    def __getattr__(self, name):  # pause_reading and the like
        return lambda *args: None


@pytest.fixture
def connection():
    """A connection, its timers and its transport."""
    loop, transport = Loop(), Transport()
    protocol = ImpatientProtocol(Config(answer_all, lifespan="off"), ServerState(), {}, _loop=loop)
    protocol.connection_made(transport)
    return protocol, loop, transport


@pytest.mark.parametrize("sent", [[], [b"GE"], [b"GET / HT", b"TP/1.1\r\n", b"Host: a\r\n"]])
def test_a_connection_without_a_whole_head_is_closed(connection, sent):
    protocol, loop, transport = connection
    for part in sent:
        protocol.data_received(part)
    loop.fire(HEAD)
    assert transport.aborted


def test_one_whose_request_is_being_answered_is_not(connection):
    protocol, loop, transport = connection
    protocol.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    loop.fire(HEAD)
    assert not transport.aborted
    protocol.cycle.response_complete = True
    protocol.data_received(b"GET")  # the next one, which never comes
    loop.fire(HEAD)
    assert transport.aborted


@pytest.mark.parametrize("reads", [True, False])
def test_a_client_that_does_not_read_its_answer_is_closed(connection, reads):
    protocol, loop, transport = connection
    protocol.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    protocol.pause_writing()
    if reads:
        protocol.resume_writing()
    loop.fire(READING)
    assert transport.aborted is not reads


def test_a_lost_connection_leaves_no_timer(connection):
    protocol, loop, _ = connection
    protocol.pause_writing()
    protocol.connection_lost(None)
    assert not [timer for timer in loop.timers if timer.on]


# --- the access log ---------------------------------------------------------------------------------------


def logged(scope=POST, client=None, app=answer_all) -> str:
    """The line that is logged for a request."""
    lines, client = [], client or Client(b"abc")
    clock = Clock(step=1.5)
    with suppress(ClientDisconnect):
        asyncio.run(AccessLog(app, lines.append, clock)({**POST, **scope}, client.receive, client.send))
    (line,) = lines
    return line


def test_a_request_is_logged_with_its_status_size_and_time():
    line = logged()
    when = r"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]"
    assert re.fullmatch(rf'127\.0\.0\.1 - - {when} "POST /predict HTTP/1\.1" 200 3 1\.500', line)


def test_one_whose_client_has_gone_is_logged_too():
    async def leave():
        return {"type": "http.disconnect"}

    client = Client()
    client.receive = leave
    assert " 499 0 " in logged(client=client)


def test_a_line_cannot_be_forged():
    line = logged({"raw_path": b'/a"\x1b[2J', "query_string": b'x=" 200 1', "client": None})
    assert line.startswith("- - - [")
    assert "\x1b" not in line
    assert line.count('"') == 2


def test_a_log_file_is_appended_to_and_may_be_moved_away(tmp_path):
    file = tmp_path / "access.log"
    file.write_text("before\n")
    with opened_log(str(file)) as write:
        write("one %s")
        file.rename(tmp_path / "old.log")
        write("two")
    assert (tmp_path / "old.log").read_text() == "before\none %s\n"
    assert file.read_text() == "two\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_warned_of_once(caplog):
    with opened_log("/dev/full") as write:
        write("one")
        write("two")
    assert [record.getMessage() for record in caplog.records] == [
        "/dev/full: the access log cannot be written: [Errno 28] No space left on device"
    ]
