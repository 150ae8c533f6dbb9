"""What libraries keep to themselves is read in one function each, and a release that moves it fails here by name."""

import ast
import io
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from audiofw.bundle.onnx.converters import measured_gamma, remembered_rows
from audiofw.contract.schema import Option, make_schema
from audiofw.evaluation.fit import is_out_of_range
from audiofw.experiment.tune.search import returned
from audiofw.experiment.tune.space import declared_type, node_of
from audiofw.experiment.tune.study import running_trial

ROOT = Path(__file__).resolve().parents[1]
PLACES = {
    "_EndRecData": "audiofw/data/archive.py: _find_directory",
    "_ConfigAliases": "plugins/models/lightgbm.py: _known",
    "_fit_X": "audiofw/bundle/onnx/converters.py: remembered_rows",
    "_gamma": "audiofw/bundle/onnx/converters.py: measured_gamma",
    "_get_all_param_aliases": "plugins/models/lightgbm.py: _known",
    "_get_node": "audiofw/experiment/tune/space.py: node_of",
    "_internal": "audiofw/experiment/hydra_copies.py: ",  # tests/experiment/test_hydra_copies.py
    "_metadata": "audiofw/experiment/tune/space.py: declared_type",
    "_proc_builtin": "audiofw/data/archive.py: _proc_sparse",
    "_return_value": "audiofw/experiment/tune/search.py: returned",
    "_trial_id": "audiofw/experiment/tune/study.py: running_trial",
    "_y": "audiofw/bundle/onnx/converters.py: remembered_rows",
}
"""Each private name of a library, and the function that reads it: it is to be tested below."""

OF_PYTHON = {"_asdict", "_exit", "_fields", "_getframe", "_make", "_replace"}
MOVED = "this release of its library has moved what {} reads"


def foreign_names(file: Path) -> Iterator[tuple[str, str]]:
    """List the private names that a file reads of others' objects and modules, each with the function around it."""
    tree = ast.parse(file.read_text())
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    own |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}
    own |= {ast.unparse(node.target) for node in ast.walk(tree) if isinstance(node, ast.AnnAssign)}

    def search(node: ast.AST, function: str) -> Iterator[tuple[str, str]]:
        inside = node.name if isinstance(node, ast.FunctionDef) else function
        names = [node.attr] if isinstance(node, ast.Attribute) else []
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            names = [part for module in modules for part in module.split(".")]
        yield from ((name, inside) for name in names if name.startswith("_") and not name.startswith("__"))
        for child in ast.iter_child_nodes(node):
            yield from search(child, inside)

    return ((name, inside) for name, inside in search(tree, "") if name not in own | OF_PYTHON)


def test_every_private_name_of_a_library_is_read_in_one_function():
    files = [file for folder in ("audiofw", "plugins") for file in (ROOT / folder).rglob("*.py")]
    found = {
        (name, f"{file.relative_to(ROOT).as_posix()}: {inside}")
        for file in files
        for name, inside in foreign_names(file)
    }
    assert found == set(PLACES.items())


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray]:
    y = np.repeat([2, 5], 10)
    return np.random.default_rng(0).normal(size=(20, 3)) + y[:, None], y


def test_zipfile_says_where_a_directory_ends_and_how_long_it_is():
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        file.writestr("a", b"")
    end = zipfile._EndRecData(data)
    assert (end[0], end[5], end[9]) == (b"PK\5\6", 47, len(data.getvalue()) - 22), MOVED.format("_find_directory")
    assert zipfile._EndRecData(io.BytesIO(b"no zip")) is None


def test_tarfile_reads_sparse_files_with_methods_that_are_replaced():
    names = {"_block", "_proc_sparse", "_proc_gnusparse_10", "_proc_builtin"}
    assert names <= vars(tarfile.TarInfo).keys(), MOVED.format("_TarHeader")


def test_scikit_learn_tells_an_option_out_of_range_by_the_name_of_its_error(rows):
    with pytest.raises(ValueError, match="'C' parameter") as refusal:
        LogisticRegression(C=-1.0).fit(*rows)
    assert is_out_of_range(refusal.value), MOVED.format("is_out_of_range")
    assert not is_out_of_range(ValueError("of another kind"))


def test_svc_keeps_the_gamma_that_it_measured(rows):
    svc = SVC(gamma="scale").fit(*rows)
    assert hasattr(svc, "_gamma"), MOVED.format("measured_gamma")
    assert measured_gamma(svc) == pytest.approx(1 / (3 * rows[0].var()))
    assert measured_gamma(SVC(gamma=0.25).fit(*rows)) == 0.25


def test_nearest_neighbours_keep_the_rows_and_the_numbers_of_their_classes(rows):
    knn = KNeighborsClassifier(algorithm="brute").fit(*rows)
    assert hasattr(knn, "_fit_X"), MOVED.format("remembered_rows")
    assert hasattr(knn, "_y"), MOVED.format("remembered_rows")
    X, codes = remembered_rows(knn)
    np.testing.assert_array_equal(X, rows[0])
    np.testing.assert_array_equal(codes, np.repeat([0, 1], 10))


def test_omegaconf_tells_the_declared_type_of_an_option_without_a_value():
    schema = make_schema("schema", [Option("n", int), Option("share", float, 0.5), Option("depth", int | None, None)])
    section = OmegaConf.structured(schema)
    assert hasattr(section, "_get_node"), MOVED.format("node_of")
    assert OmegaConf.is_missing(section, "n")
    assert [declared_type(node_of(section, key)) for key in ("n", "share", "depth")] == [int, float, int]
    assert node_of(section, "stranger") is None


def test_hydra_keeps_what_a_job_has_returned_or_raised(capsys):
    done, failed = JobReturn(status=JobStatus.COMPLETED), JobReturn(status=JobStatus.FAILED)
    done.return_value, failed.return_value = 0.5, ValueError("no")
    assert "_return_value" in vars(done), MOVED.format("returned")
    assert returned(done) == 0.5
    assert str(returned(failed)) == "no"
    assert capsys.readouterr().err == ""


def test_optuna_takes_up_a_running_trial_by_its_number():
    optuna = pytest.importorskip("optuna")
    study = optuna.create_study()
    asked = [study.ask() for _ in range(3)]
    assert hasattr(study.get_trials()[1], "_trial_id"), MOVED.format("running_trial")
    trial = running_trial(study, 1)
    trial.report(0.25, step=1)
    assert study.get_trials()[1].intermediate_values == {1: 0.25}
    assert [trial.number, len(study.trials)] == [asked[1].number, 3]


def test_lightgbm_tells_the_other_names_of_its_options():
    from audiofw.contract.registry import load_menus

    plugin = load_menus().plugins["model"]["lightgbm"].function
    known = plugin.__globals__["_known"]()
    assert {"num_leaves", "feature_fraction", "sub_feature", "bagging_fraction"} <= known, MOVED.format("_known")
    assert "num_leavse" not in known


def test_no_expression_stands_alone_for_its_effect():
    values = ast.IfExp | ast.BoolOp | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp | ast.Subscript
    files = [file for folder in ("audiofw", "plugins", "tests") for file in (ROOT / folder).rglob("*.py")]
    found = [
        f"{file.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}"
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Expr) and isinstance(node.value, values)
    ]
    assert not found, "\n".join(found)
