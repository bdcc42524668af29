"""What a fitted estimator holds: the network, and its parameters shown as scikit-learn shows them."""

import copy
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from mechanet.estimators import arrays, moving
from mechanet.estimators.rows import SparseRows
from mechanet.layers import Dense
from mechanet.network import Network
from mechanet.network.blocks import slices


def dense_layers(network) -> list[Any]:
    """The layers with weights, from the input to the scores."""
    return [layer for layer in network.layers if isinstance(layer, Dense)]


class FittedNetwork(BaseEstimator):
    """A network inside an estimator.

    `network_` owns all numbers. `coefs_` and `intercepts_` are its W and b, layer by layer: views where X lived
    beside the network, copies on the host where a host X was computed elsewhere. Arrays that a user puts into
    these lists are given to the network before it is used again.
    """

    network_: Network
    _best: Any
    _moments: Any

    def _publish(self) -> None:
        """Show the network's parameters as `coefs_` and `intercepts_`."""
        net = self.network_
        show = (lambda view: view) if self._follows or net.device == "cpu" else net.backend.to_host
        self.coefs_ = [show(layer.W) for layer in dense_layers(net)]
        self.intercepts_ = [show(layer.b) for layer in dense_layers(net)]
        self._shown = [*self.coefs_, *self.intercepts_]

    def _sync(self) -> None:
        """Give the network the arrays that were put into `coefs_` and `intercepts_` since they were shown."""
        net, given = self.network_, [*self.coefs_, *self.intercepts_]
        if len(given) == len(self._shown) and all(a is b for a, b in zip(given, self._shown, strict=True)):
            return
        views = [layer.W for layer in dense_layers(net)] + [layer.b for layer in dense_layers(net)]
        shapes, received = [tuple(view.shape) for view in views], [tuple(np.shape(array)) for array in given]
        if shapes != received:
            raise ValueError(f"expected coefs_ and intercepts_ of shapes {shapes}. Received: {received}.")
        with net.backend.current():
            for view, array in zip(views, given, strict=True):
                view[...] = net.backend.asarray(array, view.dtype)
        self._publish()

    def _move(self, device) -> None:
        self.network_ = self.network_.to(device)
        backend = self.network_.backend
        with backend.current():
            self._best = backend.asarray(self._best)
            if self._moments:
                state, updates = self._moments
                self._moments = {name: backend.asarray(vector) for name, vector in state.items()}, updates

    def to_device(self, device: str):
        """A copy of the fitted estimator that computes on another device.

        Parameters
        ----------
        device : {"cpu", "cuda", "cuda:N", "auto"}

        Returns
        -------
        estimator
            With its parameter `device` set and its fitted arrays there. It takes inputs from anywhere, and gives
            its answers where they came from.

        Raises
        ------
        mechanet.DeviceError
            If this machine cannot give the device.
        """
        check_is_fitted(self)
        moved: Any = copy.deepcopy(self)
        moved._move(device)
        moved.device, moved._follows, moved._place = device, True, None
        moved._publish()
        return moved

    @classmethod
    def from_sklearn(cls, mlp, device=None):
        """A fitted scikit-learn MLP as an estimator of ours; see `mechanet.estimators.from_sklearn`."""
        return moving.adopt(cls, mlp, device)

    def to_sklearn(self):
        """A fitted scikit-learn MLP with the same parameters, weights and predictions.

        Raises
        ------
        ValueError
            If scikit-learn has no such network: other activations, or not the same in all layers.
        """
        return moving.to_sklearn(self)

    def __getstate__(self):
        if hasattr(self, "network_"):
            self._sync()
        state = dict(super().__getstate__())
        for name in ("coefs_", "intercepts_", "_shown") if "network_" in state else ():
            state.pop(name, None)  # they are the network's: shown again by __setstate__
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        if hasattr(self, "network_"):
            self._publish()

    def _ask(self, X, method: str, question: str):
        """Call the network's method `question` on the rows of X; return the result and the checked X."""
        check_is_fitted(self)
        X = arrays.read_inputs(self, X, method)
        self._sync()
        ask = getattr(self.network_, question)
        if not sparse.issparse(X):
            return ask(X), X
        rows = SparseRows(X)
        return np.concatenate(
            [ask(rows[block]) for block in slices(X.shape[0], self.network_.chain.block_rows)]
        ), X

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.array_api_support = True
        return tags
