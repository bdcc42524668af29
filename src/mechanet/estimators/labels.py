"""Class labels as the network's targets, and its answers as labels."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from mechanet.estimators import arrays


@dataclass
class Labels:
    """The labels of a classification.

    Attributes
    ----------
    kind : {"binary", "multiclass", "multilabel"}
        One yes-or-no output (also where there is one class only); one class out of k; k yes-or-no outputs.
    classes : array (k,)
        Sorted; column numbers for several labels.
    sparse : bool
        Whether several labels came, and are given, as a sparse matrix.
    """

    kind: str
    classes: Any
    sparse: bool = False

    @classmethod
    def of(cls, y, classes=None) -> "Labels":
        """The labels that y holds; with `classes`, all that there will be."""
        target = type_of_target(y, input_name="y")
        if not target.startswith(("binary", "multi")) or target == "continuous-multioutput":
            check_classification_targets(y)  # names what is wrong
        if target == "multiclass-multioutput":
            raise ValueError(
                "Multioutput target data is not supported: expected one label a row, or rows of 0 and 1. "
                f"Received: y.shape={y.shape}. Use sklearn.multioutput.MultiOutputClassifier."
            )
        if target.startswith("multilabel"):
            return cls("multilabel", unique_labels(y), sparse.issparse(y))
        classes = unique_labels(y) if classes is None else classes
        return cls("multiclass" if len(classes) > 2 else "binary", classes)

    @property
    def outputs(self) -> int:
        return 1 if self.kind == "binary" else len(self.classes)

    def check(self, y, same: bool) -> None:
        """Check that y holds no label that is new or, with `same`, all labels and no other."""
        check_classification_targets(y)
        found = unique_labels(y)
        if same:
            if set(found) != set(self.classes):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                    f"Previously got {self.classes}, `y` has {found}"
                )
        elif len(np.setdiff1d(found, self.classes)):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes}. 'y' has {found}."
            )

    def encode(self, y):
        """Targets on the host: codes (n,) for one class out of k, else 0.0 and 1.0, (n,) or (n, k)."""
        if self.kind == "multilabel":
            return np.asarray(y.toarray() if sparse.issparse(y) else y, dtype="float64")
        codes = np.searchsorted(self.classes, y)
        # One class alone is the answer "no", which `decode` reads as that class.
        return codes.astype("int64") if self.kind == "multiclass" else (codes > 0).astype("float64")

    def decode(self, codes, X):
        """The labels of the network's answers for X, where X lives."""
        if self.kind == "multilabel":
            return sparse.csr_matrix(codes) if self.sparse else codes
        if len(self.classes) == 1:
            codes = codes * 0
        if isinstance(codes, np.ndarray):
            return arrays.follow(self.classes[codes], X)
        if self.classes.dtype.kind not in "biuf":
            return self.classes[arrays.on_host(codes)]
        return arrays.namespace(codes).take(arrays.follow(self.classes, X), codes)
