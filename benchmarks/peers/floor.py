"""The floor: only the matrix products of an epoch, of the same shapes, by the same BLAS, into ready arrays.

It learns nothing. What a step costs beyond this is what everything else costs.
"""

import numpy as np

from ..cases import Case

PACKAGE = "numpy"


class Model:
    def __init__(self, case: Case, X, Y, weights, device: str = "cpu") -> None:
        self.case, self.X = case, X
        self.W = [W for W, _ in weights]
        self.dW = [np.empty_like(W) for W in self.W]
        m = case.rows if case.work == "predict" else case.batch or case.rows
        self.Z = [np.ones((m, W.shape[1]), np.float32) for W in self.W]
        self.dX = [np.empty((m, W.shape[0]), np.float32) for W in self.W]

    def epoch(self) -> None:
        for first, last in self.case.batches():
            m = last - first
            A = self.X[first:last]
            inputs = [A] + [Z[:m] for Z in self.Z[:-1]]
            for A, W, Z in zip(inputs, self.W, self.Z, strict=True):
                np.matmul(A, W, out=Z[:m])
            for i in range(len(self.W) - 1, -1, -1):
                dZ = self.Z[i][:m]
                np.matmul(inputs[i].T, dZ, out=self.dW[i])
                if i > 0:  # the gradient of the first layer's input is of no use
                    np.matmul(dZ, self.W[i].T, out=self.dX[i][:m])

    def predict(self, X) -> np.ndarray:
        for W, Z in zip(self.W, self.Z, strict=True):
            X = np.matmul(X, W, out=Z)
        return X

    def weights(self) -> list[tuple[np.ndarray, np.ndarray]]:
        raise NotImplementedError("the floor learns nothing")
