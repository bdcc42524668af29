"""The objective that scikit-learn's MLPs minimize, loss + alpha / (2 Σw) ‖W‖², by steps or by L-BFGS."""

import math
import warnings
from typing import Any

import numpy as np
import scipy.optimize
from sklearn.exceptions import ConvergenceWarning

from mechanet.estimators.rows import rows_of
from mechanet.network import Network
from mechanet.training import Training


def squared_weights(network):
    """‖W‖² over all layers (0-d, on the device); biases are not penalized."""
    value = 0.0
    for layer in network.layers:
        if layer.kind == "dense":
            w = network.xp.reshape(layer.W, (-1,))
            value = value + network.xp.vecdot(w, w)
    return value


def weights_mask(network):
    """1 where θ holds a weight, 0 where it holds a bias."""
    xp, theta = network.xp, network.parameters
    parts = [
        xp.full((math.prod(view.shape),), float(name != "b"), dtype=theta.dtype, device=network.backend.device)
        for layer in network.layers
        for name, view in layer.parameters.items()
    ]
    return xp.concat(parts, axis=0)


class PenalizedTraining(Training):
    """Training with an L2 penalty on each batch's loss, alpha / (2 Σw) ‖W‖², Σw being the weight of the batch.

    Its gradient, alpha / Σw W, is the weight decay of the batch's step.
    """

    def __init__(self, network, batches, alpha: float, **options):
        super().__init__(network, batches, **options)
        self.alpha = alpha
        self._strength = 0.0
        with network.backend.current():
            self._mask: Any = weights_mask(network) if alpha else None

    def penalize(self, value, weight):
        strength = self.alpha / weight if weight else 0.0
        if strength != self._strength:
            self._strength = strength
            self._decay = strength * self._mask if strength else None
        return value + 0.5 * strength * squared_weights(self.network) if strength else value


def minimize(network, X, targets, weights, alpha: float, options: dict, on_iteration) -> tuple[float, int, bool]:
    """Minimize the objective over all rows with SciPy's L-BFGS-B, in float64.

    Parameters
    ----------
    network : Network
        Starts from, and ends with, its parameters.
    X, targets, weights
        As `mechanet.training.batches.ArrayBatches` takes them.
    options : dict
        SciPy's: maxfun, maxiter, gtol.
    on_iteration : callable
        Called with the network of the iteration, its number and its loss; True stops.

    Returns
    -------
    loss : float
    iterations : int
    converged : bool

    References
    ----------
    Byrd, Lu, Nocedal and Zhu (1995), A limited memory algorithm for bound constrained optimization.
    """
    double = network
    if network.dtype != "float64":
        double = Network(
            network.specification, network.input_shape, network.loss, "float64", network.backend, network.seed
        )
    backend = double.backend
    with backend.current():
        X = rows_of(double, X)
        T, row_weights = double.check_targets(targets, X, weights)
        total = float(X.shape[0]) if row_weights is None else float(row_weights.sum())
        c = np.full(X.shape[0], 1.0) if row_weights is None else row_weights
        c = backend.asarray(c / total, double.parameters.dtype)

        strength = alpha / total
        decay = strength * weights_mask(double)

        def objective(theta):
            double.parameters[...] = backend.asarray(theta)
            value, _ = double.accumulate(X, T, c)
            if alpha:
                value = value + 0.5 * strength * squared_weights(double)
                dtheta = double.gradient
                dtheta += decay * double.parameters
            # SciPy keeps the gradient it is given, so it gets its own.
            return float(value), np.array(backend.to_host(double.gradient))

        iterations = 0

        def callback(intermediate_result):
            nonlocal iterations
            iterations += 1
            if on_iteration is not None:
                double.parameters[...] = backend.asarray(intermediate_result.x)
                if on_iteration(double, iterations, float(intermediate_result.fun)):
                    raise StopIteration

        start = np.array(backend.to_host(network.parameters), dtype="float64")
        result = scipy.optimize.minimize(
            objective, start, method="L-BFGS-B", jac=True, callback=callback, options=options
        )
        network.parameters[...] = backend.asarray(result.x, network.parameters.dtype)
    if result.status not in (0, 99):  # 99: stopped by the callback
        warnings.warn(
            f"lbfgs failed to converge after {result.nit} iteration(s) (status={result.status}): "
            f"{result.message}. Increase max_iter (or max_fun), or scale the data.",
            ConvergenceWarning,
            stacklevel=5,
        )
    return float(result.fun), int(min(result.nit, options["maxiter"])), result.status in (0, 99)
