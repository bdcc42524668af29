"""scikit-learn estimators: `MLPClassifier` and `MLPRegressor`, with a device and options that theirs lack.

The parameters, the fitted attributes and their meaning are those of `sklearn.neural_network`; the network and the
training underneath are mechanet's own. Needs scikit-learn 1.7 or newer: ``pip install 'mechanet[sklearn]'``.
"""

from sklearn.base import is_classifier

from mechanet.estimators.classifier import MLPClassifier
from mechanet.estimators.regressor import MLPRegressor


def from_sklearn(mlp, device: str | None = None) -> MLPClassifier | MLPRegressor:
    """A fitted scikit-learn MLP as an estimator of mechanet, with the same parameters, weights and predictions.

    Parameters
    ----------
    mlp : sklearn.neural_network.MLPClassifier or MLPRegressor
        Fitted. It is left as it is.
    device : {"cpu", "cuda", "cuda:N", "auto"}, optional
        Where to compute.

    Raises
    ------
    TypeError
        If `mlp` is another estimator.
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    """
    return (MLPClassifier if is_classifier(mlp) else MLPRegressor).from_sklearn(mlp, device)


__all__ = ["MLPClassifier", "MLPRegressor", "from_sklearn"]
