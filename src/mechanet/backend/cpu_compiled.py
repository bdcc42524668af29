"""Optimizers compiled by Numba (pip install 'mechanet[compiled]'): one pass over θ where NumPy makes ten.

Each is the loop that the lines of `mechanet.optimizers` stand for, in the same order and the same precision: the
numbers are the same bit for bit. Symbols are those of the plain code; `decay` is None without weight decay.
"""

from typing import Any

import numba
import numpy as np


def compiled(function):
    """Compiled on first use for each type of numbers, and kept on disk where there is a place for it."""
    try:
        return numba.njit(cache=True, error_model="numpy")(function)
    except RuntimeError:  # no folder to be written to
        return numba.njit(error_model="numpy")(function)


@compiled
def sgd(theta, gradient, decay, alpha):
    for i in range(theta.shape[0]):
        g = gradient[i] if decay is None else decay[i] * theta[i] + gradient[i]
        theta[i] -= alpha * g


@compiled
def sgd_momentum(theta, gradient, decay, u, alpha, momentum, nesterov):
    for i in range(theta.shape[0]):
        g = gradient[i] if decay is None else decay[i] * theta[i] + gradient[i]
        u[i] = u[i] * momentum + g
        theta[i] -= alpha * (g + momentum * u[i] if nesterov else u[i])


@compiled
def velocity(theta, gradient, decay, v, alpha, momentum, nesterov):
    for i in range(theta.shape[0]):
        g = gradient[i] if decay is None else decay[i] * theta[i] + gradient[i]
        descent = alpha * g
        v[i] = v[i] * momentum - descent
        theta[i] += momentum * v[i] - descent if nesterov else v[i]


@compiled
def rmsprop(theta, gradient, decay, v, alpha, share, epsilon):
    for i in range(theta.shape[0]):
        g = gradient[i] if decay is None else decay[i] * theta[i] + gradient[i]
        v[i] += (g * g - v[i]) * share
        theta[i] -= g / (np.sqrt(v[i]) + epsilon) * alpha


@compiled
def adam(theta, gradient, decay, s, r, alpha, beta1, beta2, epsilon):
    for i in range(theta.shape[0]):
        g = gradient[i] if decay is None else decay[i] * theta[i] + gradient[i]
        s[i] = s[i] * beta1 + g
        r[i] = r[i] * beta2 + g * g
        theta[i] -= s[i] / (np.sqrt(r[i]) + epsilon) * alpha


@compiled
def shrink(theta, decay, alpha):
    for i in range(theta.shape[0]):
        theta[i] -= alpha * decay[i] * theta[i]


def step_of(optimizer: Any):
    """The compiled ``step`` of an optimizer of ours."""
    return STEPS[type(optimizer).__name__](optimizer)


def _sgd(plain):
    def step(xp, theta, gradient, state, alpha, t, decay=None):
        real = theta.dtype.type
        if plain.momentum:
            sgd_momentum(theta, gradient, decay, state["u"], real(alpha), real(plain.momentum), plain.nesterov)
        else:
            sgd(theta, gradient, decay, real(alpha))

    return step


def _momentum(plain):
    def step(xp, theta, gradient, state, alpha, t, decay=None):
        real = theta.dtype.type
        velocity(theta, gradient, decay, state["v"], real(alpha), real(plain.momentum), plain.nesterov)

    return step


def _rmsprop(plain):
    def step(xp, theta, gradient, state, alpha, t, decay=None):
        real = theta.dtype.type
        rmsprop(theta, gradient, decay, state["v"], real(alpha), real(1.0 - plain.rho), real(plain.epsilon))

    return step


def _adam(plain):
    def step(xp, theta, gradient, state, alpha, t, decay=None):
        real = theta.dtype.type
        if type(plain).__name__ == "AdamW":
            if decay is not None:
                shrink(theta, decay, real(alpha))
            decay = None
        rate, epsilon = plain.folded(alpha, t)
        adam(theta, gradient, decay, state["s"], state["r"], real(rate), real(plain.beta1), real(plain.beta2),
             real(epsilon))  # fmt: skip

    return step


STEPS = {"SGD": _sgd, "Momentum": _momentum, "RMSProp": _rmsprop, "Adam": _adam, "AdamHat": _adam, "AdamW": _adam}
