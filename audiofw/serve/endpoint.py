"""The JSON endpoint: ``POST /predict`` with a sound, and ``GET /health``."""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from audiofw.errors import DataError
from audiofw.serve.service import Limits, Listener, TooMuchError
from audiofw.version import __version__

log = logging.getLogger(__name__)

ENVELOPE = 2**16  # bytes of a form around its file
NOTHING_SENT = (
    "no sound in the request; send a file: curl -F file=@clip.wav, or its bytes: curl --data-binary @clip.wav"
)


class NoSoundError(DataError):
    """A request without a sound in it."""


def make_endpoint(listener: Listener) -> FastAPI:
    """Make the application; the page is mounted beside its two paths.

    Parameters
    ----------
    listener : Listener
        Answers for a file.
    """
    # Its own pages of documentation would be loaded from a CDN.
    app = FastAPI(title="audiofw", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/health")
    def health() -> dict[str, object]:
        return {"status": "ok", "version": __version__, "classes": [str(name) for name in listener.model.classes_]}

    @app.post("/predict")
    async def predict(request: Request) -> JSONResponse:
        try:
            with tempfile.TemporaryDirectory(prefix="audiofw-upload-") as folder:
                path = await _receive(request, Path(folder), listener.limits)
                answer = await run_in_threadpool(listener, path)
            return JSONResponse(answer._asdict())
        except ClientDisconnect:
            return _refuse(400, "the connection ended before the sound did")
        except DataError as error:
            return _refuse(_status(error), str(error))
        except Exception:  # a bug of ours or of a plugin must not end as a page of HTML
            log.exception("a request failed")
            return _refuse(500, "the server failed at this sound; its log says why")

    @app.get("/predict")
    def explain() -> JSONResponse:
        return _refuse(405, NOTHING_SENT)

    return app


def _refuse(status: int, reason: str) -> JSONResponse:
    return JSONResponse({"error": reason}, status_code=status)


def _status(error: DataError) -> int:
    kinds = {TooMuchError: 413, NoSoundError: 400}
    return next((status for kind, status in kinds.items() if isinstance(error, kind)), 422)


async def _receive(request: Request, folder: Path, limits: Limits) -> Path:
    """Write the sound of a request into a folder, under a name of our own: the sender's is not to be trusted."""
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        path = await _receive_form(request, folder, limits)
    else:
        path = folder / "sound"
        with path.open("wb") as file:
            async for chunk in _bounded(request, limits, 0):
                file.write(chunk)
    if not path.stat().st_size:
        raise NoSoundError(NOTHING_SENT)
    return path


async def _receive_form(request: Request, folder: Path, limits: Limits) -> Path:
    parser = MultiPartParser(request.headers, _bounded(request, limits, ENVELOPE), max_files=1, max_fields=20)
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError) as error:  # KeyError: a form without a boundary
        raise NoSoundError(f"not a form with one file in it; {NOTHING_SENT}") from error
    try:
        sent = [part for part in form.values() if isinstance(part, UploadFile)]
        if not sent:
            raise NoSoundError(NOTHING_SENT)
        path = folder / f"sound{_plain_suffix(sent[0].filename or '')}"
        with path.open("wb") as file:
            await run_in_threadpool(shutil.copyfileobj, sent[0].file, file)
    finally:
        await form.close()
    limits.check_size(path.stat().st_size)
    return path


def _plain_suffix(name: str) -> str:
    """The end of the sender's name that tells a format, if it is one: all that is used of the name."""
    suffix = Path(name).suffix.lower()
    return suffix if re.fullmatch(r"\.[a-z0-9]{1,5}", suffix) else ""


async def _bounded(request: Request, limits: Limits, envelope: int) -> AsyncGenerator[bytes, None]:
    """Hand on what comes, and stop at the limit: neither memory nor disk is filled by what will be refused."""
    came = 0
    declared = request.headers.get("content-length", "")
    limits.check_size(int(declared) - envelope if declared.isdecimal() else 0)
    async for chunk in request.stream():
        came += len(chunk)
        limits.check_size(came - envelope)
        yield chunk
