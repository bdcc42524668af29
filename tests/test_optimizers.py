"""Optimizers against the papers' formulas in scalar loops, PyTorch, and hand-worked first steps."""

import math

import numpy as np
import pytest

import mechanet as mn
from mechanet.optimizers import OPTIMIZERS, clip, optimizer_from

CASES = [
    mn.SGD(0.1), mn.SGD(0.1, momentum=0.9), mn.SGD(0.1, momentum=0.9, nesterov=True), mn.SGD(0.1, weight_decay=0.1),
    mn.SGD(0.05, momentum=0.8, nesterov=True, weight_decay=0.1), mn.RMSProp(0.01), mn.RMSProp(0.01, 0.9, 1e-6, 0.1),
    mn.Adam(0.01), mn.Adam(0.01, 0.8, 0.95, 1e-3), mn.Adam(0.01, weight_decay=0.1), mn.AdamW(0.01),
    mn.AdamHat(0.01, epsilon=0.1),
    mn.AdamW(0.01, weight_decay=0.2), mn.Momentum(0.1), mn.Momentum(0.05, 0.8, nesterov=False, weight_decay=0.1),
]  # fmt: skip


def run(place, optimizer, theta, gradients, dtype="float64"):
    theta = place.asarray(theta, dtype)
    if place.readonly:
        theta = theta.copy()
    state = {name: place.xp.zeros_like(theta) for name in optimizer.vectors}
    decay = place.asarray(np.full(theta.shape, optimizer.weight_decay), dtype) if optimizer.weight_decay else None
    for t, gradient in enumerate(gradients, 1):
        optimizer.step(place.xp, theta, place.asarray(gradient, dtype), state, optimizer.learning_rate, t, decay)
    return place.to_host(theta)


def textbook(optimizer, theta, gradients):
    """One parameter at a time, in Python floats, as the papers write it."""
    out = []
    for p, own in zip(theta, np.transpose(gradients), strict=True):
        u = m = v = 0.0
        a, w = optimizer.learning_rate, optimizer.weight_decay
        for t, g in enumerate(own, 1):
            if isinstance(optimizer, mn.AdamW):
                p = p - a * w * p
            else:
                g = g + w * p
            if isinstance(optimizer, mn.SGD):
                u = optimizer.momentum * u + g
                p = p - a * (g + optimizer.momentum * u if optimizer.nesterov else u)
            elif isinstance(optimizer, mn.Momentum):
                u = optimizer.momentum * u - a * g
                p = p + (optimizer.momentum * u - a * g if optimizer.nesterov else u)
            elif isinstance(optimizer, mn.RMSProp):
                v = optimizer.rho * v + (1 - optimizer.rho) * g**2
                p = p - a * g / (math.sqrt(v) + optimizer.epsilon)
            else:
                m = optimizer.beta1 * m + (1 - optimizer.beta1) * g
                v = optimizer.beta2 * v + (1 - optimizer.beta2) * g**2
                m_hat, v_hat = m / (1 - optimizer.beta1**t), v / (1 - optimizer.beta2**t)
                if isinstance(optimizer, mn.AdamHat):  # the paper's section 2, last equation
                    rate = a * math.sqrt(1 - optimizer.beta2**t) / (1 - optimizer.beta1**t)
                    p = p - rate * m / (math.sqrt(v) + optimizer.epsilon)
                else:
                    p = p - a * m_hat / (math.sqrt(v_hat) + optimizer.epsilon)
        out.append(p)
    return out


def test_every_optimizer_is_tested():
    missing = set(OPTIMIZERS.values()) - {type(case) for case in CASES}
    assert not missing, f"write {missing} into CASES and its step for one number into textbook, from the paper"


@pytest.mark.parametrize("optimizer", CASES, ids=repr)
def test_steps_are_the_papers(place, optimizer, rng):
    theta, gradients = rng.normal(size=5), rng.normal(size=(20, 5))
    np.testing.assert_allclose(
        run(place, optimizer, theta, gradients), textbook(optimizer, theta, gradients), 1e-12
    )


TORCH = {
    mn.SGD: lambda o: ("SGD", {"momentum": o.momentum, "nesterov": o.nesterov}),
    mn.Momentum: lambda o: ("SGD", {"momentum": o.momentum, "nesterov": o.nesterov}),
    mn.RMSProp: lambda o: ("RMSprop", {"alpha": o.rho, "eps": o.epsilon}),
    mn.Adam: lambda o: ("Adam", {"betas": (o.beta1, o.beta2), "eps": o.epsilon}),
    mn.AdamW: lambda o: ("AdamW", {"betas": (o.beta1, o.beta2), "eps": o.epsilon}),
}


@pytest.mark.parametrize("optimizer", [case for case in CASES if type(case) in TORCH], ids=repr)
def test_steps_are_pytorchs(optimizer, rng):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    name, options = TORCH[type(optimizer)](optimizer)
    theta, gradients = rng.normal(size=5), rng.normal(size=(20, 5))
    tensor = torch.tensor(theta, requires_grad=True)
    theirs = getattr(torch.optim, name)(
        [tensor], lr=optimizer.learning_rate, weight_decay=optimizer.weight_decay, **options
    )
    for gradient in gradients:
        tensor.grad = torch.tensor(gradient)
        theirs.step()
    mine = theta.copy()
    state = {vector: np.zeros(5) for vector in optimizer.vectors}
    decay = np.full(5, optimizer.weight_decay) if optimizer.weight_decay else None
    for t, gradient in enumerate(gradients, 1):
        optimizer.step(np, mine, gradient, state, optimizer.learning_rate, t, decay)
    np.testing.assert_allclose(mine, tensor.detach().numpy(), rtol=1e-10)


def test_the_first_step_of_adam_is_the_learning_rate():
    """s = dθ and √r = |dθ|: a step of α, whatever the gradient's size."""
    for size in (1e-3, 1.0, 1e3):
        theta, state = np.array([1.0, -1.0]), {"s": np.zeros(2), "r": np.zeros(2)}
        mn.Adam(0.1).step(np, theta, np.array([size, -size]), state, 0.1, 1)
        np.testing.assert_allclose(theta, [0.9, -0.9], rtol=1e-5)


def test_the_gradient_is_left_as_it_is(rng):
    for optimizer in CASES:
        gradient = rng.normal(size=5)
        gradient.flags.writeable = False
        state = {name: np.zeros(5) for name in optimizer.vectors}
        optimizer.step(np, np.ones(5), gradient, state, 0.1, 1, np.full(5, 0.1))


def test_the_velocity_of_momentum_keeps_the_learning_rate_it_was_made_with():
    """dθ = 1: v = -0.1, θ = -0.1; then at a tenth of α: v = 0.5 (-0.1) - 0.01 = -0.06, θ = -0.16."""
    theta, state = np.zeros(1), {"v": np.zeros(1)}
    optimizer = mn.Momentum(0.1, 0.5, nesterov=False)
    optimizer.step(np, theta, np.ones(1), state, 0.1, 1)
    optimizer.step(np, theta, np.ones(1), state, 0.01, 2)
    np.testing.assert_allclose(theta, [-0.16], rtol=1e-14)


def test_clip(place):
    """(3, 4) has norm 5: cut to 1 it is (0.6, 0.8); within 10 it stays."""
    for limit, expected in ((1.0, [0.6, 0.8]), (5.0, [3.0, 4.0]), (10.0, [3.0, 4.0])):
        gradient = place.xp.asarray(place.asarray([3.0, 4.0], "float64"), copy=True)
        clip(place.xp, gradient, limit)
        np.testing.assert_allclose(place.to_host(gradient), expected, rtol=1e-12)
    zero = place.xp.zeros_like(place.asarray([3.0, 4.0], "float32"))
    clip(place.xp, zero, 1.0)
    np.testing.assert_array_equal(place.to_host(zero), [0.0, 0.0])


@pytest.mark.parametrize("optimizer", CASES, ids=repr)
def test_configuration_there_and_back(optimizer):
    assert optimizer_from(optimizer.config()) == optimizer


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: mn.SGD(0.0), ValueError, "learning_rate expects a finite number above 0. Received: learning_rate=0.0."),
        (lambda: mn.SGD(-1), ValueError, "learning_rate expects a finite number above 0. Received: learning_rate=-1."),
        (lambda: mn.SGD(math.nan), ValueError, "Received: learning_rate=nan."),
        (lambda: mn.SGD("fast"), TypeError, "learning_rate expects a number. Received: learning_rate='fast'."),
        (lambda: mn.SGD(0.1, 1.0), ValueError, "momentum expects a number in [0, 1). Received: momentum=1.0."),
        (lambda: mn.SGD(0.1, nesterov=True), ValueError, "nesterov expects a momentum above 0. Received: momentum=0."),
        (lambda: mn.Adam(0.1, beta2=1), ValueError, "beta2 expects a number in [0, 1). Received: beta2=1."),
        (lambda: mn.Adam(epsilon=0), ValueError, "epsilon expects a finite number above 0. Received: epsilon=0."),
        (lambda: mn.RMSProp(weight_decay=-1), ValueError, "weight_decay expects a finite number of at least 0."),
        (lambda: optimizer_from("adm"), ValueError, "Received: optimizer='adm'. Did you mean 'adam'?"),
    ],
)  # fmt: skip
def test_wrong_options(make, error, text):
    with pytest.raises(error) as caught:
        make()
    assert text in str(caught.value)
