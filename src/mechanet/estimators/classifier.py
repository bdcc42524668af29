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
