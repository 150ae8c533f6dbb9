"""audiofw works from the wheel, from a checkout and from any working directory; installed plugins are found."""

import os
import site
import subprocess
import sys
import textwrap
import tomllib
import venv
import zipfile
from contextlib import chdir
from pathlib import Path

import hatchling.build
import pytest

from audiofw.system.versions import ANSWERS, FIGURES

ROOT = Path(__file__).resolve().parents[1]


PLUGIN = """
    import numpy as np
    from audiofw import hookimpl

    @hookimpl
    def register_features(register):
        register(loudness)

    @hookimpl
    def register_models(register):
        register(bayes)

    def loudness(y, sr, *, hop_length: int = 512):
        "Level of each frame."
        return np.array([[np.abs(y[i : i + hop_length]).mean() for i in range(0, len(y), hop_length)]])

    def bayes(seed, *, var_smoothing: float = 1e-9):
        "Naive Bayes with Gaussians."
        from sklearn.naive_bayes import GaussianNB

        return GaussianNB(var_smoothing=var_smoothing)
"""

PROJECT = """
    [project]
    name = "audiofw-loudness"
    version = "1.0"
    [project.entry-points.audiofw]
    loudness = "audiofw_loudness"
    [build-system]
    requires = ["hatchling"]
    build-backend = "hatchling.build"
    [tool.hatch.build.targets.wheel]
    include = ["audiofw_loudness.py"]
"""


def clean_environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "AUDIOFW_PLUGINS"))}


def build_wheel(project: Path, folder: Path) -> Path:
    """Build the wheel offline, in this process, as a frontend does with the build requirements of this environment."""
    with chdir(project):
        return folder / hatchling.build.build_wheel(str(folder))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    return build_wheel(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def plugin(tmp_path_factory) -> Path:
    """Build a package that brings plugins."""
    project = tmp_path_factory.mktemp("plugin")
    (project / "audiofw_loudness.py").write_text(textwrap.dedent(PLUGIN))
    (project / "pyproject.toml").write_text(textwrap.dedent(PROJECT))
    return build_wheel(project, project)


@pytest.fixture(scope="module")
def fresh(wheel, plugin, tmp_path_factory) -> Path:
    """Create an environment with audiofw and a plugin from their wheels, and the libraries of this environment."""
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    venv.create(folder)
    (here,) = (folder / "lib").glob("python*/site-packages")
    pip = [sys.executable, "-m", "pip", "--python", folder / "bin" / "python"]
    subprocess.run([*pip, "install", "-q", "--no-deps", wheel, plugin], check=True, env=clean_environment())
    # a plain path, unlike a site folder, does not run the .pth files of editable installs
    (here / "libraries.pth").write_text("\n".join(site.getsitepackages()))
    return folder / "bin"


def run(*words: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**clean_environment(), **environment}
    return subprocess.run([str(word) for word in words], cwd=cwd, env=env, capture_output=True, text=True)


def test_the_wheel_holds_configs_and_plugins(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    templates = ("run.html", "style.css", "script.js")
    for file in (
        "py.typed",
        "conf/config.yaml",
        "conf/experiment/article.yaml",
        "plugins/features/mel.py",
        "plugins/models/lightgbm.py",
        *(f"report/templates/{name}" for name in templates),
        "kit/templates/feature.py.jinja",
        "kit/templates/licences/MIT.jinja",
    ):
        assert f"audiofw/{file}" in names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/"))]


def test_an_installed_wheel_runs_anywhere(fresh, tmp_path):
    done = run(fresh / "audiofw", "data.limit=8", "hydra.run.dir=run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run/report.html").exists(), done.stderr
    assert "accuracy" in done.stdout
    where = run(fresh / "python", "-c", "import audiofw; print(audiofw.__file__)", cwd=tmp_path).stdout
    assert where.startswith(str(fresh.parent))


def test_a_checkout_runs_from_another_folder(tmp_path):
    done = run(sys.executable, "-m", "audiofw", "plugins", cwd=tmp_path, PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stderr
    assert "lightgbm" in done.stdout


def test_an_installed_plugin_is_on_the_menus_complete_validated_and_runs(fresh, tmp_path):
    menus = run(fresh / "audiofw", "plugins", cwd=tmp_path).stdout
    assert "audiofw-loudness 1.0" in menus
    query = run(fresh / "audiofw", "-sc", "query=bash", cwd=tmp_path, COMP_LINE="audiofw feature=lou")
    assert "feature=loudness" in query.stdout
    words = ["feature=loudness", "model=bayes", "audit=false", "report=false", "data.limit=8"]
    done = run(fresh / "audiofw", *words, "feature.hop_length=256", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    refused = run(fresh / "audiofw", *words, "feature.hop_lenght=256", cwd=tmp_path)
    assert refused.returncode == 2
    assert "(did you mean 'feature.hop_length'?)" in refused.stderr


def test_the_versions_that_a_run_records_are_of_real_requirements():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    models = project["optional-dependencies"]["catboost"]
    required = {line.split(">=")[0] for line in [*project["dependencies"], *models]}
    assert {*FIGURES, *ANSWERS} <= required
