"""Save a run's model bundle: trained on all clips, without pickle, with all that is needed to use and check it."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np

from audiofw.bundle.card import make_card
from audiofw.bundle.files import CARD, FACTS, FOLDER
from audiofw.bundle.finished import Finished
from audiofw.bundle.golden import make_golden
from audiofw.bundle.known import make_known
from audiofw.bundle.load import FORMAT, KINDS, MODEL, load_estimator
from audiofw.bundle.model import Model
from audiofw.bundle.needed import needed_files, remember
from audiofw.bundle.skops_format import NotPlainError, dump_plain
from audiofw.bundle.training import describe_clips, training_files
from audiofw.bundle.trust import names_in
from audiofw.bundle.versions import portable_owner, versions_for
from audiofw.cache.fileindex import FileIndex
from audiofw.cache.folder import INDEX
from audiofw.config.options import Config
from audiofw.contract.blame import named
from audiofw.contract.combined import Combined
from audiofw.contract.plugin import Choice
from audiofw.contract.registry import Origin, load_menus, origin_of
from audiofw.data.dataset import Clip
from audiofw.errors import AudiofwError, PluginError, first_line
from audiofw.evaluation.cross_validate import Evaluation
from audiofw.evaluation.fit import fit_clips
from audiofw.evaluation.foreign import known_clips
from audiofw.evaluation.operating import points_of_classes
from audiofw.evaluation.unknown import fit_novelty, make_reference
from audiofw.extraction.recording import row_code
from audiofw.system.atomic import write_whole
from audiofw.system.faults import explain
from audiofw.system.hashing import digest_bytes, digest_file, digest_json, digest_list
from audiofw.system.paths import cache_root
from audiofw.system.versions import version_of

READING = ("pattern", "separator", "columns", "recorder", "unit", "widen", "annotated", "background", "unlabelled")
"""The options of ``data`` by which labels are read."""


def leave_bundle(folder: Path, run: Finished, make_model: Callable[[], Any]) -> list[str]:
    """Write ``model/`` into a run's folder.

    Returns
    -------
    list of str
        Why no model was saved, which does not affect the scores; empty if it was.
    """
    try:
        with named({kind: choice.name for kind, choice in run.choices.items()}):
            files = make_bundle(run, make_model)
        write_bundle(folder / FOLDER, files)
        make_known(json.loads(files[FACTS]))
    except AudiofwError as error:
        return [f"no model saved: {error} (with bundle=false, none is wanted)"]
    except OSError as error:
        return [f"no model saved: {explain(error, folder / FOLDER)}"]
    return []


def make_bundle(run: Finished, make_model: Callable[[], Any]) -> dict[str, bytes]:
    """Create the files of a bundle.

    Raises
    ------
    PluginError
        If training on all clips fails, or the model cannot be saved, or could not be loaded again.
    """
    sample, classifier = run.evaluation.sample, run.evaluation.models[-1]
    novelty, everything = run.evaluation.novelty, np.arange(len(sample.y))
    if run.config.bundle.refit:
        classifier = fit_clips(make_model, sample, everything, where=" on all clips")
        novelty = novelty and fit_novelty(classifier, sample, everything)
    saved, trusted = dump_estimator(classifier, run.classes, novelty), load_menus(only=_origins(run.choices)).trusted
    try:
        load_estimator(saved, f"model={run.choices['model'].name}", trusted)
    except AudiofwError as error:
        raise PluginError(str(error)) from error
    width = sample.X.shape[1] if sample.X.ndim > 1 else None
    model = Model(run.unit, classifier, np.array(run.classes), width, run.config.pad.value, novelty=novelty)
    files = {MODEL: saved, **make_golden(run.clips, model), **_carried(run)}
    files |= training_files(describe_clips(run.clips, run.probes))
    facts = {**_facts(run, width), **_labels(model), "versions": versions_for(_modules(saved))}
    facts["files"] = {name: digest_bytes(data) for name, data in files.items()}
    facts["digest"] = digest_json(facts)
    return {
        **files,
        CARD: make_card(run).encode(),
        FACTS: (json.dumps(facts, indent=2, ensure_ascii=False) + "\n").encode(),
    }


def _origins(choices: Mapping[str, Choice]) -> list[Origin]:
    """List the origins of what is saved: the model, the models in it, and what makes its rows."""
    chosen = [choices["model"], *choices["model"].members(), choices["pooling"], *choices["feature"].parts()]
    return [origin_of(choice.plugin) for choice in chosen]


def dump_estimator(classifier: Any, classes: Sequence[str], novelty: Any = None) -> bytes:
    """Save a fitted classifier, its label encoder and what measures distances in the format of skops.

    Raises
    ------
    PluginError
        If skops cannot save it.
    """
    from sklearn.preprocessing import LabelEncoder

    held = {"model": classifier, "encoder": LabelEncoder().fit(list(classes))}
    if novelty is not None:
        held["novelty"] = novelty
    try:
        return dump_plain(held, str(version_of("skops")))
    except NotPlainError:
        pass
    try:
        import skops.io

        return bytes(skops.io.dumps(held, compression=ZIP_DEFLATED))
    except Exception as error:  # a plugin's class may fail in any way
        raise PluginError(
            f"{type(classifier).__name__} cannot be saved: {first_line(error)}", plugin="model"
        ) from error


def _carried(run: Finished) -> dict[str, bytes]:
    """Read the files that the plugins need, for ``bundle.carry=true``; otherwise only note where they are."""
    parts = [part for kind in KINDS for part in run.choices[kind].parts()]
    needed = {file: path for part in parts for file, path in needed_files(part).items()}
    for file, path in needed.items():
        remember(file, path)
    return {file.carried: path.read_bytes() for file, path in needed.items()} if run.config.bundle.carry else {}


def _modules(saved: bytes) -> set[str]:
    with ZipFile(io.BytesIO(saved)) as file:
        return {named.name.partition(".")[0] for named in names_in(json.loads(file.read("schema.json")))}


def _facts(run: Finished, width: int | None) -> dict[str, Any]:
    config, metrics = run.config, run.metrics
    return {
        "format": FORMAT,
        "made": datetime.now().astimezone().isoformat(timespec="seconds"),
        "classes": list(run.classes),
        "audio": asdict(config.audio),
        "windows": asdict(config.windows),
        "pad": asdict(config.pad),
        "columns": width,
        "widths": getattr(run.unit, "widths", ()),
        **{kind: _plugin(run.choices[kind]) for kind in KINDS},
        "made_of": sorted({tuple(origin) for origin in _origins(run.choices)}),
        **({} if run.timeline is None else {"timeline": run.timeline}),
        "seed": config.seed,
        "reading": {"task": config.task, "coverage": config.coverage, **_reading(config)},
        "code": row_code(),
        "score": {
            "name": metrics["score"],
            "value": metrics["value"],
            "interval": metrics["scores"][metrics["score"]]["interval"],
            "level": metrics["interval_level"],
            "measured_on": _measured_on(run),
            "audit_warnings": _audit_warnings(run),
        },
        "conformity": (metrics["confidence"] or {}).get("conformity"),
        "operating": dict(zip(run.classes, points_of_classes(run.evaluation), strict=False)),
        "unknown": _reference(run.evaluation),
        "fitted_on": _fitted_on(run),
        "training": training_digest(run.clips, content_digest(config)),
    }


def _reading(config: Config) -> dict[str, Any]:
    """Give the options by which labels were read, so that test clips are read likewise."""
    data = asdict(config.data)
    return {name: data[name] for name in READING}


def _reference(evaluation: Evaluation) -> dict[str, Any] | None:
    return None if evaluation.distances is None else make_reference(*known_clips(evaluation))._asdict()


def _labels(model: Model) -> dict[str, Any]:
    """Give the threshold of each class, if clips may have several labels."""
    if model.thresholds is None:
        return {}
    return {
        "task": "multilabel",
        "thresholds": dict(zip(model.classes_.tolist(), model.thresholds.tolist(), strict=True)),
    }


def _plugin(choice: Choice) -> dict[str, Any]:
    if isinstance(choice, Combined):
        members = [
            {
                "name": member.name,
                "audio": {"sample_rate": member.sample_rate, "duration": member.duration},
                "feature": _plugin(member.feature),
                "pooling": member.pooling and _plugin(member.pooling),
            }
            for member in choice.members_
        ]
        return {"name": choice.name, "join": choice.join, "members": members}
    identity = choice.identity
    needed = needed_files(choice)
    options = {name: value for name, value in choice.options.items() if name not in choice.files}
    facts = {"name": choice.name, "options": options, "code": identity["code"]}
    if needed:
        facts["files"] = [list(file) for file in needed]
        facts["file_lists"] = [name for name in choice.files if isinstance(choice.arguments[name], list)]
    return {**facts, "owner": portable_owner(choice.plugin), "origin": list(origin_of(choice.plugin))}


def _audit_warnings(run: Finished) -> list[str] | None:
    """List what makes the score doubtful; None if the data were not audited."""
    if not run.config.audit:
        return None
    found = [one for one in run.metrics["audit"] if one["severity"] == "warning"]
    return ["; ".join(filter(None, (one["message"], one["effect"]))) for one in found]


def _measured_on(run: Finished) -> str:
    m = run.metrics
    folds = "1 fold" if m["n_folds"] == 1 else f"{m['n_folds']} folds"
    said = f"{m['n_tested']} of {m['n_clips']} clips, out of fold: split={run.choices['split'].name}, {folds}"
    return f"{said}, without normalize=group" if m.get("ungrouped") else said


def _fitted_on(run: Finished) -> dict[str, Any]:
    clips = run.metrics["n_clips"]
    if run.config.bundle.refit:
        return {"refit": True, "clips": clips, "description": f"all {clips} clips, after scoring"}
    last = run.evaluation.folds[-1]
    description = f"{last.n_train} of {clips} clips, the training set of fold {last.number}"
    return {"refit": False, "clips": last.n_train, "description": description}


def content_digest(config: Config) -> Callable[[Path], bytes]:
    """Hash files, or look their hashes up where the features' cache has them."""
    if not config.cache.enabled:
        return digest_file
    index = FileIndex(cache_root() / "features" / INDEX, verify=config.cache.verify)

    def digest(file: Path) -> bytes:
        content = index.content(file)
        return content.digest if content else digest_file(file)

    return digest


def training_digest(clips: Sequence[Clip], digest: Callable[[Path], bytes] = digest_file) -> dict[str, Any]:
    """Hash the names and labels of a run's clips, and their content.

    Returns
    -------
    dict
        ``clips``, their number; ``list``, the hash of names and labels; ``content``, of names, labels and files.
    """
    files = {path: digest(path) for path in {clip.path for clip in clips}}  # once for all its stretches
    return {
        "clips": len(clips),
        "list": digest_list([clip.name, clip.label] for clip in clips),
        "content": digest_list([clip.name, clip.label, files[clip.path].hex()] for clip in clips),
    }


def write_bundle(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a bundle's files into a folder, ``bundle.json`` last: if it exists, the bundle is complete."""
    if folder.is_dir():
        shutil.rmtree(folder)
    try:
        (folder / "golden").mkdir(parents=True)
        for name in sorted(files, key=lambda name: name == FACTS):
            write_whole(folder / name, files[name])
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)  # never leave an incomplete model
        raise
