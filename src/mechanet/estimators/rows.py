"""Rows for a training: sparse ones made dense a batch at a time, in the order scikit-learn would draw."""

from scipy import sparse

import mechanet.backend
from mechanet.training.batches import ArrayBatches


class SparseRows:
    """A CSR matrix that gives its rows dense: what a network asks of an array, without the array."""

    def __init__(self, matrix):
        self.matrix = matrix
        self.shape, self.ndim, self.dtype = matrix.shape, 2, matrix.dtype

    def __getitem__(self, key):
        return self.matrix[key[0] if isinstance(key, tuple) else key].toarray()


def rows_of(network, X):
    """X as a network reads it in blocks: on its device where it fits, sparse where it is sparse and large."""
    if sparse.issparse(X):
        if X.shape[0] > network.chain.block_rows:
            return SparseRows(X)
        X = X.toarray()
    if not isinstance(X, mechanet.backend.HostArray) or network.backend.fits(X.nbytes):
        X = network.backend.asarray(X)
    return X


class DrawnBatches(ArrayBatches):
    """Batches of rows whose order a `RandomState` draws, epoch after epoch, as scikit-learn's estimators do."""

    def __init__(self, network, X, targets, weights, batch_size: int, shuffle: bool, random_state):
        super().__init__(network, X, targets, weights, batch_size, shuffle, seed=0)
        self.random_state = random_state
        self._order = mechanet.backend.arange(self.rows)
        self._drawn = 0

    def inputs(self, x):
        return rows_of(self.network, x)

    def order(self, number):
        if self.shuffle and number != self._drawn:
            # Each epoch shuffles the order of the last.
            self._order = self._order[self.random_state.permutation(self.rows)]
            self._drawn = number
        return self._order
