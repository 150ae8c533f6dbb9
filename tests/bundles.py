"""Runs and bundles shared by several test files: created once, copied, and tampered with as an attacker could."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch
from zipfile import ZIP_DEFLATED, ZipFile

from conftest import tone, write_wav

import audiofw
from audiofw.system.hashing import digest_bytes, digest_json

QUICK = ["n_jobs=1", "audit=false", "report=false", "feature=mfcc", "pooling=stats"]
BOOSTING = ["model=lightgbm", "model.n_estimators=8"]


def make_sounds(folder: Path, clips: int = 12, seconds: float = 0.6) -> Path:
    """Make class folders of tones that are easy to classify."""
    for label, frequency in {"low": 200, "mid": 900, "high": 4000}.items():
        for i in range(clips):
            write_wav(folder / label / f"{i}.wav", tone(frequency * (1 + 0.01 * i), seconds, seed=i))
    return folder


def make_run(folder: Path, *words: str) -> Path:
    """Run audiofw on such sounds with a separate cache; returns the run's folder."""
    sounds = make_sounds(folder / "sounds")
    words = words if any(word.startswith("model=") for word in words) else (*BOOSTING, *words)
    with patch.dict(os.environ, {"AUDIOFW_CACHE": str(folder / "cache")}):
        audiofw.run([f"data.source={sounds}", "audio.duration=0.6", *QUICK, *words], path=folder / "run")
    return folder / "run"


def copy_of(run: Path, tmp_path: Path) -> Path:
    """Copy a run's bundle for tampering."""
    return Path(shutil.copytree(run / "model", tmp_path / "model"))


def rewrite(bundle: Path, name: str, data: bytes) -> None:
    """Replace a file and update the digests, since an attacker can forge those as well."""
    (bundle / name).write_bytes(data)
    change_facts(bundle, lambda facts: facts["files"].update({name: digest_bytes(data)}))


def change_facts(bundle: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change ``bundle.json`` and update its digest."""
    facts = json.loads((bundle / "bundle.json").read_text())
    del facts["digest"]
    change(facts)
    facts["digest"] = digest_json(facts)
    (bundle / "bundle.json").write_text(json.dumps(facts))


def rewrite_schema(bundle: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the schema inside ``model.skops``."""
    with ZipFile(bundle / "model.skops") as file:
        files = {name: file.read(name) for name in file.namelist()}
    schema = json.loads(files["schema.json"])
    change(schema)
    files["schema.json"] = json.dumps(schema).encode()
    rewrite(bundle, "model.skops", zipped(files))


def zipped(files: dict[str, bytes]) -> bytes:
    """Write files into a zip under arbitrary names."""
    data = io.BytesIO()
    with ZipFile(data, "w", ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return data.getvalue()


def zip_of(bundle: Path, **more: bytes) -> dict[str, bytes]:
    """Map the names in a zip to a bundle's files."""
    files = {path.relative_to(bundle).as_posix(): path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
    return {**files, **more}
