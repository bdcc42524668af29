"""The objective that scikit-learn's MLPs minimize, loss + alpha / (2 Σw) ‖W‖², by steps or by L-BFGS."""

import warnings
from typing import Any

import numpy as np
import scipy.optimize
from sklearn.exceptions import ConvergenceWarning

from mechanet.estimators.rows import rows_of
from mechanet.network import blocks
from mechanet.network.batch import Batch, check_targets
from mechanet.network.chain import Chain


class L2Penalty:
    """An L2 penalty on each batch's loss, alpha / (2 Σw) ‖W‖², Σw being the weight of the batch.

    Its gradient, alpha / Σw W, is the weight decay of the batch's step. Biases are not penalized.
    """

    def __init__(self, chain: Chain, alpha: float):
        self.chain, self.alpha, self.strength = chain, alpha, 0.0
        self.mask = chain.spread(lambda parameter: float(parameter.decays))
        self.decay: Any = None

    def __call__(self, weight: float) -> tuple[Any, Any]:
        """The penalty (0-d, on the device), and λ for every entry of θ; see `Training.penalty`."""
        strength = self.alpha / weight if weight else 0.0
        if strength != self.strength:
            self.strength, self.decay = strength, strength * self.mask if strength else None
        return (0.5 * strength * self.squared_weights() if strength else 0.0), self.decay

    def squared_weights(self) -> Any:
        """‖W‖² over all layers (0-d, on the device)."""
        value, xp = 0.0, self.chain.xp
        for layer, declared in zip(self.chain.layers, self.chain.declared, strict=True):
            for name, parameter in declared.items():
                if parameter.decays:
                    w = xp.reshape(layer.parameters[name], (-1,))
                    value = value + xp.vecdot(w, w)
        return value


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
    double = network if network.dtype == "float64" else network.to(network.backend, dtype="float64")
    backend = double.backend
    with backend.current():
        X = rows_of(double, X)
        T, row_weights = check_targets(double.chain, double.loss, targets, X, weights)
        total = float(X.shape[0]) if row_weights is None else float(row_weights.sum())
        c = np.full(X.shape[0], 1.0) if row_weights is None else row_weights
        batch = Batch(X, T, backend.asarray(c / total, double.parameters.dtype), total)
        penalty = L2Penalty(double.chain, alpha)

        def objective(theta):
            double.parameters[...] = backend.asarray(theta)
            value, _ = blocks.loss_and_gradient(double.chain, double.bound_loss, batch)
            if alpha:
                more, decay = penalty(total)
                value = value + more
                double.gradient += decay * double.parameters
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
