"""Load the model of a run; only code that is installed here and known by name is executed."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Annotated, Any
from zipfile import BadZipFile, ZipFile

import numpy as np
from annotated_types import Interval, MaxLen

from audiofw.bundle.files import read_bundle
from audiofw.bundle.known import is_known, make_known
from audiofw.bundle.model import Model
from audiofw.bundle.needed import find_needed, read_needed
from audiofw.bundle.operating import read_points
from audiofw.bundle.skops_format import NotPlainError, load_plain
from audiofw.bundle.trees import check_trees, walk_model
from audiofw.bundle.trial import try_elsewhere
from audiofw.bundle.trust import check_parts, only_trusted
from audiofw.bundle.versions import version_differences
from audiofw.config.options import Audio, Pad, Windows, build_section
from audiofw.contract.combined import OWN_AUDIO, Join, Member, combine_members
from audiofw.contract.menus import Menus
from audiofw.contract.plugin import Choice
from audiofw.contract.registry import Origin, load_menus
from audiofw.contract.schema import Option, check
from audiofw.errors import AudiofwError, ConfigError, DataError, PluginError, first_line
from audiofw.evaluation.unknown import read_reference
from audiofw.extraction.joined import JoinedUnit
from audiofw.extraction.padding import PadValue
from audiofw.extraction.recording import Unit, row_code
from audiofw.extraction.table import unit_for
from audiofw.version import __version__

log = logging.getLogger(__name__)

FORMAT = 3  # 1: before the modules were put into packages; 2: before labels in time, several labels and typicality
MODEL = "model.skops"
KINDS = ("feature", "pooling", "model")
FACTS = (
    Option("columns", Annotated[int, Interval(ge=1, le=10**8)] | None),
    Option("widths", Annotated[list[Annotated[int, Interval(ge=1, le=10**8)]], MaxLen(100)] | None),
    Option("classes", Annotated[list[str], MaxLen(10**6)]),
    Option("conformity", Annotated[list[Annotated[float, Interval(ge=0, le=1)]], MaxLen(10**7)] | None),
)
"""What prediction takes from ``bundle.json``, apart from options, and its ranges."""


def load_model(path: str | PathLike[str]) -> Model:
    """Load the model that a run has saved.

    Parameters
    ----------
    path : path
        The run's folder, the folder ``model`` in it, or a zip of either.

    Returns
    -------
    Model
        With ``predict``, ``predict_proba``, ``predict_set`` and ``classes_``.

    Raises
    ------
    DataError
        If it is not a model bundle, was changed, or contains a type that is not trusted.
    PluginError
        If it needs a plugin that is not installed.

    Notes
    -----
    No code that a bundle contains or names is run. A bundle that was not written on this machine is first tried in a
    process of its own, since a damaged or hostile file may crash the compiled code of the libraries that parse it.

    Examples
    --------
    >>> import audiofw
    >>> model = audiofw.load_model("run")
    >>> model.classes_.tolist()
    ['cat', 'dog']
    >>> model.predict(["pets/cat/0.wav", "pets/dog/0.wav"]).tolist()
    ['cat', 'dog']
    """
    return read_model(*read_bundle(Path(path).expanduser()), where=str(path))


def read_model(facts: Mapping[str, Any], files: Mapping[str, bytes], where: str, *, tried: bool = False) -> Model:
    """Build the model from a bundle's content; see `load_model`.

    Parameters
    ----------
    facts, files
        As `read_bundle` returns them.
    where : str
        Where they are from, for error messages.
    tried : bool
        Whether it may be loaded without being tried in another process.
    """
    try:
        _check_format(facts["format"], where)
        return _make(facts, files, where, tried or is_known(facts))
    except ConfigError as error:
        raise DataError(f"{where}: {error}") from error
    except KeyError as error:
        raise DataError(f"{where}: bundle.json lacks {error}: from another version of audiofw, or damaged") from error
    except (IndexError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{where}: bundle.json is invalid: {type(error).__name__}: {first_line(error)}") from error


def _check_format(found: Any, where: str) -> None:
    if found != FORMAT:
        earlier = isinstance(found, int) and found < FORMAT
        who, remedy = ("an earlier", "train again") if earlier else ("a later", "update audiofw")
        raise DataError(
            f"{where}: made by {who} audiofw, {remedy} (bundle format {found}; audiofw {__version__} reads {FORMAT})"
        )


def _make(facts: Mapping[str, Any], files: Mapping[str, bytes], where: str, tried: bool) -> Model:
    check("", {option.name: facts.get(option.name) for option in FACTS}, FACTS)
    _check_needed_later(facts)
    members = facts["feature"].get("members", [])
    saved = [facts[kind] for kind in KINDS] + [member[kind] for member in members for kind in ("feature", "pooling")]
    origins = [Origin(*plugin["origin"]) for plugin in saved if plugin and "origin" in plugin]
    menus = load_menus(only=[*origins, *(Origin(*origin) for origin in facts["made_of"])])
    found = partial(_choose, menus, files=files, where=where)
    choices = {"feature": _features(facts["feature"], found), "pooling": found("pooling", facts["pooling"])}
    pad = build_section(Pad, "pad", facts["pad"])
    unit = unit_of(facts, choices, pad.value)
    if not tried:
        trusted_types(files[MODEL], f"{where}: {MODEL}", menus.trusted)
        try_elsewhere(facts, files, where)
        make_known(facts)
    held = load_estimator(files[MODEL], f"{where}: {MODEL}", menus.trusted)
    classes = np.array(held["encoder"].classes_, dtype=str)
    if classes.tolist() != facts["classes"]:
        raise DataError(f"{where}: bundle.json and {MODEL} list different classes, refused")
    width = None if unit.pooling.learns else getattr(held["model"], "n_features_in_", facts["columns"])
    if facts["columns"] != width:
        raise DataError(f"{where}: bundle.json and {MODEL} have different numbers of columns, refused")
    _warn_of_differences(facts, menus, choices, where)
    return Model(unit, held["model"], classes, width, pad.value, facts, held.get("novelty"))


def _check_needed_later(facts: Mapping[str, Any]) -> None:
    """Read what only some commands use, so that a damaged bundle is refused here rather than in their midst."""
    for values in read_reference(facts.get("unknown")) or ():
        np.array(values, dtype=float)
    for rows in (facts.get("operating") or {}).values():
        read_points(rows)
    if not isinstance(facts["fitted_on"]["description"], str):
        raise TypeError("fitted_on has no description")


def unit_of(facts: Mapping[str, Any], choices: Mapping[str, Choice], pad_value: PadValue) -> Unit:
    """Build the unit that turns a recording into feature vectors."""
    build_section(Audio, "audio", facts["audio"])  # checks the values
    build_section(Windows, "windows", facts["windows"])
    unit = unit_for(facts["audio"], facts["windows"], pad_value, choices)
    return replace(unit, widths=tuple(facts["widths"])) if isinstance(unit, JoinedUnit) else unit


def _features(said: Mapping[str, Any], found: Callable[..., Choice]) -> Choice:
    """Find the plugin of the feature, or of each of several."""
    if "members" not in said:
        return found("feature", said)
    for member in said["members"]:
        check(f"feature.{member['name']}.audio", member["audio"], OWN_AUDIO)
    check("feature", {"join": said["join"]}, [Option("join", Join)])
    members = [
        Member(
            member["name"],
            found("feature", member["feature"]),
            member["pooling"] and found("pooling", member["pooling"]),
            **member["audio"],
        )
        for member in said["members"]
    ]
    return combine_members(said["name"], {}, members, said["join"])


def _choose(menus: Menus, kind: str, said: Mapping[str, Any], files: Mapping[str, bytes], where: str) -> Choice:
    """Find a plugin by the name and origin that the bundle gives, and the files that it needs."""
    origin = Origin(*said["origin"])
    if said["name"] not in menus.plugins[kind] and not any(b.name == said["name"] for b in menus.broken):
        remedy = {
            "package": f"pip install {origin.name}",
            "file": f"add --plugins-dir with the folder of {origin.name}.py",
        }.get(origin.kind, "another version of audiofw has it")
        lost = "".join(f"; not loaded: {broken.reason}" for broken in menus.broken)
        raise PluginError(f"{kind}={said['name']}: the model needs this plugin, which is not installed: {remedy}{lost}")
    choice = menus.choose(kind, {"name": said["name"], **_with_files(kind, said, files, where)})
    known = {file.option for file in read_needed(said)}
    for name, value in choice.arguments.items():
        paths = [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, Path)]
        if paths and name not in known:
            raise ValueError(f"{kind}.{name} names a file without its digest")
    return choice


def _with_files(kind: str, said: Mapping[str, Any], files: Mapping[str, bytes], where: str) -> dict[str, Any]:
    """Complete the options of a plugin by the files that they name, which are looked for on this machine."""
    found: dict[str, Any] = {}
    for file in read_needed(said):
        found.setdefault(file.option, []).append(str(find_needed(file, f"{kind}.{file.option}", where, files)))
    several = said.get("file_lists", [])
    return {**said["options"], **{name: paths if name in several else paths[0] for name, paths in found.items()}}


def load_estimator(data: bytes, where: str, plugins: set[str]) -> Any:
    """Load an object from a skops file that contains only trusted types.

    Parameters
    ----------
    data : bytes
    where : str
        Where the data is from, for error messages.
    plugins : set of str
        Classes that plugins register, by their full name.

    Raises
    ------
    DataError
        For any other type, which is named, and for a file that is damaged or not a skops file.
    """
    trusted = trusted_types(data, where, plugins)
    with _one_line(where), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about versions, which are compared in our own warning
        try:
            held = load_plain(data)
        except NotPlainError:
            from skops.io import loads

            held = loads(data, trusted=trusted)
        check_trees(held, where)
    return _calm(held)


def trusted_types(data: bytes, where: str, plugins: set[str]) -> list[str]:
    """List the types in a skops file, or refuse it; see `load_estimator`. Nothing in it is imported or created."""
    if not data.startswith(b"PK"):
        kind = "a pickle, which runs code when it is loaded" if data.startswith(b"\x80") else "not a skops file"
        raise DataError(f"{where}: {kind}, refused")
    with _one_line(where):
        check_parts(io.BytesIO(data), where)
        with ZipFile(io.BytesIO(data)) as file:
            return only_trusted(file, where, plugins)


@contextmanager
def _one_line(where: str) -> Iterator[None]:
    """Convert the exceptions of loading, of which a damaged file may cause any, to a DataError."""
    try:
        yield
    except AudiofwError:
        raise
    except (ImportError, BadZipFile) as error:
        raise DataError(f"{where}: {first_line(error)}") from error
    except Exception as error:
        raise DataError(f"{where}: cannot be loaded: {type(error).__name__}: {first_line(error)}") from error


def _calm(held: Any) -> Any:
    """Set ``n_jobs=1`` in every estimator: for a few clips, parallel prediction is not worthwhile."""
    for part, _ in walk_model(held):
        if "n_jobs" in getattr(part, "__dict__", ()):
            part.n_jobs = 1
    return held


def _warn_of_differences(facts: Mapping[str, Any], menus: Menus, choices: Mapping[str, Choice], where: str) -> None:
    """Warn in one line about versions that differ from those that the bundle was made with."""
    here = {
        f"{kind}={part.name}": (part.plugin, said)
        for kind, choice in choices.items()
        for part, said in zip(choice.parts(), _saved_parts(facts[kind]), strict=True)
    }
    if model := menus.plugins["model"].get(facts["model"]["name"]):
        here[f"model={model.name}"] = (model, facts["model"])
    if found := version_differences(facts, here, row_code()):
        log.warning("%s: made with %s: predictions may differ, check with audiofw verify", where, "; ".join(found))


def _saved_parts(said: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """List what a bundle says of the plugins in a choice, in the order of `Choice.parts`."""
    if "members" not in said:
        return [said]
    return [member[kind] for member in said["members"] for kind in ("feature", "pooling") if member[kind]]
