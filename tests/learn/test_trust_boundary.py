"""`audiofw.learn` is the trust boundary of model bundles: its code can only compute.

A bundle from an untrusted source may name any class of this package. skops then creates an object of that class with
attributes that the file gives. The list of trusted types (`audiofw.bundle.trust`) holds the whole package, so what
must not happen when a stranger's file is loaded must not be possible here: opening a file, importing by name, running
text, unpickling, starting a process, or speaking to a network.
"""

import ast
from pathlib import Path

import pytest

from audiofw import learn

SOURCES = sorted(Path(learn.__file__).parent.rglob("*.py"))

LIBRARIES = {
    "__future__",
    "collections",
    "itertools",
    "numpy",
    "scipy",
    "sklearn",
    "threadpoolctl",
    "typing",
    "warnings",
}
"""What `audiofw.learn` may import beside itself and the errors. Before a name is added: what can it open or run?"""

NAMES = {"from lightgbm": {"early_stopping"}, "from catboost": {"Pool"}}
"""Names alone of libraries that read files otherwise; each is used by a fit, which no file starts."""

CALLS = {
    "__import__",
    "breakpoint",
    "compile",
    "delattr",
    "eval",
    "exec",
    "globals",
    "input",
    "locals",
    "open",
    "setattr",
}

ATTRIBUTES = {
    *("ctypeslib", "dump", "dumps", "fromfile", "fromregex", "genfromtxt", "load", "loads", "loadtxt", "memmap"),
    *("open", "open_memmap", "save", "savetxt", "savez", "savez_compressed", "tofile"),  # numpy's ways to files
    *("datasets", "externals", "io", "joblib", "lib"),  # parts of numpy, scipy and scikit-learn that open files
    *("__builtins__", "__globals__", "__loader__", "__subclasses__"),
}

METHODS = {"__del__", "__getstate__", "__init_subclass__", "__new__", "__reduce__", "__reduce_ex__", "__setstate__"}
"""Methods that would run while an object is made from what a file says."""


def dangers(source: str) -> list[str]:
    """List what of some source text could do more than calculate."""
    return [found for node in ast.walk(ast.parse(source)) if (found := danger_of(node))]


def danger_of(node: ast.AST) -> str:
    match node:
        case ast.Import(names=names):
            return next((name.name for name in names if not may_be_imported(name.name)), "")
        case ast.ImportFrom(module=module, names=names, level=level):
            imported, where = {name.name for name in names}, f"from {module}"
            if level or not (may_be_imported(module or "") or imported <= NAMES.get(where, set())):
                return where
            return where if {*(module or "").split("."), *imported} & ATTRIBUTES else ""
        case ast.Name(id=name) if name in CALLS | {"__builtins__", "__loader__"}:
            return name
        case ast.Attribute(attr=name) if name in ATTRIBUTES:
            return f".{name}"
        case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Constant(), *_]):
            return ""
        case ast.Call(func=ast.Name(id="getattr")):
            return "getattr of a name that is not written out"
        case ast.FunctionDef(name=name) if name in METHODS:
            return f"def {name}"
    return ""


def may_be_imported(module: str) -> bool:
    return module.partition(".")[0] in LIBRARIES or module == "audiofw.errors" or module.startswith("audiofw.learn.")


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: file.stem)
def test_a_module_of_learn_can_only_calculate(file):
    assert dangers(file.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        *(
            "import os",
            "import os.path",
            "from pathlib import Path",
            "import subprocess, numpy",
            "import numpy, socket",
        ),
        *("from shutil import rmtree", "import pickle", "import importlib", "from audiofw.system import paths"),
        *("from . import steps", "from numpy import load", "from numpy.lib import format", "import scipy.io, joblib"),
        *("open('x')", "f = open", "eval('1')", "exec('x = 1')", "compile('1', '', 'eval')", "__import__('os')"),
        *("np.load('x')", "X.tofile('x')", "scipy.io.loadmat('x')", "getattr(np, 'lo' + 'ad')('x')"),
        *("class A:\n def __setstate__(self, state): ...", "f.__globals__", "object.__subclasses__()"),
        *("def f():\n from sklearn.datasets import fetch_openml", "from catboost import Pool, CatBoost"),
    ],
)
def test_what_could_do_more_is_recognised(source):
    assert dangers(source)
