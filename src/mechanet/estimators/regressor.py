"""The regressor."""

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.metaestimators import available_if

from mechanet.estimators import arrays, parameters
from mechanet.estimators.base import BaseMLP, is_stochastic, keep
from mechanet.losses import Poisson


class MLPRegressor(RegressorMixin, BaseMLP):
    """A multi-layer perceptron for regression: scikit-learn's `MLPRegressor`, with a device and more.

    Parameters, fitted attributes and their meaning are those of scikit-learn 1.9; the parameters from `device` on
    are additions. The same `random_state` gives the same model as scikit-learn's, to rounding.

    Parameters
    ----------
    loss : {"squared_error", "poisson", "huber", ...} or Loss
        Half squared error; half the Poisson deviance, for counts, with predictions exp(Z); Huber's loss, or one
        with options such as ``mechanet.Huber(2.0)``. Losses of several outputs are summed.
    hidden_layer_sizes : int or sequence of int
        Units of the hidden layers; () for none.
    activation : str, layer, pair of functions, or a list of these
        ``"identity"``, ``"logistic"``, ``"tanh"``, ``"relu"``; the name of another activation of mechanet, such
        as ``"gelu"``; a layer such as ``mechanet.LeakyReLU(0.2)``; a pair (forward, backward) as
        `mechanet.Activation` takes it. A list has one for each hidden layer.
    solver : {"lbfgs", "sgd", "adam"}
        SciPy's L-BFGS over all rows at once, or steps over batches.
    alpha : float
        Strength of the L2 penalty alpha / (2 m) ‖W‖², m being the rows, or the weight, of a batch.
    batch_size : int or "auto"
        Rows a step; ``"auto"`` is min(200, n).
    learning_rate : {"constant", "invscaling", "adaptive"}, the name of a schedule, or Schedule
        Scikit-learn's policies act on ``"sgd"`` only; a schedule such as ``"cosine"`` on both stochastic solvers,
        over `max_iter` epochs.
    learning_rate_init, power_t : float
        The learning rate, and the exponent of ``"invscaling"``.
    max_iter : int
        The most epochs, or iterations of L-BFGS.
    shuffle : bool
        Draw a new order each epoch.
    random_state : int, RandomState or None
        First parameters, split and order are drawn from it exactly as scikit-learn draws them.
    tol, n_iter_no_change : float, and int or inf
        Stop when the loss, or with `early_stopping` the validation score, has not become better by `tol` for more
        than `n_iter_no_change` epochs. For L-BFGS, `tol` is the largest entry of the gradient at the end.
    verbose : bool or int
        Print the loss of each epoch.
    warm_start : bool
        `fit` goes on from the parameters of the last.
    momentum, nesterovs_momentum : float in [0, 1], bool
        For ``"sgd"``.
    early_stopping, validation_fraction : bool, float in [0, 1)
        Hold out rows, or use `validation_data`, stop by their score, and end with the best epoch's parameters.
    beta_1, beta_2, epsilon : float
        For ``"adam"``.
    max_fun : int
        The most evaluations of L-BFGS.
    device : {"cpu", "cuda", "cuda:N", "auto"}, optional
        Where to compute; by default where X lives. Answers go where X lives, either way.
    dtype : {"float32", "float64"}, optional
        What to compute in; by default as X.
    dropout : float in [0, 1), or a list
        The rate after each hidden layer.
    gradient_clip : float, optional
        The largest norm of a step's gradient.
    validation_data : (X, y) or (X, y, sample_weight), optional
        Rows that are scored after each epoch and never trained on.
    on_epoch : callable, optional
        ``on_epoch(estimator, epoch)`` is called after each epoch with a `mechanet.Epoch`; True stops.

    Attributes
    ----------
    network_ : mechanet.Network
        The network: for `mechanet.explain`, `mechanet.plots`, `save`.
    coefs_, intercepts_ : list of array
        W (n_in, n_out) and b (n_out,) of each layer. What is put into these lists is used from then on.
    loss_, loss_curve_, best_loss_ : float, list of float, float or None
        The loss with its penalty: of the last epoch, of each, and the lowest; None with `early_stopping`.
    validation_scores_, validation_loss_curve_ : list of float, or None
        Score and loss, without penalty, of the held-out rows after each epoch.
    best_validation_score_ : float or None
    converged_ : bool
        Whether the last call stopped by itself, rather than at `max_iter`.
    n_iter_, t_, n_layers_, n_outputs_, out_activation_, n_features_in_, feature_names_in_
        As in scikit-learn.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from mechanet.estimators import MLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = MLPRegressor(hidden_layer_sizes=(8,), solver="lbfgs", max_iter=5000, random_state=0)
    >>> model.fit(X, y).score(X, y) > 0.5
    True
    """

    def __init__(
        self,
        loss="squared_error",
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        device=None,
        dtype=None,
        dropout=0.0,
        gradient_clip=None,
        validation_data=None,
        on_epoch=None,
    ):
        keep(self, locals())

    def _read_targets(self, y, incremental):
        y = self._encode(y)
        self._columns = 1 if y.ndim == 1 else y.shape[1]
        return y

    def _encode(self, y):
        return np.asarray(y, dtype="float64")

    def _output(self):
        loss = parameters.regression_loss(self.loss)
        return loss, self._columns, "exp" if isinstance(loss, Poisson) else "identity"

    @available_if(is_stochastic)
    def partial_fit(self, X, y, sample_weight=None):
        """Train for one epoch on X and y; the parameters, what is returned and the errors are those of `fit`."""
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X):
        """The predicted values.

        Returns
        -------
        y : array of shape (n_samples,) or (n_samples, n_outputs)
        """
        return self._ask(X, "predict", "predict")[0]

    def score(self, X, y, sample_weight=None):
        """R², the share of the variance of y that is explained: 1 at best, 0 for the mean of y."""
        y, predicted, weights = map(arrays.on_host, (y, self.predict(X), sample_weight))
        return float(r2_score(y, predicted, sample_weight=weights))
