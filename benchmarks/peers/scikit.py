"""scikit-learn's MLPClassifier and MLPRegressor; `partial_fit` is one epoch of theirs."""

import warnings

import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor

from ..cases import Case

PACKAGE = "scikit-learn"


class Model:
    def __init__(self, case: Case, X, Y, weights, device: str = "cpu") -> None:
        estimator = MLPRegressor if case.regression else MLPClassifier
        self.net = estimator(
            hidden_layer_sizes=case.sizes[1:-1],
            solver=case.optimizer,
            batch_size=case.batch or case.rows,
            learning_rate_init=case.learning_rate,
            alpha=0.0,
            momentum=0.0,
            nesterovs_momentum=False,
            shuffle=case.batch is not None,
            random_state=0,
        )
        self.X, self.Y = X, Y.ravel()
        self.known = {} if case.regression else {"classes": np.arange(case.sizes[-1])}
        # Its weights and its optimizer come into being with the first partial_fit, on two rows;
        # then our weights take their place, and the next call makes a fresh optimizer.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Got `batch_size` less than 1 or larger")
            self.net.partial_fit(self.X[:2], self.Y[:2], **self.known)
        self.net.coefs_ = [W.copy() for W, _ in weights]
        self.net.intercepts_ = [b.copy() for _, b in weights]
        del self.net._optimizer
        self.net.t_ = 0

    def epoch(self) -> None:
        self.net.partial_fit(self.X, self.Y, **self.known)

    def predict(self, X) -> np.ndarray:
        return self.net.predict(X)

    def weights(self) -> list[tuple[np.ndarray, np.ndarray]]:
        return list(zip(self.net.coefs_, self.net.intercepts_, strict=True))
