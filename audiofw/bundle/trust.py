"""The types that a bundle's model may contain: a fixed list, which plugins extend; any other type is refused by name.

skops stores a model as a tree of named types and, unlike pickle, no code. What happens with a name depends on the
*loader* that the file gives with it, so each loader has its own list here. Nothing in a file can extend these lists.

So no code runs that a file names. One risk remains: LightGBM, XGBoost and CatBoost read models of their own formats in
compiled code, and malicious bytes can crash that. A bundle that is not known here is therefore tried in another process
first (`audiofw.bundle.trial`). scikit-learn's trees are checked in any case (`audiofw.bundle.trees`).
"""

from __future__ import annotations

import functools
import importlib
import json
from collections.abc import Iterable
from typing import Any, BinaryIO, NamedTuple
from zipfile import ZipFile

from audiofw.data.archive import lists_more_than
from audiofw.errors import DataError

OLDEST_PROTOCOL = 2  # of skops: older ones would be read by older, less strict code
LARGEST = 4 * 2**30  # largest uncompressed size of a model, in bytes
TIGHTEST = 200  # largest ratio of that to its own size
MOST_PARTS = 200_000  # arrays of a model: a forest of a thousand trees has several thousand
OWN = "audiofw.learn."  # any class that is defined in this package


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _in(module: str, names: str) -> set[str]:
    return {f"{module}.{name}" for name in _names(names)}


PLAIN = _in("builtins", "bool bytearray bytes dict float int list set slice str tuple") | _in(
    "collections", "OrderedDict defaultdict"
)

NUMBERS = _in(
    "numpy",
    "bool bool_ float16 float32 float64 int8 int16 int32 int64 intc intp longlong str_ uint8 uint16 uint32 uint64",
)

ARRAYS = NUMBERS | _in("numpy", "dtype ndarray") | _in("numpy.ma", "MaskedArray")

CHANCE = (
    _in("numpy.random.mtrand", "RandomState")
    | _in("numpy.random._mt19937", "MT19937")
    | _in("numpy.random._generator", "Generator")
    | _in("numpy.random._pcg64", "PCG64")
)

ESTIMATORS = _names(
    """
    AdaBoostClassifier BaggingClassifier BernoulliNB CalibratedClassifierCV ColumnTransformer ComplementNB
    DecisionTreeClassifier DecisionTreeRegressor DummyClassifier ExtraTreeClassifier ExtraTreeRegressor
    ExtraTreesClassifier FastICA FeatureUnion FrozenEstimator GaussianMixture GaussianNB GaussianProcessClassifier
    GradientBoostingClassifier HistGradientBoostingClassifier IsotonicRegression KMeans KNeighborsClassifier
    KernelCenterer KernelPCA LabelBinarizer LabelEncoder LinearDiscriminantAnalysis LinearSVC LocalOutlierFactor
    LogisticRegression LogisticRegressionCV MLPClassifier MaxAbsScaler MinMaxScaler MiniBatchKMeans MultinomialNB
    NMF NearestCentroid Normalizer NuSVC OneVsOneClassifier OneVsRestClassifier PCA PassiveAggressiveClassifier
    Perceptron Pipeline PowerTransformer QuadraticDiscriminantAnalysis QuantileTransformer RadiusNeighborsClassifier
    RandomForestClassifier RidgeClassifier RidgeClassifierCV RobustScaler SGDClassifier SVC SelectFromModel
    SelectKBest SelectPercentile SimpleImputer StackingClassifier StandardScaler TruncatedSVD VarianceThreshold
    VotingClassifier
    """
)
"""The classes of scikit-learn that may be loaded; its public modules know where each is defined."""

PARTS = set().union(
    _in("catboost.core", "CatBoostClassifier"),
    _in("lightgbm.basic", "Booster"),
    _in("lightgbm.sklearn", "LGBMClassifier"),
    _in("xgboost.core", "Booster"),
    _in("xgboost.sklearn", "XGBClassifier XGBRFClassifier"),
    _in("sklearn.calibration", "_CalibratedClassifier _SigmoidCalibration _TemperatureScaling"),
    _in("sklearn.ensemble._hist_gradient_boosting.binning", "_BinMapper"),
    _in("sklearn.ensemble._hist_gradient_boosting.predictor", "TreePredictor"),
    _in("sklearn.gaussian_process._gpc", "_BinaryGaussianProcessClassifierLaplace"),
    _in("sklearn.gaussian_process.kernels", "ConstantKernel Product RBF Sum WhiteKernel"),
    _in("sklearn.metrics._dist_metrics", "EuclideanDistance64 ManhattanDistance64 MinkowskiDistance64"),
    _in("sklearn.multiclass", "_ConstantPredictor"),
    _in("sklearn.neighbors._ball_tree", "BallTree"),
    _in("sklearn.neighbors._kd_tree", "KDTree"),
    _in("sklearn.neural_network._stochastic_optimizers", "AdamOptimizer SGDOptimizer"),
    _in("sklearn.tree._tree", "Tree"),
    _in("sklearn.utils._bunch", "Bunch"),
    _in("sklearn._loss.link", "HalfLogitLink IdentityLink Interval LogLink LogitLink MultinomialLogit"),
    _in("sklearn._loss.loss", "ExponentialLoss HalfBinomialLoss HalfMultinomialLoss HalfSquaredError"),
)
"""Types that `ESTIMATORS` cannot list: models of other libraries, and parts of fitted estimators."""

LOSSES = _in(
    "sklearn._loss._loss", "CyExponentialLoss CyHalfBinomialLoss CyHalfMultinomialLoss CyHalfSquaredError"
) | _in("sklearn.linear_model._sgd_fast", "EpsilonInsensitive Hinge ModifiedHuber SquaredHinge")

FUNCTIONS = _in("sklearn.feature_selection._univariate_selection", "chi2 f_classif") | _in(
    "sklearn.feature_selection._mutual_info", "mutual_info_classif"
)

LOADERS: dict[str, set[str]] = {
    "BytearrayNode": PLAIN,
    "BytesNode": PLAIN,
    "DefaultDictNode": PLAIN,
    "DictNode": PLAIN | _in("sklearn.utils._bunch", "Bunch"),
    "DTypeNode": ARRAYS,
    "FunctionNode": FUNCTIONS,
    "JsonNode": PLAIN,
    "ListNode": PLAIN,
    "LossNode": LOSSES,
    "MaskedArrayNode": ARRAYS,
    "NdArrayNode": ARRAYS,
    "ObjectNode": PARTS,
    "RandomGeneratorNode": CHANCE,
    "RandomStateNode": CHANCE,
    "SetNode": PLAIN,
    "SliceNode": PLAIN,
    "TreeNode": _in("sklearn.tree._tree", "Tree"),
    "TupleNode": PLAIN,
    "TypeNode": PLAIN | NUMBERS,
}
"""What each of skops' loaders may create; other loaders (methods, operators, partial functions) are never used."""


class NamedType(NamedTuple):
    """A type named by a file, and the loader that would create it."""

    loader: str
    name: str


def names_in(node: Any) -> set[NamedType]:
    """List every type that a skops schema names, at any depth."""
    todo, found = [node], set()
    while todo:
        node = todo.pop()
        if isinstance(node, dict):
            if "__loader__" in node or "__class__" in node:
                found.add(NamedType(str(node.get("__loader__")), f"{node.get('__module__')}.{node.get('__class__')}"))
            todo.extend(each for each in node.values() if isinstance(each, (dict, list)))
        else:
            todo.extend(each for each in node if isinstance(each, (dict, list)))
    return found


def check_parts(data: BinaryIO, where: str) -> None:
    """Refuse a skops file of more parts than any model has, before zipfile reads the names of all of them."""
    if lists_more_than(MOST_PARTS, data):
        raise DataError(f"{where}: more than {MOST_PARTS} parts, refused")


def only_trusted(file: ZipFile, where: str, plugins: Iterable[str] = ()) -> list[str]:
    """Refuse a skops file that names a type that is not listed, before anything in it is imported or created.

    Parameters
    ----------
    file : ZipFile
        As ``skops.io.dump`` writes it.
    where : str
        Where the file is from, for error messages.
    plugins : iterable of str
        Classes that plugins register, by their full name.

    Returns
    -------
    list of str
        The listed types that the file contains: all that skops needs, which copies the list for each part of the file.

    Raises
    ------
    DataError
        For a type that is not listed, which is named.
    """
    if (size := sum(info.file_size for info in file.infolist())) > LARGEST:
        raise DataError(f"{where}: unpacks to more than {LARGEST // 2**30} GB, refused")
    if size > 2**20 + TIGHTEST * sum(info.compress_size for info in file.infolist()):
        raise DataError(f"{where}: unpacks to {size} bytes (zip bomb), refused")
    schema = json.loads(file.read("schema.json"))
    protocol = schema.get("protocol")
    if type(protocol) is not int or protocol < OLDEST_PROTOCOL:
        raise DataError(f"{where}: skops protocol {protocol} is not supported, only {OLDEST_PROTOCOL} and later")
    plugins, names = set(plugins), sorted(names_in(schema))
    for named in names:
        if not is_trusted(named, plugins):
            raise DataError(f"{where}: {_tell(named)}")
    return sorted({named.name for named in names})


def is_trusted(named: NamedType, plugins: set[str], *, parts: bool = True) -> bool:
    """Check whether a type is listed for its loader, registered by a plugin, or one of audiofw's own classes.

    ``parts=False`` does not count `PARTS`.
    """
    if parts and named.name in LOADERS.get(named.loader, ()):
        return True
    return named.loader == "ObjectNode" and (named.name in plugins or is_estimator(named.name) or _is_own(named.name))


@functools.cache
def is_estimator(full_name: str) -> bool:
    """Check whether a class is one of `ESTIMATORS`, defined where scikit-learn's public module has it from.

    Only that module is imported, not the one that is named: private modules may change between releases.
    """
    library, _, rest = full_name.partition(".")
    public, _, name = rest.partition(".")[0], "", full_name.rpartition(".")[2]
    if library != "sklearn" or name not in ESTIMATORS:
        return False
    import sklearn

    if public not in sklearn.__all__:
        return False
    try:
        found = getattr(importlib.import_module(f"sklearn.{public}"), name, None)
    except ImportError:  # a function
        return False
    return isinstance(found, type) and f"{found.__module__}.{found.__name__}" == full_name


def _is_own(name: str) -> bool:
    """Check whether a class is defined in a module of `audiofw.learn`, not just imported there."""
    if not name.startswith(OWN):
        return False
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except (ImportError, ValueError):
        return False
    return isinstance(found, type) and found.__module__ == module


def _tell(named: NamedType) -> str:
    return (
        f"contains {named.name} (as {named.loader}), which is not a trusted type, refused; "
        "plugins can add types with the hook register_trusted_types"
    )
