"""The regressor."""

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.metaestimators import available_if

from mechanet.estimators import arrays, parameters
from mechanet.estimators.base import BaseMLP, is_stochastic, keep
from mechanet.poisson import Poisson


class MLPRegressor(RegressorMixin, BaseMLP):
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
