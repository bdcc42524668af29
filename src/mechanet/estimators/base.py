"""What the classifier and the regressor share: how they are fitted."""

import math
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import is_regressor
from sklearn.utils import check_random_state, column_or_1d

import mechanet.backend
from mechanet import checks
from mechanet.estimators import arrays, parameters, stochastic
from mechanet.estimators.fitted import FittedNetwork, dense_layers
from mechanet.estimators.held_out import HeldOut
from mechanet.estimators.solvers import minimize
from mechanet.network import Network
from mechanet.training.history import Epoch


def is_stochastic(estimator) -> bool:
    """Whether the estimator has `partial_fit`; else an AttributeError says why not."""
    if estimator.solver == "lbfgs":
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. Received: solver='lbfgs'. "
            "Use 'adam' or 'sgd'."
        )
    return True


def keep(estimator, given: dict[str, Any]) -> None:
    """Store the arguments of a constructor as they are, which is all that a constructor does in scikit-learn."""
    for name in estimator._get_param_names():
        setattr(estimator, name, given[name])


class BaseMLP(FittedNetwork):
    """A multi-layer perceptron as a scikit-learn estimator; see `MLPClassifier` and `MLPRegressor`."""

    # What the two differ in.

    def _read_targets(self, y, incremental: bool):
        """Learn what the targets are; return them as the network takes them, on the host."""
        raise NotImplementedError

    def _encode(self, y):
        """Targets of held-out rows, as the network takes them, on the host."""
        raise NotImplementedError

    def _show_classes(self, X) -> None:
        """Show the classes, where X lives."""

    def _output(self) -> tuple[Any, int, str]:
        """The loss, the number of outputs, and scikit-learn's name of the link."""
        raise NotImplementedError

    def _class_weights(self, y):
        """The weight of each row's class, or None."""
        return None

    def _proportions(self, targets):
        """What a split of the rows keeps in proportion, or None."""
        return None

    # What they share.

    def fit(self, X, y, sample_weight=None):
        """Fit the network to X and y.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class labels, rows of 0 and 1 for several labels, or numbers for a regression.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of at least 0.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter, X, y or a weight cannot be used, or if the training diverges.
        """
        return self._fit(X, y, sample_weight, incremental=False)

    def _fit(self, X, y, sample_weight, incremental: bool):
        parameters.check(self)
        if incremental and self.early_stopping and self.validation_data is None:
            raise ValueError(
                "partial_fit does not support early_stopping=True without validation_data=(X, y), since each call "
                "would hold out other rows. Pass validation_data, or early_stopping=False."
            )
        first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        if not first:
            arrays.check_place(self, X, "partial_fit" if incremental else "fit")
        X, y = arrays.read(self, X, y, reset=first, numeric_y=is_regressor(self))
        arrays.check_dense(self, y)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        targets = self._read_targets(y, incremental)
        weights = row_weights(sample_weight, X.shape[0])
        random_state = check_random_state(self.random_state)
        if first:
            self._start(X, random_state)
        else:
            self._go_on(X)
        training_weights = checks.weights(weights, X.shape[0], self._class_weights(y))
        if self.solver == "lbfgs":
            self._fit_lbfgs(X, targets, training_weights)
        else:
            stochastic.fit(self, X, targets, weights, training_weights, random_state, incremental)
        self._publish()
        if not np.isfinite(self.network_.backend.to_host(self.network_.parameters)).all():
            raise ValueError(stochastic.NOT_FINITE)
        return self

    def _start(self, X, random_state) -> None:
        """Make the network, with its first parameters drawn as scikit-learn draws them, and forget the rest."""
        self._make_network(X)
        self._show_classes(X)
        net = self.network_
        with net.backend.current():
            net.chain.initialize(random_state)
        self._forget()

    def _make_network(self, X) -> None:
        loss, outputs, link = self._output()
        dtype = arrays.dtype_of(X) if self.dtype is None else mechanet.backend.check_dtype(self.dtype)
        layers = parameters.layers_of(self, X.shape[1], outputs)
        device = mechanet.backend.backend_of(X) if self.device is None else self.device
        self.network_ = Network(layers, (X.shape[1],), loss, dtype, device)
        self._place = arrays.place_name(X)
        self._follows = self.device is None
        self._shown: list[Any] = []
        self.n_outputs_, self.out_activation_ = outputs, link
        self.n_layers_ = len(parameters.hidden_sizes(self.hidden_layer_sizes)) + 2

    def _forget(self) -> None:
        """Reset the fitted attributes that describe a training."""
        self._moments = None
        self._best = self.network_.parameters + 0.0
        self._calls = self.n_iter_ = self.t_ = 0
        self.converged_ = False
        watched = self.early_stopping or self.validation_data is not None
        self.validation_scores_: list[float] | None = [] if watched else None
        self.validation_loss_curve_: list[float] | None = [] if watched else None
        self.best_validation_score_ = -math.inf if watched else None
        if self.solver != "lbfgs":
            self.loss_curve_: list[float] = []
            self.best_loss_: float | None = None if self.early_stopping else math.inf
            self._no_improvement_count = 0

    def _go_on(self, X) -> None:
        """Take up the network of the last call, with the parameters that `coefs_` and `intercepts_` hold now."""
        if not hasattr(self, "network_"):
            self._make_network(X)
            self._forget()
        self._sync()
        _, outputs, _ = self._output()
        sizes = [*parameters.hidden_sizes(self.hidden_layer_sizes), outputs]
        if sizes != [layer.units for layer in dense_layers(self.network_)]:
            raise ValueError(
                f"warm_start and partial_fit expect the layers of the last fit, {[c.shape for c in self.coefs_]}. "
                f"Received: hidden_layer_sizes={self.hidden_layer_sizes!r} and {outputs} outputs."
            )
        if self.device is not None and mechanet.backend.resolve(self.device) != self.network_.backend:
            self._move(self.device)

    def _fit_lbfgs(self, X, targets, weights) -> None:
        held_out = self._held_out()

        def on_iteration(network, number, loss):
            if self.verbose:
                print(f"Iteration {number}, loss = {loss:.8f}")
            epoch = Epoch(number, loss, None, None, None, 1.0, 0.0)
            if held_out is not None:
                epoch = stochastic.score(self, epoch, held_out, network)
            return self.on_epoch is not None and self.on_epoch(self, epoch)

        watched = self.verbose or self.on_epoch is not None or held_out is not None
        options = {"maxfun": self.max_fun, "maxiter": self.max_iter, "gtol": self.tol}
        self.loss_, self.n_iter_, self.converged_ = minimize(
            self.network_, X, targets, weights, self.alpha, options, on_iteration if watched else None
        )
        if self.validation_scores_:
            self.best_validation_score_ = max(self.validation_scores_)

    def _held_out(self) -> HeldOut | None:
        """The rows of `validation_data`."""
        if self.validation_data is None:
            return None
        X, y, *rest = self.validation_data
        X = arrays.read_inputs(self, X, "fit")
        y = arrays.on_host(y)
        y = y if sparse.issparse(y) else np.asarray(y)
        arrays.check_dense(self, y)
        return HeldOut(self.network_, X, self._encode(y), row_weights(rest[0] if rest else None, X.shape[0]))


def row_weights(sample_weight, n: int):
    """Weights as float64 (n,), from a sequence or one number for all rows; None where all rows weigh the same."""
    if sample_weight is None:
        return None
    weights = np.asarray(arrays.on_host(sample_weight), dtype="float64")
    if weights.ndim == 0:
        weights = np.full(n, float(weights))
    if weights.ndim != 1:
        raise ValueError(
            f"Sample weights must be 1D array or scalar. Received: sample_weight.shape={weights.shape}."
        )
    if weights.shape == (n,) and not weights.any():
        raise ValueError("Sample weights must contain at least one non-zero number. Received: zero for all rows.")
    return checks.weights(weights, n)
