"""Moving over: a fitted scikit-learn MLP as an estimator of ours, and back."""

import warnings

import numpy as np
import sklearn.neural_network
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from mechanet.estimators.labels import Labels

THEIR_ACTIVATIONS = ("identity", "logistic", "tanh", "relu")
TOLD = (
    "n_iter_", "t_", "loss_", "loss_curve_", "best_loss_", "validation_scores_", "best_validation_score_",
    "feature_names_in_",
)  # fmt: skip


def adopt(kind, mlp, device=None):
    """The estimator of class `kind` with the parameters, weights and classes of a fitted scikit-learn MLP."""
    check_is_fitted(mlp)
    theirs = "MLPClassifier" if hasattr(kind, "predict_proba") else "MLPRegressor"
    if not isinstance(mlp, getattr(sklearn.neural_network, theirs)):
        raise TypeError(f"expected a fitted sklearn.neural_network.{theirs}. Received: {type(mlp).__name__}.")
    mine = kind(**mlp.get_params(deep=False)).set_params(device=device)
    mine.n_features_in_ = mlp.n_features_in_
    if is_classifier(mine):
        several = mlp.out_activation_ == "logistic" and mlp.n_outputs_ > 1
        kind_of_labels = "multilabel" if several else "multiclass" if mlp.n_outputs_ > 1 else "binary"
        mine._labels = Labels(kind_of_labels, mlp.classes_)
        mine.classes_ = mlp.classes_
    else:
        mine._columns = mlp.n_outputs_
    mine._make_network(np.empty((0, mlp.n_features_in_), dtype=mlp.coefs_[0].dtype))
    mine._forget()
    mine.coefs_, mine.intercepts_ = list(mlp.coefs_), list(mlp.intercepts_)
    mine._sync()
    _tell(mlp, mine)
    return mine


def to_sklearn(mine):
    """A fitted scikit-learn MLP with the parameters, the weights and the classes of `mine`."""
    check_is_fitted(mine)
    activations = mine.activation if isinstance(mine.activation, list) else [mine.activation]
    if any(not isinstance(a, str) or a not in THEIR_ACTIVATIONS for a in activations) or len(set(activations)) > 1:
        raise ValueError(
            f"scikit-learn's MLPs have one activation out of {', '.join(THEIR_ACTIVATIONS)} for all layers. "
            f"Received: activation={mine.activation!r}."
        )
    kind = getattr(sklearn.neural_network, "MLPClassifier" if is_classifier(mine) else "MLPRegressor")
    names = set(kind().get_params()) - {"random_state"}
    options = {name: value for name, value in mine.get_params(deep=False).items() if name in names}
    options["activation"] = activations[0]
    options["random_state"] = mine.random_state
    if options["learning_rate"] not in ("constant", "invscaling", "adaptive"):
        options["learning_rate"] = "constant"
    if "loss" in options:
        options["loss"] = "poisson" if mine.out_activation_ == "exp" else "squared_error"
    elif mine.out_activation_ == "exp":
        raise ValueError(
            "this scikit-learn has no Poisson loss. Received: loss='poisson'. Use scikit-learn 1.7 or newer."
        )
    # One step on rows that stand for the classes gives their estimator all that it needs besides the weights.
    theirs = kind(**options).set_params(solver="lbfgs", max_iter=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        theirs.fit(*_stand_in(mine))
    theirs.set_params(solver=mine.solver, max_iter=mine.max_iter)
    mine._sync()
    host = mine.network_.backend.to_host
    theirs.coefs_ = [np.array(host(W)) for W in mine.coefs_]
    theirs.intercepts_ = [np.array(host(b)) for b in mine.intercepts_]
    _tell(mine, theirs)
    return theirs


def _stand_in(mine):
    if not is_classifier(mine):
        rows = 2
        y = np.zeros((rows, mine.n_outputs_)) if mine.n_outputs_ > 1 else np.zeros(rows)
    elif mine._labels.kind == "multilabel":
        rows = len(mine._labels.classes)
        y = np.eye(rows, dtype="int64")
    else:
        y = mine._labels.classes
        rows = len(y)
    return np.zeros((rows, mine.n_features_in_), dtype=mine.network_.dtype), y


def _tell(source, target) -> None:
    for name in TOLD:
        if hasattr(source, name):
            value = getattr(source, name)
            setattr(target, name, list(value) if isinstance(value, list) else value)
