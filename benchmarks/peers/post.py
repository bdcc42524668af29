"""The style of the post this project began from: a page of NumPy, a column per example, float64.

Written in our own words after its formulas, with its habits kept: examples in columns, `W1.dot(X) + b1`,
the one-hot matrix rebuilt at every iteration, all rows at once. Its bias gradient is left as it is too,
one sum over the whole layer, so its biases train differently from everyone else's (docs/mechanics says more).
"""

import numpy as np

from ..cases import Case

PACKAGE = "numpy"


def ReLU(Z):
    return np.maximum(Z, 0)


def softmax(Z):
    return np.exp(Z) / sum(np.exp(Z))


def forward_prop(W1, b1, W2, b2, X):
    Z1 = W1.dot(X) + b1
    A1 = ReLU(Z1)
    Z2 = W2.dot(A1) + b2
    A2 = softmax(Z2)
    return Z1, A1, Z2, A2


def one_hot(Y):
    table = np.zeros((Y.size, Y.max() + 1))
    table[np.arange(Y.size), Y] = 1
    return table.T


def backward_prop(Z1, A1, A2, W2, X, Y):
    m = Y.size
    dZ2 = A2 - one_hot(Y)
    dW2 = 1 / m * dZ2.dot(A1.T)
    db2 = 1 / m * np.sum(dZ2)
    dZ1 = W2.T.dot(dZ2) * (Z1 > 0)
    dW1 = 1 / m * dZ1.dot(X.T)
    db1 = 1 / m * np.sum(dZ1)
    return dW1, db1, dW2, db2


class Model:
    def __init__(self, case: Case, X, Y, weights, device: str = "cpu") -> None:
        if case.batch is not None or len(weights) != 2 or case.optimizer != "sgd" or case.work != "train":
            raise NotImplementedError("the post trains two layers, full batch, by plain gradient descent")
        self.X, self.Y, self.alpha = np.ascontiguousarray(X.T, dtype=np.float64), Y, case.learning_rate
        (W1, b1), (W2, b2) = weights
        self.parameters = [
            W1.T.astype(float),
            b1[:, None].astype(float),
            W2.T.astype(float),
            b2[:, None].astype(float),
        ]

    def epoch(self) -> None:
        W1, b1, W2, b2 = self.parameters
        Z1, A1, _, A2 = forward_prop(W1, b1, W2, b2, self.X)
        dW1, db1, dW2, db2 = backward_prop(Z1, A1, A2, W2, self.X, self.Y)
        W1 = W1 - self.alpha * dW1
        b1 = b1 - self.alpha * db1
        W2 = W2 - self.alpha * dW2
        b2 = b2 - self.alpha * db2
        self.parameters = [W1, b1, W2, b2]

    def predict(self, X) -> np.ndarray:
        return np.argmax(forward_prop(*self.parameters, X.T)[-1], axis=0)

    def weights(self) -> list[tuple[np.ndarray, np.ndarray]]:
        W1, b1, W2, b2 = self.parameters
        return [(W1.T, b1.ravel()), (W2.T, b2.ravel())]
