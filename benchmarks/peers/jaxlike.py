"""JAX: a whole epoch is one compiled scan over its batches, and the parameters' memory is reused."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from ..cases import Case

PACKAGE = "jax"


def forward(parameters, X):
    for W, b in parameters[:-1]:
        X = jax.nn.relu(X @ W + b)
    W, b = parameters[-1]
    return X @ W + b


def cross_entropy(parameters, X, Y):
    scores = jax.nn.log_softmax(forward(parameters, X))
    return -jnp.mean(jnp.take_along_axis(scores, Y[:, None], axis=1))


def squared_error(parameters, X, Y):
    return 0.5 * jnp.mean((forward(parameters, X) - Y) ** 2)


def sgd(rate, parameters, state, gradient):
    return jax.tree.map(lambda p, g: p - rate * g, parameters, gradient), state


def adam(rate, parameters, state, gradient):
    m, v, t = state
    t = t + 1
    m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, gradient)
    v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, gradient)

    def moved(p, m, v):
        return p - rate * (m / (1 - 0.9**t)) / (jnp.sqrt(v / (1 - 0.999**t)) + 1e-8)

    return jax.tree.map(moved, parameters, m, v), (m, v, t)


class Model:
    def __init__(self, case: Case, X, Y, weights, device: str = "cpu") -> None:
        self.case = case
        self.X, self.Y = jnp.asarray(X), jnp.asarray(Y)
        self.parameters = [(jnp.asarray(W), jnp.asarray(b)) for W, b in weights]
        zeros = [(jnp.zeros_like(W), jnp.zeros_like(b)) for W, b in self.parameters]
        self.state = (zeros, jax.tree.map(jnp.copy, zeros), jnp.float32(0))
        self.rng = np.random.default_rng(0)
        loss = squared_error if case.regression else cross_entropy
        update = partial({"sgd": sgd, "adam": adam}[case.optimizer], case.learning_rate)

        def step(carry, X, Y):
            return update(*carry, jax.grad(loss)(carry[0], X, Y))

        def epoch(carry, X, Y, order):
            if case.batch is None:
                return step(carry, X, Y)
            whole = case.rows - case.rows % case.batch
            rows = order[:whole].reshape(-1, case.batch)
            carry, _ = jax.lax.scan(lambda carry, rows: (step(carry, X[rows], Y[rows]), None), carry, rows)
            return step(carry, X[order[whole:]], Y[order[whole:]]) if whole < case.rows else carry

        def predict(parameters, X):
            Z = forward(parameters, X)
            return Z if case.regression else jnp.argmax(Z, axis=1)

        self.compiled = jax.jit(epoch, donate_argnums=0)
        self.predictor = jax.jit(predict)

    def epoch(self) -> None:
        order = self.rng.permutation(self.case.rows) if self.case.batch else np.zeros(0, int)
        carry = (self.parameters, self.state)
        self.parameters, self.state = self.compiled(carry, self.X, self.Y, order)
        jax.block_until_ready(self.parameters)

    def predict(self, X) -> np.ndarray:
        return np.asarray(self.predictor(self.parameters, X))

    def weights(self) -> list[tuple[np.ndarray, np.ndarray]]:
        return [(np.array(W), np.array(b)) for W, b in self.parameters]
