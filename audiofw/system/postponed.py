"""Put off imports that libraries make without need, until something is used; for our own command only.

scikit-learn imports all of scipy.stats, and pandas where that is installed: more than half of its time to import, for a
handful of functions and a type to compare with. Here, those modules stand in sys.modules as modules that import the
real one when anything in them is used. What the libraries themselves take from them at import is a `Later`, which does
the same when it is called, looked into or subclassed; it has no instances as long as the real module is not imported.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from inspect import currentframe
from threading import Lock
from types import CodeType, FrameType, ModuleType
from typing import Any

POSTPONED = {"numpy.f2py", "numpy.testing", "pandas", "scipy.integrate", "scipy.interpolate", "scipy.stats"}
LIBRARIES = ("lightgbm.", "narwhals.", "scipy._lib.", "sklearn.", "xgboost.")
"""Those that import them without need; everyone else who uses them gets what is real."""
REFUSED = {"pytest": "sklearn.utils._testing"}
"""Modules that a module marks its own tests with, and does without if they are not installed."""

_lock = Lock()


class Later:
    """Something in a module that is not imported yet."""

    def __init__(self, module: str, name: str) -> None:
        self._place = module, name

    def _get(self) -> Any:
        module, name = self._place
        return getattr(_real(module), name)

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self._get()(*args, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._get(), name)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        return (self._get(),)

    def __instancecheck__(self, instance: Any) -> bool:
        return not _is_postponed(self._place[0]) and isinstance(instance, self._get())

    def __subclasscheck__(self, cls: type) -> bool:
        return not _is_postponed(self._place[0]) and issubclass(cls, self._get())


class _Postponed(ModuleType):
    def __getattr__(self, name: str) -> Any:
        frame = _asking_frame()
        if _importing(frame.f_code) and "_made" in vars(self):  # a module inside this one
            return getattr(_real(self.__name__), name)
        if name.startswith("__"):
            raise AttributeError(name)
        asks = str(frame.f_globals.get("__name__"))
        return Later(self.__name__, name) if asks.startswith(LIBRARIES) else getattr(_real(self.__name__), name)


def _is_postponed(name: str) -> bool:
    return isinstance(sys.modules.get(name, None), _Postponed)


def _real(name: str) -> ModuleType:
    """Import a module really."""
    with _lock:
        if _is_postponed(name):
            parent, _, child = name.rpartition(".")
            if parent and isinstance(vars(sys.modules[parent]).get(child), _Postponed):
                delattr(sys.modules[parent], child)
            del sys.modules[name]
            for finder in [finder for finder in sys.meta_path if isinstance(finder, _Finder)]:
                finder.names.discard(name)
    return importlib.import_module(name)


class _Finder:
    """Finds stand-ins for the postponed modules, those that are installed; and no module that is refused."""

    def __init__(self) -> None:
        self.names = POSTPONED - sys.modules.keys()

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        if name in REFUSED and _importer() == REFUSED[name]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        if name in self.names and str(_importer()).startswith((*LIBRARIES, "numpy", "scipy")) and _exists(name, path):
            return ModuleSpec(name, self)  # type: ignore[arg-type]
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Postponed(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        vars(module)["_made"] = True  # from now on, the import system asks for what is inside


def _exists(name: str, path: Sequence[str] | None) -> bool:
    from importlib.machinery import PathFinder

    return PathFinder.find_spec(name, path) is not None


def _importer() -> str | None:
    """Name the module that is importing another."""
    frame = _asking_frame().f_back
    while frame and _importing(frame.f_code):
        frame = frame.f_back
    return frame.f_globals.get("__name__") if frame else None


def _asking_frame() -> FrameType:
    """Return the frame that called the function that calls this."""
    here: Any = currentframe()
    return here.f_back.f_back


def _importing(code: CodeType) -> bool:
    return "importlib" in code.co_filename


@contextmanager
def postponed_imports() -> Iterator[None]:
    """Put the imports off in this context; what was put off is still imported when it is used afterwards."""
    finder: Any = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
