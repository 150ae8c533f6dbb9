"""The JSON endpoint: ``POST /predict`` or ``/timeline`` with a recording, ``GET /model`` and ``/healthz``."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from audiofw.errors import ConfigError, DataError
from audiofw.serve.service import Service, TooMuchError, UploadLimits, WindowsAsked
from audiofw.serve.turns import BusyError
from audiofw.system.faults import explain, find_fault, writing_to
from audiofw.system.scratch import scratch_folder
from audiofw.version import __version__

log = logging.getLogger(__name__)

ENVELOPE = 2**16  # bytes of a form besides its file
NOTHING_SENT = (
    "no recording in the request; send a file: curl -F file=@clip.wav, or its bytes: curl --data-binary @clip.wav"
)


class NoSoundError(DataError):
    """A request without a recording."""


def make_endpoint(service: Service, folder: Path | None = None) -> FastAPI:
    """Create the application; the page is mounted besides its paths.

    Parameters
    ----------
    service : Service
        Classifies a file.
    folder : Path, optional
        For uploads, each of which is deleted with its answer; by default ``TMPDIR``.
    """
    # FastAPI's own documentation pages load files from a CDN
    app = FastAPI(title="audiofw", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/health")
    @app.get("/healthz")
    async def health() -> JSONResponse:
        classes = [str(name) for name in service.model.classes_]
        status = "stuck" if service.turns.stuck else "ok"
        answer = {"status": status, "version": __version__, "classes": classes}
        return JSONResponse(answer, 200 if status == "ok" else 503)

    @app.get("/model")
    async def describe() -> dict[str, object]:
        return service.describe()

    @app.post("/predict")
    async def predict(request: Request) -> JSONResponse:
        return await _answer(request, lambda path: service(path)._asdict())

    @app.post("/timeline")
    async def label_over_time(request: Request) -> JSONResponse:
        return await _answer(request, lambda path: service.timeline(path, WindowsAsked.read(request.query_params)))

    async def _answer(request: Request, work: Callable[[Path], dict[str, object]]) -> JSONResponse:
        try:
            with scratch_folder("audiofw-upload-", folder) as place:
                path = await _receive(request, place, service.limits)
                return JSONResponse(await service.turns.run(work, path))
        except ClientDisconnect:
            return _refuse(400, "the connection was closed during the upload")
        except (DataError, ConfigError) as error:
            return _refuse(_status(error), str(error))
        except OSError as error:
            fault = find_fault(error)
            log.error("a request failed: %s", explain(fault) if fault else error, exc_info=not fault)
            return _refuse(507 if fault else 500, "the server cannot store the upload; see its log")
        except Exception:  # a bug, in audiofw or a plugin: answer in JSON all the same
            log.exception("a request failed")
            return _refuse(500, "internal error; see the server's log")

    @app.get("/predict")
    @app.get("/timeline")
    def refuse_reading() -> JSONResponse:
        return _refuse(405, NOTHING_SENT)

    return app


def _refuse(status: int, reason: str) -> JSONResponse:
    return JSONResponse({"error": reason}, status_code=status)


def _status(error: DataError | ConfigError) -> int:
    kinds = {TooMuchError: 413, NoSoundError: 400, BusyError: 503, ConfigError: 400}
    return next((status for kind, status in kinds.items() if isinstance(error, kind)), 422)


async def _receive(request: Request, folder: Path, limits: UploadLimits) -> Path:
    """Write the recording of a request into a folder, under our own name: the sender's is not trusted."""
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        path = await _receive_form(request, folder, limits)
    else:
        path = folder / "sound"
        with writing_to(path), path.open("wb") as file:
            async for chunk in _bounded(request, limits, 0):
                file.write(chunk)
    if not path.stat().st_size:
        raise NoSoundError(NOTHING_SENT)
    return path


async def _receive_form(request: Request, folder: Path, limits: UploadLimits) -> Path:
    parser = MultiPartParser(request.headers, _bounded(request, limits, ENVELOPE), max_files=1, max_fields=20)
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError) as error:  # KeyError: a form without a boundary
        raise NoSoundError(f"not a form with one file; {NOTHING_SENT}") from error
    try:
        sent = [part for part in form.values() if isinstance(part, UploadFile)]
        if not sent:
            raise NoSoundError(NOTHING_SENT)
        path = folder / f"sound{_plain_suffix(sent[0].filename or '')}"
        with writing_to(path), path.open("wb") as file:
            await run_in_threadpool(shutil.copyfileobj, sent[0].file, file)
    finally:
        await form.close()
    limits.check_size(path.stat().st_size)
    return path


def _plain_suffix(name: str) -> str:
    """Return the suffix of the sender's file name, if it may be that of a format; nothing else of the name is used."""
    suffix = Path(name).suffix.lower()
    return suffix if re.fullmatch(r"\.[a-z0-9]{1,5}", suffix) else ""


async def _bounded(request: Request, limits: UploadLimits, envelope: int) -> AsyncGenerator[bytes, None]:
    """Pass on the request's data, and stop at the limit: rejected uploads must not fill memory or disk."""
    came = 0
    declared = request.headers.get("content-length", "")
    limits.check_size(int(declared) - envelope if declared.isdecimal() else 0)
    async for chunk in request.stream():
        came += len(chunk)
        limits.check_size(came - envelope)
        yield chunk
