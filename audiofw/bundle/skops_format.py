"""Read and write plain models in skops's own format, without importing skops, which imports all of scikit-learn.

Plain are dictionaries, lists, tuples, numbers, texts and arrays, and estimators whose attributes are plain: those of
`audiofw.learn`, and those of scikit-learn that `audiofw.bundle.trust` lists. What holds anything else is left to skops.
"""

from __future__ import annotations

import importlib
import io
import json
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np

from audiofw.bundle.trust import NamedType, is_trusted

PROTOCOL = 2  # of skops: what it calls its format
SCALARS = (bool, float, int, str, type(None))
PLAIN = {
    "DictNode": {"builtins.dict"},
    "JsonNode": {"builtins.str"},  # whatever the type of the value
    "ListNode": {"builtins.list"},
    "TupleNode": {"builtins.tuple"},
    "TypeNode": {"builtins.str"},  # of keys
}
"""What the loaders of plain files may create, besides estimators and arrays, for which there are `trust`'s lists."""


class NotPlainError(Exception):
    """Something is not plain."""


def dump_plain(held: Any, version: str) -> bytes:
    """Write a plain object as a skops file.

    Parameters
    ----------
    held : object
    version : str
        Of skops, which the file names as its writer.

    Raises
    ------
    NotPlainError
        If skops is needed.
    """
    arrays: dict[str, bytes] = {}
    schema = _Writer(arrays).write(held)
    data = io.BytesIO()
    with ZipFile(data, "w", ZIP_DEFLATED) as file:
        for name, content in arrays.items():
            file.writestr(name, content)
        file.writestr("schema.json", json.dumps({**schema, "protocol": PROTOCOL, "_skops_version": version}))
    return data.getvalue()


class _Writer:
    """Numbers the objects, so that one that is held in two places is loaded as one."""

    def __init__(self, arrays: dict[str, bytes]) -> None:
        self._arrays = arrays
        self._held: dict[int, tuple[int, Any]] = {}  # keeps what is made on the way, so that no id is used twice

    def write(self, held: Any) -> dict[str, Any]:
        number, _ = self._held.setdefault(id(held), (1 + len(self._held), held))
        return {**self._write(held, number), "__id__": number}

    def _write(self, held: Any, number: int) -> dict[str, Any]:
        kind = type(held)
        if kind in SCALARS:
            return {**_named(str, "JsonNode"), "content": json.dumps(held), "is_json": True}
        if kind in (list, tuple):
            return {**_named(kind, f"{kind.__name__.title()}Node"), "content": [self.write(each) for each in held]}
        if kind is dict:
            if not all(type(key) is str for key in held):
                raise NotPlainError("keys that are not texts")
            content = {key: self.write(value) for key, value in held.items()}
            types = [{**_named(str, "TypeNode"), "__id__": 0} for _ in held]
            key_types = {**_named(list, "ListNode"), "content": types, "__id__": 0}
            return {**_named(dict, "DictNode"), "content": content, "key_types": key_types}
        if isinstance(held, np.generic) or (kind is np.ndarray and not held.dtype.hasobject):
            return self._write_array(held, number)
        if not _is_estimator(f"{kind.__module__}.{kind.__qualname__}"):
            raise NotPlainError(kind.__qualname__)
        return {**_named(kind, "ObjectNode"), "content": self.write(held.__getstate__())}

    def _write_array(self, held: Any, number: int) -> dict[str, Any]:
        data, name = io.BytesIO(), f"{number}.npy"
        np.save(data, held, allow_pickle=False)
        self._arrays[name] = data.getvalue()
        return {**_named(type(held), "NdArrayNode"), "type": "numpy", "file": name}


def _named(kind: type, loader: str) -> dict[str, Any]:
    return {"__class__": kind.__name__, "__module__": kind.__module__, "__loader__": loader}


def _is_estimator(name: str) -> bool:
    return is_trusted(NamedType("ObjectNode", name), set(), parts=False)


def load_plain(data: bytes) -> Any:
    """Load an object from a skops file in which only trusted types are named; see `audiofw.bundle.trust`.

    Raises
    ------
    NotPlainError
        If skops is needed; nothing has been created then.
    """
    with ZipFile(io.BytesIO(data)) as file:
        schema = json.loads(file.read("schema.json"))
        if schema.get("protocol") != PROTOCOL:
            raise NotPlainError("another protocol")
        _check_plain(schema)
        return _Reader(file).read(schema)


def _check_plain(node: Any) -> None:
    todo = [node]
    while todo:
        node = todo.pop()
        loader, name = node["__loader__"], f"{node['__module__']}.{node['__class__']}"
        if loader == "NdArrayNode":
            if node["type"] != "numpy":
                raise NotPlainError("an array of objects")
        elif not (_is_estimator(name) if loader == "ObjectNode" else name in PLAIN.get(loader, ())):
            raise NotPlainError(name)
        if loader == "DictNode":
            todo += [*node["content"].values(), node["key_types"]]
        elif loader in ("ListNode", "TupleNode"):
            todo += node["content"]
        elif loader == "ObjectNode":
            todo.append(node["content"])


class _Reader:
    def __init__(self, file: ZipFile) -> None:
        self._file = file
        self._made: dict[Any, Any] = {}

    def read(self, node: dict[str, Any]) -> Any:
        number = node.get("__id__")
        if not number:
            return self._make(node)
        if number not in self._made:
            self._made[number] = self._make(node)
        return self._made[number]

    def _make(self, node: dict[str, Any]) -> Any:
        loader: str = node["__loader__"]
        content: Any = node.get("content")
        if loader == "JsonNode":
            return json.loads(content)
        if loader == "DictNode":
            return {key: self.read(value) for key, value in content.items()}
        if loader in ("ListNode", "TupleNode"):
            return (list if loader == "ListNode" else tuple)([self.read(each) for each in content])
        if loader == "NdArrayNode":
            array = np.load(io.BytesIO(self._file.read(node["file"])), allow_pickle=False)
            return array if node["__class__"] == "ndarray" else getattr(np, node["__class__"])(array)
        return self._make_estimator(node)

    def _make_estimator(self, node: dict[str, Any]) -> Any:
        """Create an object without calling its class, as skops and pickle do, and set its attributes."""
        cls = getattr(importlib.import_module(node["__module__"]), node["__class__"])
        made = cls.__new__(cls)
        state = self.read(node["content"])
        if hasattr(made, "__setstate__"):
            made.__setstate__(state)
        else:
            vars(made).update(state or {})
        return made
