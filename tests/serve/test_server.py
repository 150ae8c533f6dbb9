"""The endpoint answers every request, rejects bad ones with one reason, and keeps no uploaded data."""

from __future__ import annotations

import asyncio
import io
import os
import queue
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
from gates import PATIENCE
from pitches import PITCHES, SR, ByPitch, wav

pytest.importorskip("gradio", reason='needs pip install "audiofw[serve]"')
pytest.importorskip("httpx", reason="needs httpx, which Gradio brings")

from fastapi.testclient import TestClient

from audiofw.errors import ClipError, ConfigError, PluginError
from audiofw.serve import html
from audiofw.serve.endpoint import make_endpoint
from audiofw.serve.page import show_answer
from audiofw.serve.server import is_loopback, make_app, quiet_gradio, serve
from audiofw.serve.service import Service, UploadLimits
from audiofw.serve.turns import BusyError, Turns


@pytest.fixture
def uploads(tmp_path, monkeypatch) -> Path:
    """The folder of temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def model() -> ByPitch:
    return ByPitch()


@pytest.fixture
def ask(model, uploads):
    """Post to an endpoint with limits, ``ask(files=…)`` or ``ask(content=…)``; returns status code and answer."""

    def post(megabytes: float = 1, seconds: float = 5, confidence: float = 0, **request):
        client = TestClient(make_endpoint(Service(model, UploadLimits(megabytes, seconds, confidence))))
        response = client.post("/predict", **request)
        return response.status_code, response.json()

    return post


def test_a_form_and_a_raw_body_get_the_same_answer(ask):
    code, by_form = ask(files={"file": ("a.wav", wav(3200))})
    assert (code, by_form["label"]) == (200, "high")
    assert ask(content=wav(3200)) == (200, by_form)


def test_an_answer_has_the_likeliest_first_and_adds_up(ask):
    _, answer = ask(content=wav(800))
    assert answer["label"] == answer["likeliest"] == next(iter(answer["probabilities"])) == "middle <b>"
    assert set(answer["probabilities"]) == set(PITCHES)
    assert sum(answer["probabilities"].values()) == pytest.approx(1)
    assert list(answer["probabilities"].values()) == sorted(answer["probabilities"].values(), reverse=True)
    assert answer["confidence"] == answer["probabilities"]["middle <b>"]
    assert answer["duration"] == 0.5


@pytest.mark.parametrize("format", ["FLAC", "OGG", "MP3"])
def test_other_formats_are_known_by_their_content(ask, format):
    assert ask(content=wav(3200, format=format))[1]["label"] == "high"


def test_not_sure_is_unknown_but_says_what_was_likeliest(ask):
    code, answer = ask(content=wav(1600), confidence=0.9)
    assert (code, answer["label"]) == (200, "unknown")
    assert answer["likeliest"] in PITCHES
    assert answer["confidence"] < 0.9


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"this is no sound", "not audio, or damaged"),
        (b"\x1a\x45\xdf\xa3" + bytes(50), "libsndfile cannot read webm/mkv"),
        (wav()[:40], "not audio, or damaged"),
        (wav(seconds=0), "contains no samples"),
    ],
    ids=["text", "webm", "cut in its header", "no samples"],
)
def test_a_bad_sound_is_refused_with_its_reason(ask, uploads, sent, reason):
    code, answer = ask(content=sent)
    assert (code, list(answer)) == (422, ["error"])
    assert reason in answer["error"]
    assert str(uploads) not in answer["error"]


def test_what_the_model_refuses_is_told_without_the_path_or_a_remedy_for_trainers(ask):
    silence = io.BytesIO()
    soundfile.write(silence, np.zeros(SR), SR, format="WAV")
    assert ask(content=silence.getvalue()) == (422, {"error": "silent: every sample is zero"})


def test_too_large_is_refused_however_it_comes(ask, model):
    big = wav(seconds=1)
    limit = (len(big) - 1) / 2**20
    for request in (
        {"content": big},
        {"files": {"file": ("a.wav", big)}},
        {"content": (big[i : i + 999] for i in range(0, len(big), 999))},
    ):
        code, answer = ask(megabytes=limit, **request)
        assert code == 413, answer
        assert "larger than" in answer["error"]
    assert not model.asked
    assert ask(megabytes=len(big) / 2**20, content=big)[0] == 200


def test_a_declared_size_is_refused_before_anything_is_read(model):
    client = TestClient(make_endpoint(Service(model, UploadLimits(megabytes=1))))

    def never():
        raise AssertionError("it was read")
        yield b""

    code = client.post("/predict", content=never(), headers={"content-length": str(2**21)}).status_code
    assert code == 413


def test_too_long_is_refused_though_it_is_small(ask, model):
    silence = io.BytesIO()
    soundfile.write(silence, np.zeros(SR * 60), SR, format="FLAC")
    code, answer = ask(content=silence.getvalue())
    assert code == 413
    assert answer["error"] == "longer than 5 s, this server's limit"
    assert not model.asked


def test_many_channels_are_too_much(ask, model):
    wide = io.BytesIO()
    soundfile.write(wide, np.zeros((4 * 192_000, 8), np.float32), 192_000, format="FLAC")
    code, answer = ask(content=wide.getvalue())
    assert code == 413
    assert "8 channels" in answer["error"]
    assert not model.asked


@pytest.mark.parametrize(
    "request_",
    [
        {"content": b""},
        {"files": {"file": ("a.wav", b"")}},
        {"files": {"file": (None, "a.wav")}},
        {"files": [("file", ("a.wav", wav())), ("file", ("b.wav", wav()))]},
        {"content": b"x", "headers": {"content-type": "multipart/form-data"}},
    ],
    ids=["nothing", "empty file", "a field", "two files", "no boundary"],
)
def test_a_request_without_one_sound_says_how_to_send_one(ask, request_):
    code, answer = ask(**request_)
    assert code == 400, answer
    assert "curl" in answer["error"]


@pytest.mark.parametrize(
    "name", ["../../evil.wav", "/etc/evil.wav", "..\\evil.wav", "a.wav\0.sh", "x" * 2000, "a/../b.%2e"]
)
def test_a_name_that_leads_elsewhere_leads_nowhere(ask, model, uploads, name):
    code, answer = ask(files={"file": (name, wav(3200))})
    assert (code, answer["label"]) == (200, "high")
    (asked,) = map(Path, model.asked)
    assert asked.parent.parent == uploads
    assert asked.name in ("sound", "sound.wav", "sound.sh")
    assert not list(uploads.rglob("*evil*"))


def test_nothing_sent_is_kept(ask, uploads):
    ask(content=wav())
    ask(files={"file": ("a.wav", wav())})
    ask(content=b"no sound")
    ask(content=wav(), megabytes=0.001)
    assert list(uploads.iterdir()) == []


def test_requests_at_once_each_get_their_own_answer(model, uploads):
    client = TestClient(make_endpoint(Service(model)))
    labels = [list(PITCHES)[i % 3] for i in range(24)]

    def label(wanted: str) -> str:
        return client.post("/predict", content=wav(PITCHES[wanted])).json()["label"]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(label, labels)) == labels
    assert len(model.asked) == 24


def test_a_bug_is_an_answer_too(ask, model, monkeypatch):
    monkeypatch.setattr(model, "predict_proba", lambda files: 1 / 0)
    code, answer = ask(content=wav())
    assert code == 500
    assert "log" in answer["error"]


def failing(error):
    def predict(files):
        raise error

    return predict


def test_a_plugins_bug_is_for_the_log_and_not_for_those_who_upload(ask, model, monkeypatch, caplog):
    monkeypatch.setattr(model, "predict_proba", failing(PluginError("fft.py:3: KeyError: 'f0'", plugin="feature=fft")))
    code, answer = ask(content=wav())
    assert (code, "fft.py" in answer["error"]) == (500, False)
    assert "feature=fft: fft.py:3: KeyError: 'f0'" in caplog.text


def test_a_sound_of_which_a_plugin_makes_nothing_is_refused_with_the_reason(ask, model, monkeypatch):
    monkeypatch.setattr(model, "predict_proba", failing(ClipError("gave NaN", plugin="feature=fft", clip="/tmp/sound")))
    assert ask(content=wav()) == (422, {"error": "feature=fft: gave NaN"})


def test_a_server_does_not_start_with_a_plugin_that_fails(model, monkeypatch):
    for name in ("predict", "predict_proba"):
        monkeypatch.setattr(model, name, failing(PluginError("fft.py:3: KeyError: 'f0'", plugin="feature=fft")))
    with pytest.raises(PluginError, match="feature=fft"):
        Service(model).warm()


def test_a_model_without_probabilities_answers_with_its_label(model, uploads):
    model.gives_probabilities = False
    service = Service(model)
    service.warm()
    answer = TestClient(make_endpoint(service)).post("/predict", content=wav(3200)).json()
    assert (answer["label"], answer["probabilities"], answer["confidence"]) == ("high", None, None)
    with pytest.raises(ConfigError, match="no probabilities"):
        Service(model, UploadLimits(confidence=0.5)).warm()


def test_health_names_the_classes(model):
    answer = TestClient(make_endpoint(Service(model))).get("/health").json()
    assert (answer["status"], answer["classes"]) == ("ok", list(PITCHES))


@pytest.mark.parametrize(
    ("query", "facts", "asked"),
    [
        ("?window=0.25&hop=0.125", {}, (0.25, 0.125)),
        ("?window=0.25", {}, (0.25, 0.25)),
        ("", {}, (3.0, 3.0)),  # the length of its clips
        ("?hop=0.1", {}, (3.0, 0.1)),
        ("", {"timeline": {"window": 0.5, "hop": 0.25}}, (None, 0.25)),  # as it was trained
        ("?window=0.3", {"timeline": {"window": 0.5, "hop": 0.25}}, (0.3, 0.3)),
    ],
)
def test_a_recording_is_labelled_over_time(model, uploads, monkeypatch, query, facts, asked):
    monkeypatch.setattr(model, "facts", {**model.facts, **facts})
    service = Service(model, UploadLimits(confidence=0.3))
    answer = TestClient(make_endpoint(service)).post(f"/timeline{query}", content=wav()).json()
    got = model.asked_over_time
    assert (got["window"], got["hop"], got["n_jobs"], got["min_confidence"]) == (*asked, 1, 0.3)
    assert (answer["duration"], answer["hop"]) == (0.5, asked[1])
    assert answer["segments"] == [
        {"start": 0.0, "end": asked[1], "label": "low", "confidence": 0.9},
        {"start": asked[1], "end": 0.5, "confidence": 0.0, "error": "no samples"},
    ]
    assert list(uploads.iterdir()) == []


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("?windw=1", 400, "windw: not known, only window, hop, threshold"),
        ("?window=-1", 400, "window=-1: not a positive number"),
        ("?hop=nan", 400, "hop=nan: not a positive number"),
        ("?window=1&hop=0.001", 400, "at least a hundredth"),
        ("?window=0", 400, "must be a number of seconds"),
        ("?window=0.001", 413, "more than 5000 windows"),
    ],
)
def test_windows_that_cannot_be_used_are_refused(model, query, status, said):
    response = TestClient(make_endpoint(Service(model))).post(f"/timeline{query}", content=wav(seconds=6))
    assert (response.status_code, said in response.json()["error"]) == (status, True), response.json()


def test_a_model_of_whole_clips_needs_the_length_of_windows(model, monkeypatch):
    monkeypatch.setattr(model, "facts", {"audio": {"duration": None}})
    response = TestClient(make_endpoint(Service(model))).post("/timeline", content=wav())
    assert (response.status_code, "?window=1" in response.json()["error"]) == (400, True)


@pytest.mark.parametrize("path", ["/health", "/healthz"])
def test_a_server_whose_model_hangs_is_not_healthy(model, path):
    service = Service(model, UploadLimits(patience=0))
    service.turns = Turns(0, clock=iter([0.0, 0.0, 1.0]).__next__)
    client, began, let_go = TestClient(make_endpoint(service)), threading.Event(), threading.Event()

    def hang() -> None:
        began.set()
        let_go.wait(PATIENCE)

    with pytest.raises(BusyError):
        asyncio.run(service.turns.run(hang))
    assert began.wait(PATIENCE)
    assert client.get(path).status_code == 200  # it has just begun
    assert (client.get(path).status_code, client.get("/model").status_code) == (503, 200)
    let_go.set()
    service.turns.close()
    assert client.get(path).json()["status"] == "ok"


def test_a_recording_that_must_wait_too_long_is_told_so(model, uploads):
    service, let_go = Service(model, UploadLimits(patience=0.001)), threading.Event()
    with pytest.raises(BusyError):
        asyncio.run(service.turns.run(let_go.wait, PATIENCE))
    response = TestClient(make_endpoint(service)).post("/predict", content=wav())
    let_go.set()
    assert (response.status_code, response.json()["error"]) == (503, "not answered within 0.001 s; try again later")
    assert list(uploads.iterdir()) == []
    service.turns.close()
    assert not model.asked


def test_the_model_is_described_with_what_makes_its_score_doubtful(model, monkeypatch):
    score = {**model.facts["score"], "audit_warnings": ["2 clips are <b>identical</b>"]}
    monkeypatch.setattr(model, "facts", {**model.facts, "score": score})
    answer = TestClient(make_endpoint(Service(model))).get("/model").json()
    assert (answer["score"], answer["classes"], answer["model"]) == (score, list(PITCHES), "pitch")
    assert "with 1 audit warning, see below" in html.head(model)
    assert "<dd>2 clips are &lt;b&gt;identical&lt;/b&gt;</dd>" in html.about(model)


@pytest.mark.parametrize(("warnings", "said"), [([], "<dd>none</dd>"), (None, "were not audited")])
def test_a_score_that_was_audited_is_told_from_one_that_was_not(model, monkeypatch, warnings, said):
    monkeypatch.setattr(model, "facts", {"score": {**model.facts["score"], "audit_warnings": warnings}})
    assert said in html.about(model)
    assert "audit" not in html.head(model)


def test_a_server_says_at_its_start_what_the_audit_has_found(model, monkeypatch, caplog, capsys):
    score = {**model.facts["score"], "audit_warnings": ["28 test clips have copies"]}
    monkeypatch.setattr(model, "facts", {**model.facts, "score": score})
    monkeypatch.setattr("audiofw.serve.server._run", lambda app, listening: None)
    serve(Service(model))
    assert "audit warning: 28 test clips have copies" in caplog.text
    assert capsys.readouterr().out.startswith("http://127.0.0.1:")


def test_pages_of_other_sites_cannot_send_anything(model, uploads):
    files, other = {"files": ("a.wav", wav(3200))}, {"origin": "http://evil.example"}
    with quiet_gradio(), TestClient(make_app(Service(model)), base_url="http://127.0.0.1") as client:
        for path in ("/predict", "/gradio_api/upload", "/gradio_api/queue/join"):
            refused = client.post(path, files=files, headers=other)
            assert (refused.status_code, "page of another site" in refused.json()["error"]) == (403, True)
            assert client.post(path, files=files, headers={"host": "evil.example"}).status_code == 400
        assert not list(uploads.rglob("*.wav"))
        assert not model.asked
        own = {"origin": "http://127.0.0.1"}
        assert client.post("/predict", files=files, headers=own).json()["label"] == "high"
        assert client.post("/gradio_api/upload", files=files, headers=own).status_code == 200


def test_every_request_is_logged_refused_ones_too(model, uploads):
    lines = []
    with quiet_gradio():
        app = make_app(Service(model), public=["sounds.example"], log_access=lines.append)
        with TestClient(app, base_url="http://127.0.0.1") as client:
            client.get("/healthz", headers={"host": "sounds.example"})
            client.post("/predict?x=1", content=wav())
            client.get("/", headers={"host": "evil.example"})
    assert [(line.split('"')[1], line.split('"')[2].split()[0]) for line in lines] == [
        ("GET /healthz HTTP/1.1", "200"),
        ("POST /predict?x=1 HTTP/1.1", "200"),
        ("GET / HTTP/1.1", "400"),
    ]


def test_the_page_stands_beside_the_endpoint_and_loads_nothing_from_elsewhere(model, uploads):
    with quiet_gradio(), TestClient(make_app(Service(model)), base_url="http://127.0.0.1") as client:
        assert client.get("/health").json()["status"] == "ok"
        assert client.get("/predict").status_code == 405
        page = client.get("/")
        assert page.status_code == 200
        assert not [
            tag for tag in page.text.split("<")[1:] if tag.startswith(("link", "script")) and "//" in tag.split(">")[0]
        ]
        assert "@import" not in client.get("/theme.css").text
        assert client.get("/health", headers={"host": "evil.example"}).status_code == 400
    assert list(uploads.iterdir()) == []


def ask_page(client: TestClient, path: str, **more) -> str:
    """Send a request as the page's script does; returns the answer."""
    sound = {"path": path, "url": path, "meta": {"_type": "gradio.FileData"}, **more}
    client.post("/gradio_api/queue/join", json={"data": [sound], "fn_index": 0, "session_hash": "me"})
    told = client.get("/gradio_api/queue/data", params={"session_hash": "me"}).text
    (done,) = [line for line in told.splitlines() if '"process_completed"' in line]
    return done


def test_the_page_takes_uploads_and_no_other_file_or_address(model, uploads, monkeypatch):
    fetched = []
    monkeypatch.setattr("gradio.processing_utils.async_ssrf_protected_download", lambda *a, **k: fetched.append(a))
    (uploads / "private.wav").write_bytes(wav(3200))
    with quiet_gradio(), TestClient(make_app(Service(model)), base_url="http://127.0.0.1") as client:
        (sent,) = client.post("/gradio_api/upload", files={"files": ("a.wav", wav(3200))}).json()
        assert Path(sent).parents[2] == uploads
        assert "answer sure" in ask_page(client, sent)
        for other in (str(uploads / "private.wav"), "http://93.184.215.14/a.wav", "HTTPS://example.com/a.wav"):
            done = ask_page(client, other)
            assert '"success":false' in done
            assert "answer" not in done
        large = client.post("/gradio_api/upload", files={"files": ("a.wav", bytes(26 * 2**20))})
        assert large.status_code == 413
        assert [file.name for file in uploads.rglob("*.wav")].count("private.wav") == 1  # and no copy can be requested
    assert fetched == []
    assert len(model.asked) == 1


def test_old_uploads_of_the_page_are_deleted(model, uploads, monkeypatch):
    monkeypatch.setattr("audiofw.serve.page.SWEEP", 0.05)
    monkeypatch.setattr("audiofw.serve.page.KEEP", 0.05)
    deleted, remove = queue.SimpleQueue(), os.remove

    def note(file) -> None:
        remove(file)
        deleted.put(str(file))

    monkeypatch.setattr("os.remove", note)
    with quiet_gradio(), TestClient(make_app(Service(model)), base_url="http://127.0.0.1") as client:
        (sent,) = client.post("/gradio_api/upload", files={"files": ("a.wav", wav(3200))}).json()
        assert deleted.get(timeout=PATIENCE) == sent
        assert not Path(sent).exists()


def test_what_interrupted_uploads_leave_is_deleted_too(model, uploads, monkeypatch):
    monkeypatch.setattr("audiofw.serve.page.SWEEP", 0.05)
    monkeypatch.setattr("audiofw.serve.page.KEEP", 0.05)
    deleted, remove = queue.SimpleQueue(), os.remove

    def note(file) -> None:
        remove(file)
        deleted.put(str(file))

    monkeypatch.setattr("os.remove", note)
    with quiet_gradio() as folder:
        (folder / "tmp1").write_bytes(b"half a sound")
        with TestClient(make_app(Service(model)), base_url="http://127.0.0.1"):
            assert deleted.get(timeout=PATIENCE) == str(folder / "tmp1")


def test_what_is_shown_is_escaped(model, tmp_path):
    file = tmp_path / "a.wav"
    file.write_bytes(wav(800))
    said, bars, picture = show_answer(Service(model), str(file))
    assert "middle &lt;b&gt;" in said["value"]
    assert next(iter(bars["value"])) == "middle <b>"
    assert "<img" in picture["value"]
    assert "<b>" not in said["value"] + html.about(model)


def test_the_page_shows_one_reason_for_a_bad_sound_and_no_old_answer(model, tmp_path):
    file = tmp_path / "a.wav"
    file.write_bytes(b"no sound")
    said, bars, picture = show_answer(Service(model), str(file))
    assert "not audio, or damaged" in said["value"]
    assert (bars["visible"], picture["visible"]) == (False, False)


def test_the_page_tells_model_score_classes_and_what_a_label_means(model):
    told = html.head(model) + html.about(model) + html.describe_input(model.facts, UploadLimits())
    for said in (
        "pitch on fft",
        "accuracy 90.0%",
        "80.0% to 95.0%",
        "all 30 clips",
        "high",
        html.LIMITATION,
        "first 3 s",
    ):
        assert said in told


def test_the_page_does_without_facts(model, monkeypatch):
    monkeypatch.setattr(model, "facts", {})
    assert "a model" in html.head(model) + html.about(model) + html.describe_input({}, UploadLimits())


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("example", False),
    ],
)
def test_loopback_is_told_from_the_rest(host, loopback):
    assert is_loopback(host) is loopback
