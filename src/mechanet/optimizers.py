"""Optimizers: variations of θ ← θ - α dθ, in order of increasing complexity.

θ, its gradient dθ and the optimizer's own vectors are flat arrays of one length, so a step is a few operations
over whole vectors however deep the network is. An optimizer is a value that holds its options; the vectors it
needs are named by `vectors`, belong to the training, and start at zero.

Weight decay is an L2 penalty: λ θ is added to dθ (AdamW decouples it). It acts on weights and not on biases:
`decay` is λ where θ holds a weight and 0 where it holds a bias.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from mechanet import checks


class Optimizer:
    """What all optimizers share. An optimizer is a frozen dataclass: its fields are its options."""

    learning_rate: float
    weight_decay: float

    def __post_init__(self):
        checks.real("learning_rate", self.learning_rate, 0.0, open_low=True)
        checks.real("weight_decay", self.weight_decay, 0.0)

    @property
    def vectors(self) -> tuple[str, ...]:
        """Names of the vectors, as long as θ, that the optimizer keeps from step to step."""
        return ()

    def step(self, xp, theta, gradient, state, alpha: float, t: int, decay=None) -> None:
        """Update θ and the optimizer's vectors in place.

        Parameters
        ----------
        xp : module
            The array namespace.
        theta, gradient : array (p,)
            θ and dθ; the gradient is left as it is.
        state : mapping from name to array (p,)
            The vectors named by `vectors`.
        alpha : float
            α, the learning rate of this step.
        t : int
            The number of this step, counted from 1.
        decay : array (p,), optional
            λ for weights, 0 for biases; None without weight decay.
        """
        raise NotImplementedError

    def config(self) -> dict:
        """Name and options, as plain data that `optimizer_from` takes back."""
        return {"name": type(self).__name__, **asdict(self)}  # type: ignore[call-overload]

    def with_learning_rate(self, learning_rate: float) -> "Optimizer":
        """A copy with another learning rate."""
        return replace(self, learning_rate=learning_rate)  # type: ignore[type-var]


@dataclass(frozen=True)
class SGD(Optimizer):
    """Gradient descent: θ ← θ - α dθ; with momentum μ, u ← μ u + dθ and θ ← θ - α u.

    With Nesterov's momentum, θ ← θ - α (dθ + μ u). The forms are PyTorch's, where α may change between steps.

    References
    ----------
    Polyak (1964), Some methods of speeding up the convergence of iteration methods. Sutskever et al. (2013), On
    the importance of initialization and momentum, equations 1 to 4.
    """

    learning_rate: float = 0.1
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        checks.real("momentum", self.momentum, 0.0, 1.0, open_high=True)
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov expects a momentum above 0. Received: momentum=0.")

    @property
    def vectors(self):
        return ("u",) if self.momentum else ()

    def step(self, xp, theta, gradient, state, alpha, t, decay=None):
        gradient = decayed(gradient, theta, decay)
        if self.momentum:
            u = state["u"]
            u *= self.momentum
            u += gradient
            gradient = gradient + self.momentum * u if self.nesterov else u
        theta -= alpha * gradient


@dataclass(frozen=True)
class Momentum(Optimizer):
    """Gradient descent with a velocity v that holds the learning rate: v ← μ v - α dθ, θ ← θ + v.

    With Nesterov's momentum, θ ← θ + μ v - α dθ. This is scikit-learn's form; as long as α stays the same it takes
    the same steps as `SGD`. When α changes, the velocity here remembers the old one.

    References
    ----------
    Sutskever et al. (2013), On the importance of initialization and momentum, equations 1 to 4, with Nesterov's
    momentum written for the point that the gradient is taken at, as in Bengio et al. (2013), Advances in
    optimizing recurrent networks, equation 7.
    """

    learning_rate: float = 0.1
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        checks.real("momentum", self.momentum, 0.0, 1.0)

    @property
    def vectors(self):
        return ("v",)

    def step(self, xp, theta, gradient, state, alpha, t, decay=None):
        gradient = decayed(gradient, theta, decay)
        v, descent = state["v"], alpha * gradient
        v *= self.momentum
        v -= descent
        theta += self.momentum * v - descent if self.nesterov else v


@dataclass(frozen=True)
class RMSProp(Optimizer):
    """v ← ρ v + (1 - ρ) dθ², θ ← θ - α dθ / (√v + ε).

    References
    ----------
    Tieleman and Hinton (2012), Lecture 6.5: rmsprop.
    """

    learning_rate: float = 1e-3
    rho: float = 0.99
    epsilon: float = 1e-8
    weight_decay: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        checks.real("rho", self.rho, 0.0, 1.0, open_high=True)
        checks.real("epsilon", self.epsilon, 0.0, open_low=True)

    @property
    def vectors(self):
        return ("v",)

    def step(self, xp, theta, gradient, state, alpha, t, decay=None):
        gradient = decayed(gradient, theta, decay)
        v = state["v"]
        move_towards(v, gradient * gradient, 1.0 - self.rho)
        root = xp.sqrt(v)
        root += self.epsilon
        step = gradient / root
        step *= alpha
        theta -= step


@dataclass(frozen=True)
class Adam(Optimizer):
    """Means m of dθ and v of dθ², both corrected for their start at zero.

    m ← β₁ m + (1 - β₁) dθ, v ← β₂ v + (1 - β₂) dθ², θ ← θ - α (m / (1 - β₁ᵗ)) / (√(v / (1 - β₂ᵗ)) + ε).

    Kept are the sums s = m / (1 - β₁) and r = v / (1 - β₂): s ← β₁ s + dθ, r ← β₂ r + dθ². All factors and
    corrections are folded into two numbers, so that θ ← θ - α̂ s / (√r + ε̂), which is the same step with

    α̂ = α (1 - β₁) / (1 - β₁ᵗ) · √((1 - β₂ᵗ) / (1 - β₂)) and ε̂ = ε √((1 - β₂ᵗ) / (1 - β₂)).

    References
    ----------
    Kingma and Ba (2015), Adam, algorithm 1 and the end of section 2. ε stands where it stands in algorithm 1
    and in PyTorch: it is added to the corrected root.
    """

    learning_rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        checks.real("beta1", self.beta1, 0.0, 1.0, open_high=True)
        checks.real("beta2", self.beta2, 0.0, 1.0, open_high=True)
        checks.real("epsilon", self.epsilon, 0.0, open_low=True)

    @property
    def vectors(self):
        return ("s", "r")

    def folded(self, alpha: float, t: int) -> tuple[float, float]:
        """α̂ and ε̂ of step t."""
        root = math.sqrt((1.0 - self.beta2**t) / (1.0 - self.beta2))
        return alpha * (1.0 - self.beta1) / (1.0 - self.beta1**t) * root, self.epsilon * root

    def step(self, xp, theta, gradient, state, alpha, t, decay=None):
        gradient = decayed(gradient, theta, decay)
        s, r = state["s"], state["r"]
        alpha, epsilon = self.folded(alpha, t)
        s *= self.beta1
        s += gradient
        r *= self.beta2
        r += gradient * gradient
        root = xp.sqrt(r)
        root += epsilon
        step = s / root
        step *= alpha
        theta -= step


class AdamHat(Adam):
    """Adam with ε at the root that is not corrected: θ ← θ - α √(1 - β₂ᵗ) / (1 - β₁ᵗ) m / (√v + ε).

    This is the form of scikit-learn and Keras.

    The steps differ from `Adam`'s where gradients are as small as ε, and only in the first thousand or so.

    References
    ----------
    Kingma and Ba (2015), Adam, the end of section 2.
    """

    def folded(self, alpha, t):
        return super().folded(alpha, t)[0], self.epsilon / math.sqrt(1.0 - self.beta2)


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay: θ ← θ - α λ θ first, then Adam's step on the loss's own gradient.

    References
    ----------
    Loshchilov and Hutter (2019), Decoupled weight decay regularization, algorithm 2.
    """

    weight_decay: float = 0.01

    def step(self, xp, theta, gradient, state, alpha, t, decay=None):
        if decay is not None:
            theta -= alpha * decay * theta
        super().step(xp, theta, gradient, state, alpha, t)


def decayed(gradient, theta, decay):
    """dθ + λ θ, the gradient with that of an L2 penalty; dθ itself where `decay` is None."""
    if decay is None:
        return gradient
    penalized = decay * theta
    penalized += gradient
    return penalized


def move_towards(mean, value, share: float) -> None:
    """mean ← mean + share (value - mean), in place: a running mean, (1 - share) mean + share value."""
    change = value - mean
    change *= share
    mean += change


def clip(xp, gradient, limit: float) -> None:
    """dθ ← dθ min(1, limit / ‖dθ‖), in place: a gradient longer than `limit` is shortened to it.

    References
    ----------
    Pascanu, Mikolov and Bengio (2013), On the difficulty of training recurrent neural networks, algorithm 1.
    """
    norm = xp.sqrt(xp.vecdot(gradient, gradient))
    gradient *= limit / xp.maximum(norm, limit)


OPTIMIZERS = {"sgd": SGD, "momentum": Momentum, "rmsprop": RMSProp, "adam": Adam, "adam_hat": AdamHat,
              "adamw": AdamW}  # fmt: skip


def optimizer_from(value: "str | Mapping[str, Any] | Optimizer") -> Optimizer:
    """Return an optimizer given by name, as an object, or as the plain data of `Optimizer.config`."""
    if isinstance(value, Optimizer):
        return value
    if isinstance(value, Mapping):
        classes = {kind.__name__: kind for kind in OPTIMIZERS.values()}
        options = dict(value)
        return classes[checks.one_of("optimizer", options.pop("name", None), classes)](**options)
    return OPTIMIZERS[checks.one_of("optimizer", value, OPTIMIZERS)]()
