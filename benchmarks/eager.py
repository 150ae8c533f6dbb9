"""The audiofw command with all libraries imported at start-up, as programs usually do: ``python eager.py --help``."""

import sys

import lightgbm  # noqa: F401
import matplotlib.pyplot  # noqa: F401
import sklearn.ensemble
import sklearn.metrics
import sklearn.model_selection  # noqa: F401
import xgboost  # noqa: F401
from librosa import feature, load  # noqa: F401  librosa imports lazily: this loads it, with numba

import audiofw.experiment.hydra_app
import audiofw.experiment.run  # noqa: F401
from audiofw.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
