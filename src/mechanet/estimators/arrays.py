"""Where X lives: which namespace and device a fit computes in, and where its results go.

Everything follows X. A NumPy X (a list, a data frame, a sparse matrix) is read through scikit-learn's own checks
and its results are NumPy, whatever device computes them. An X of another array library stays where it is; with
scikit-learn's array API dispatch it passes scikit-learn's checks too, and without it ours, since NumPy cannot read
an array on a GPU.
"""

from typing import Any

import numpy as np
import sklearn
from scipy import sparse
from sklearn.base import is_regressor
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.validation import validate_data

import mechanet.backend


def dispatching() -> bool:
    """Whether scikit-learn's array API dispatch is on."""
    return bool(sklearn.get_config().get("array_api_dispatch", False))


def on_host(x: Any) -> Any:
    """`x` on the host if it is an array of another library; lists, data frames, sparse matrices as they are."""
    return x if x is None or not _foreign(x) else mechanet.backend.to_host(x)


def read(estimator, X, y=None, *, reset: bool, numeric_y: bool = False) -> tuple[Any, Any]:
    """Check X, where it lives, and y, which is brought to the host; set or compare the names of the features."""
    options: dict[str, Any] = {"accept_sparse": "csr", "dtype": _float_types(estimator, X), "reset": reset}
    y = on_host(y)
    if mechanet.backend.numpy_reads(X) or dispatching():
        return validate_data(estimator, X, y, multi_output=True, y_numeric=numeric_y, **options)
    _check_elsewhere(estimator, X, reset)
    if y is None:
        raise ValueError(f"This {type(estimator).__name__} estimator requires y to be passed. Received: y=None.")
    types = "numeric" if numeric_y else None
    y = check_array(y, accept_sparse="csr", ensure_2d=False, dtype=types, input_name="y")
    check_consistent_length(X, y)
    return X, y


def check_dense(estimator, y) -> None:
    """Refuse a sparse y that is not of several labels, as scikit-learn does."""
    if sparse.issparse(y) and (is_regressor(estimator) or y.shape[1] == 1):
        raise TypeError(
            "expected y as a dense array: only several labels may be sparse. "
            f"Received: y of type {type(y).__name__} and shape {y.shape}. Pass y.toarray()."
        )


def read_inputs(estimator, X, method: str) -> Any:
    """Check X as `method` receives it, against what `fit` received."""
    check_place(estimator, X, method)
    if mechanet.backend.numpy_reads(X) or dispatching():
        types = _float_types(estimator, X)
        return validate_data(estimator, X, accept_sparse="csr", dtype=types, reset=False)
    _check_elsewhere(estimator, X, reset=False)
    return X


def check_place(estimator, X, method: str) -> None:
    """With dispatch on, everything must be where X of the fit was, as scikit-learn wants it."""
    fitted = getattr(estimator, "_place", None)
    if dispatching() and fitted is not None and place_name(X) != fitted:
        raise ValueError(
            f"Inputs passed to {type(estimator).__name__}.{method}() must use the same namespace and the same "
            f"device as those passed to fit(). During fit they were {fitted}. Received: {place_name(X)}."
        )


def place_name(X) -> str:
    """The namespace of X and its device, in words; "cpu" for everything on the host that NumPy reads."""
    return mechanet.backend.backend_of(X).name


def dtype_of(X) -> str:
    """The name of the floating type of X; float64 for other types."""
    name = str(X.dtype).rpartition(".")[2]
    return name if name in mechanet.backend.DTYPES else "float64"


def take(X, rows):
    """The rows of X with the numbers `rows` (host), where X lives."""
    if not _foreign(X):
        return X[rows]
    home = mechanet.backend.backend_of(X)
    return home.xp.take(X, home.asarray(rows), axis=0)


def follow(result, X):
    """A host array, such as labels, where X lives; text stays on the host, since only NumPy has text."""
    if not _foreign(X) or result.dtype.kind not in "biuf":
        return result
    return mechanet.backend.backend_of(X).asarray(result)


def namespace(X):
    """The namespace that results for X are computed with."""
    return mechanet.backend.backend_of(X).xp


def _foreign(x) -> bool:
    """Whether x is an array of another library than NumPy."""
    return mechanet.backend.backend_of(x) is not mechanet.backend.NUMPY


def _float_types(estimator, X) -> list:
    xp = namespace(X) if dispatching() else np
    if estimator.dtype is not None:
        return [getattr(xp, mechanet.backend.check_dtype(estimator.dtype))]
    return [xp.float64, xp.float32]


def _check_elsewhere(estimator, X, reset: bool) -> None:
    xp = namespace(X)
    if X.ndim != 2 or not X.shape[0] or not X.shape[1]:
        raise ValueError(f"expected X of shape (n_samples, n_features). Received: X.shape={tuple(X.shape)}.")
    if not xp.isdtype(X.dtype, ("bool", "integral", "real floating")):
        raise ValueError(f"expected real numbers in X. Received: X with dtype={X.dtype}.")
    if xp.isdtype(X.dtype, "real floating") and not bool(xp.all(xp.isfinite(X))):
        raise ValueError("Input X contains NaN or infinity. Remove or fill in such rows first.")
    if reset:
        estimator.n_features_in_ = X.shape[1]
        if hasattr(estimator, "feature_names_in_"):
            del estimator.feature_names_in_
    elif X.shape[1] != estimator.n_features_in_:
        raise ValueError(
            f"X has {X.shape[1]} features, but {type(estimator).__name__} is expecting "
            f"{estimator.n_features_in_} features as input."
        )
