"""Fitting by steps: epochs of a training, when to stop, and what the fitted attributes tell of it."""

import math
import warnings
from dataclasses import replace

from sklearn.exceptions import ConvergenceWarning

from mechanet.estimators import arrays, parameters
from mechanet.estimators.held_out import HeldOut, split
from mechanet.estimators.rows import DrawnBatches
from mechanet.estimators.solvers import L2Penalty
from mechanet.layers import Dropout
from mechanet.training import Training
from mechanet.training.divergence import DivergenceError
from mechanet.training.history import Epoch

NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
    "preprocessed."
)


def fit(estimator, X, targets, weights, training_weights, random_state, incremental: bool) -> None:
    """Train the network of `estimator` until it stops: one epoch if `incremental`.

    Parameters
    ----------
    X, targets
        Rows, where they live, and targets as the network takes them, on the host.
    weights, training_weights : array (n,) or None
        `sample_weight`, and its product with the class weights.
    """
    held_out = estimator._held_out()
    if estimator.early_stopping and held_out is None:
        train, rest = split(
            X.shape[0], estimator.validation_fraction, random_state, estimator._proportions(targets)
        )
        held_out = HeldOut(estimator.network_, arrays.take(X, rest), targets[rest], _take(weights, rest))
        X, targets, training_weights = arrays.take(X, train), targets[train], _take(training_weights, train)
    training = _training(estimator, X, targets, training_weights, random_state, incremental)
    estimator.n_iter_, estimator.converged_ = 0, False
    try:
        for epoch in training.epochs(None if incremental else estimator.max_iter):
            _after_epoch(estimator, epoch, training, X.shape[0], held_out)
            if estimator.converged_ or incremental:
                break
    except DivergenceError as error:
        if not estimator.early_stopping:
            estimator._publish()
            raise ValueError(f"{NOT_FINITE} {error}") from error
        estimator.validation_scores_.append(math.nan)
        warnings.warn(f"{error} The best epoch's parameters are kept.", ConvergenceWarning, stacklevel=4)
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.", stacklevel=4)
    else:
        if not incremental and not estimator.converged_:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({estimator.max_iter}) reached and the optimization "
                "hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=4,
            )
    estimator._calls += 1
    estimator._optimizer = training.optimizer
    estimator._moments = training.state, training.global_step
    if estimator.early_stopping and (not incremental or estimator.converged_):
        estimator.network_.parameters[...] = estimator._best


def _training(estimator, X, targets, weights, random_state, incremental: bool) -> Training:
    net, n = estimator.network_, X.shape[0]
    batch_size = min(200, n) if isinstance(estimator.batch_size, str) else estimator.batch_size
    if batch_size > n:
        warnings.warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped. "
            f"Received: batch_size={batch_size} with {n} rows.",
            stacklevel=5,
        )
    with net.backend.current():
        batches = DrawnBatches(net, X, targets, weights, int(batch_size), estimator.shuffle, random_state)
    draws = any(isinstance(layer, Dropout) for layer in net.layers)
    goes_on = incremental and estimator._moments is not None
    training = Training(
        net,
        batches,
        optimizer=estimator._optimizer if goes_on else parameters.optimizer_of(estimator),
        schedule=parameters.schedule_of(estimator),
        gradient_clip=estimator.gradient_clip,
        # Only dropout needs a seed; scikit-learn, which has none, draws nothing here.
        seed=int(random_state.randint(2**31 - 1)) if draws else 0,
    )
    if estimator.alpha:
        with net.backend.current():
            training.penalty = L2Penalty(net.chain, float(estimator.alpha))
    progress = training.progress
    if incremental:
        progress.epoch, progress.total_epochs = estimator._calls, max(estimator.max_iter, estimator._calls + 1)
    if goes_on:
        training.state, progress.global_step = estimator._moments
    return training


def _after_epoch(estimator, epoch: Epoch, training, rows: int, held_out) -> None:
    """Note what the epoch brought, and decide whether to stop."""
    estimator.n_iter_ += 1
    estimator.t_ += rows
    estimator.loss_ = epoch.loss
    estimator.loss_curve_.append(epoch.loss)
    if estimator.verbose:
        print(f"Iteration {estimator.n_iter_}, loss = {epoch.loss:.8f}")
    if held_out is not None:
        epoch = score(estimator, epoch, held_out, estimator.network_)
    _count_improvement(estimator)
    if estimator.solver == "sgd" and estimator.learning_rate == "invscaling":
        rate = estimator.learning_rate_init / (estimator.t_ + 1) ** estimator.power_t
        training.optimizer = training.optimizer.with_learning_rate(rate)
    if estimator._no_improvement_count > estimator.n_iter_no_change:
        _slow_down_or_stop(estimator, training)
    if estimator.on_epoch is not None and estimator.on_epoch(estimator, epoch):
        estimator.converged_ = True


def score(estimator, epoch: Epoch, held_out, network) -> Epoch:
    """Measure the network on the held-out rows, note it, and return the epoch with it."""
    loss, value = held_out.measure(network)
    estimator.validation_loss_curve_.append(loss)
    estimator.validation_scores_.append(value)
    if estimator.verbose:
        print(f"Validation score: {value:f}")
    return replace(epoch, validation_loss=loss, validation_accuracy=value if network.loss.classifies else None)


def _count_improvement(estimator) -> None:
    """Count the epochs in a row that did not improve on the best by more than `tol`."""
    if estimator.early_stopping:
        improved = not estimator.validation_scores_[-1] < estimator.best_validation_score_ + estimator.tol
    else:
        improved = not estimator.loss_ > estimator.best_loss_ - estimator.tol
        estimator.best_loss_ = min(estimator.best_loss_, estimator.loss_)
    if estimator.validation_scores_ and estimator.validation_scores_[-1] > estimator.best_validation_score_:
        estimator.best_validation_score_ = estimator.validation_scores_[-1]
        estimator._best[...] = estimator.network_.parameters
    estimator._no_improvement_count = 0 if improved else estimator._no_improvement_count + 1


def _slow_down_or_stop(estimator, training) -> None:
    what = "Validation score" if estimator.early_stopping else "Training loss"
    message = (
        f"{what} did not improve more than tol={estimator.tol:f} for {estimator.n_iter_no_change} "
        "consecutive epochs."
    )
    rate = training.optimizer.learning_rate
    if estimator.solver == "sgd" and estimator.learning_rate == "adaptive" and rate > 1e-6:
        training.optimizer = training.optimizer.with_learning_rate(rate / 5.0)
        estimator._no_improvement_count = 0
        message += f" Setting learning rate to {rate / 5.0:f}"
    else:
        estimator.converged_ = True
        message += " Stopping."
    if estimator.verbose:
        print(message)


def _take(weights, rows):
    return None if weights is None else weights[rows]
