"""The classifier."""

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if

from mechanet.estimators import arrays
from mechanet.estimators.base import BaseMLP, is_stochastic, keep
from mechanet.estimators.labels import Labels
from mechanet.losses import BinaryCrossEntropy, CrossEntropy


class MLPClassifier(ClassifierMixin, BaseMLP):
    """A multi-layer perceptron that classifies: scikit-learn's `MLPClassifier`, with a device and more.

    Parameters, fitted attributes and their meaning are those of scikit-learn 1.9; the parameters from `device` on
    are additions. The same `random_state` gives the same model as scikit-learn's, to rounding.

    Parameters
    ----------
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
    class_weight : mapping from label to weight, "balanced", or a list of mappings, optional
        Each row is weighted with the weight of its class; a list has a mapping for each of several labels.
    label_smoothing : float in [0, 1)
        ε: the target becomes (1 - ε) T + ε / k, with k = 2 for each yes-or-no output.
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
    classes_ : array
        The class labels, sorted.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from mechanet.estimators import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> MLPClassifier((16,), solver="lbfgs", max_iter=1000, random_state=0).fit(X, y).score(X, y) > 0.95
    True
    """

    def __init__(
        self,
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
        class_weight=None,
        label_smoothing=0.0,
        gradient_clip=None,
        validation_data=None,
        on_epoch=None,
    ):
        keep(self, locals())

    def _read_targets(self, y, incremental):
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._labels = Labels.of(y)
            self.classes_ = self._labels.classes
        elif not hasattr(self, "_labels"):  # the first call of partial_fit, which names the classes
            self._labels = Labels.of(y, np.asarray(arrays.on_host(self.classes_)))
            self._labels.check(y, same=False)
        else:
            self._labels.check(y, same=self.warm_start)
        return self._smooth(self._labels.encode(y))

    def _show_classes(self, X):
        # With array API dispatch, scikit-learn expects fitted arrays where X lives.
        self.classes_ = arrays.follow(self._labels.classes, X) if arrays.dispatching() else self._labels.classes

    def _encode(self, y):
        self._labels.check(y, same=False)
        return self._labels.encode(y)

    def _smooth(self, targets):
        """(1 - ε) T + ε / 2 for each yes-or-no output; for one class out of k the loss does it."""
        if not self.label_smoothing or self._labels.kind == "multiclass":
            return targets
        return (1.0 - self.label_smoothing) * targets + self.label_smoothing / 2.0

    def _output(self):
        if self._labels.kind == "multiclass":
            return CrossEntropy(label_smoothing=self.label_smoothing), self._labels.outputs, "softmax"
        return BinaryCrossEntropy(), self._labels.outputs, "logistic"

    def _class_weights(self, y):
        return None if self.class_weight is None else compute_sample_weight(self.class_weight, y)

    def _proportions(self, targets):
        # Of two classes only, as in scikit-learn.
        return targets[:, None] > 0.5 if self._labels.kind == "binary" else None

    @available_if(is_stochastic)
    def partial_fit(self, X, y, sample_weight=None, classes=None):
        """Train for one epoch on X and y.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.
        classes : array-like of shape (n_classes,), optional
            All classes that any call will bring; needed in the first call only.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the first call names no classes, if y holds others, or as for `fit`; with
            ``class_weight="balanced"``, which needs all data at once.
        """
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' expects all data at once. Received: a call of partial_fit. Compute the "
                "weights with sklearn.utils.class_weight.compute_class_weight and pass a mapping."
            )
        self._name_classes(classes)
        return self._fit(X, y, sample_weight, incremental=True)

    def _name_classes(self, classes) -> None:
        known = arrays.on_host(getattr(self, "classes_", None))
        if classes is None:
            if known is None:
                raise ValueError(
                    "classes must be passed on the first call to partial_fit. Received: classes=None."
                )
            return
        classes = np.unique(np.asarray(arrays.on_host(classes)))
        if known is None:
            self.classes_ = classes
        elif not np.array_equal(known, classes):
            raise ValueError(
                f"partial_fit expects the classes of the first call, {known}. Received: classes={classes}."
            )

    def predict(self, X):
        """The class of each row, or a row of 0 and 1 for each where there are several labels.

        Returns
        -------
        y : array of shape (n_samples,) or (n_samples, n_classes)
        """
        codes, X = self._ask(X, "predict", "predict")
        return self._labels.decode(codes, X)

    def predict_proba(self, X):
        """The probability of each class, by the softmax, or of each label, by the sigmoid.

        Returns
        -------
        P : array of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        return self._probabilities(X, "predict_proba")

    def predict_log_proba(self, X):
        """The logarithm of `predict_proba`."""
        P = self._probabilities(X, "predict_log_proba")
        with np.errstate(divide="ignore"):
            return arrays.namespace(P).log(P)

    def _probabilities(self, X, method):
        P, X = self._ask(X, method, "predict_proba")
        if self._labels.kind != "binary":
            return P
        return arrays.namespace(P).concat([1.0 - P, P], axis=1)  # (n, 1) -> (n, 2)

    def score(self, X, y, sample_weight=None):
        """The accuracy: the share of rows, by weight, whose label, or whose labels all, are right."""
        y, predicted, weights = map(arrays.on_host, (y, self.predict(X), sample_weight))
        return float(accuracy_score(y, predicted, sample_weight=weights))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
