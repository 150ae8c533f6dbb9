"""The command with every library imported at the start, as programs commonly do: ``python eager.py --help``."""

import sys

import lightgbm  # noqa: F401
import matplotlib.pyplot  # noqa: F401
import sklearn.ensemble
import sklearn.metrics
import sklearn.model_selection  # noqa: F401
import xgboost  # noqa: F401
from librosa import feature, load  # noqa: F401  librosa itself is lazy: this makes it, and numba, load

import audiofw.experiment.hydra_app
import audiofw.experiment.run  # noqa: F401
from audiofw.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
