"""``audiofw export --format page``: a web page that resamples and classifies as audiofw does."""

import functools
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from bundles import make_run
from conftest import tone, write_wav

import audiofw as fw
from audiofw.audio.load import resample
from audiofw.bundle.onnx import kernels
from audiofw.bundle.onnx.page import OWN, RUNTIME

NODE = shutil.which("node")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
WEB = os.environ.get("AUDIOFW_TEST_ORT_WEB")  # where npm has installed onnxruntime-web


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return make_run(tmp_path_factory.mktemp("page"), "model=logistic_regression", "model.C=0.001")


@pytest.fixture(autouse=True)
def few_rates(monkeypatch):
    """Measure the resampler for a single rate, that of the microphone and of the test's recordings."""
    monkeypatch.setattr(kernels, "RATES", (48000,))


@pytest.fixture
def runtime(tmp_path) -> Path:
    """Lay down files with the names of onnxruntime-web's."""
    dist = tmp_path / "web/node_modules/onnxruntime-web/dist"
    dist.mkdir(parents=True)
    for name in RUNTIME:
        (dist / name).write_text(name)
    return tmp_path / "web"


def test_the_page_is_a_folder_whose_worker_keeps_every_file(audiofw, run, runtime):
    outcome = audiofw("export", str(run), "--format", "page", "--runtime", str(runtime))
    assert (outcome.code, outcome.err) == (0, "")
    assert "python3 -m http.server -d page" in outcome.out
    files = {path.name for path in Path("page").iterdir()}
    assert files >= {"index.html", "page.js", "model.onnx", *RUNTIME}
    kept = json.loads(re.search(r"FILES = (\[.*\]);", Path("page/worker.js").read_text())[1])
    assert set(kept) == (files | {"./"}) - {"worker.js"}
    facts = json.loads(Path("page/model.json").read_text())
    assert (facts["classes"], facts["rate"], facts["seconds"]) == (["high", "low", "mid"], 22050, 0.6)
    assert audiofw("export", str(run), "--format", "page", "--runtime", str(runtime)).code == 0  # anew


def test_what_keeps_a_page_from_being_written_is_one_line(audiofw, run, runtime, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site/index.html").write_text("mine")
    page = ["export", str(run), "--format", "page"]
    for words, said in (
        (page, "--format page and --runtime FOLDER belong together"),
        (["export", str(run), "--runtime", str(runtime)], "--format page and --runtime FOLDER belong together"),
        ([*page, "--runtime", str(tmp_path)], "has no onnxruntime-web (ort.wasm.min.mjs and others); run npm install"),
        ([*page, "--runtime", str(runtime), "-o", "site"], "--output site: contains other files; name a new folder"),
    ):
        outcome = audiofw(*words)
        assert outcome.code == 2
        assert said in outcome.err
        assert len(outcome.err.splitlines()) == 1
    assert (tmp_path / "site/index.html").read_text() == "mine"


SCRIPT = """
import fs from "fs";
import {{ resample }} from "{module}";
const data = fs.readFileSync("in.f32");
const y = new Float32Array(data.buffer, data.byteOffset, data.length / 4);
const made = resample(y, {rate}, {target}, JSON.parse(fs.readFileSync("kernels.json")));
fs.writeFileSync("out.f32", Buffer.from(made.buffer));
"""


@pytest.mark.skipif(not NODE, reason="needs node")
@pytest.mark.parametrize(("rate", "target"), [(48000, 22050), (44100, 22050), (16000, 22050)])
def test_the_page_resamples_as_audiofw_does(tmp_path, monkeypatch, rate, target):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(kernels, "RATES", (rate,))
    Path("kernels.json").write_text(json.dumps(kernels.kernels(target)))
    Path("run.mjs").write_text(SCRIPT.format(module=(OWN / "resample.js").as_uri(), rate=rate, target=target))
    y = np.random.default_rng(0).standard_normal(8000).astype(np.float32)
    y[:200] *= np.linspace(0, 1, 200, dtype=np.float32)  # audiofw's filter rings differently at an abrupt beginning
    y.tofile("in.f32")
    subprocess.run([NODE, "run.mjs"], check=True)
    made, expected = np.fromfile("out.f32", np.float32), resample(y, rate, target)
    assert len(made) == len(expected)
    assert 10 * np.log10(np.mean((made - expected) ** 2) / np.mean(expected**2)) < -80


@pytest.fixture
def browser(tmp_path) -> Iterator:
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    flags = "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --use-fake-ui-for-media-stream"
    for flag in [*flags.split(), "--use-fake-device-for-media-stream", f"--user-data-dir={tmp_path}/profile"]:
        options.add_argument(flag)
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER)) as driver:
        yield driver


@pytest.fixture
def site(audiofw, run) -> Iterator[str]:
    """Serve the page with the real runtime."""
    assert audiofw("export", str(run), "--format", "page", "--runtime", WEB).code == 0
    handler = functools.partial(SimpleHTTPRequestHandler, directory="page")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.skipif(not (CHROMIUM and DRIVER and WEB), reason="needs chromium, chromedriver, AUDIOFW_TEST_ORT_WEB")
def test_a_browser_gives_a_file_the_same_label_and_hears_the_microphone(browser, site, run, tmp_path):
    from selenium.webdriver.support.ui import WebDriverWait

    def text(name: str) -> str:
        return browser.find_element("id", name).text

    def wait(start: str) -> None:
        WebDriverWait(browser, 60).until(lambda _: text("said").startswith(start) and "…" not in text("said"))

    browser.get(site)
    wait("Ready")
    for frequency in (210, 950, 4100):
        file = write_wav(tmp_path / f"{frequency}.wav", tone(frequency, 0.7, sr=48000), sr=48000)
        browser.find_element("id", "file").send_keys(str(file))
        wait(file.name)
        assert text("label") == fw.load_model(run).predict(file)[0]
    browser.find_element("id", "speak").click()
    wait("microphone: 0.6 s of sound")
    assert text("label") in ("high", "low", "mid")
