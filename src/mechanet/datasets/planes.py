"""Toy planes: labelled points in two dimensions that no straight line separates."""

import numpy as np

from mechanet import checks
from mechanet.datasets.dataset import Dataset, Split


def spiral(n=1000, noise=0.1, seed=0, classes=3, test_fraction=0.2) -> Dataset:
    """Draw arms of a spiral that wind around the origin, one for each class.

    At distance r from the origin, r ~ U(0, 1), a point of class c lies at the angle

        φ = 2π (r + c / classes) + noise · ε,    ε ~ N(0, 1)

    so each arm makes one turn, and (x₁, x₂) = (r sin φ, r cos φ).

    Parameters
    ----------
    n : int
        The number of points, test points included.
    noise : float
        The standard deviation of the angle, in radians.
    seed : int
        The same seed gives the same points.
    classes : int
        The number of arms, at least 2.
    test_fraction : float
        The share of test points, in [0, 1); 0 gives ``test=None``.

    Returns
    -------
    Dataset
        x (n, 2) float32, y (n,) int64, in random order, the classes equally frequent.

    Raises
    ------
    ValueError, TypeError
        An argument outside its range, or not a number.
    """
    rng, y = _start(n, noise, seed, classes, test_fraction)
    r = rng.uniform(0, 1, n)
    phi = 2 * np.pi * (r + y / classes) + noise * rng.standard_normal(n)
    return _finish("spiral", np.stack([r * np.sin(phi), r * np.cos(phi)], axis=1), y, classes, test_fraction)


def moons(n=1000, noise=0.1, seed=0, test_fraction=0.2) -> Dataset:
    """Draw two interlocking half circles.

    At the angle φ ~ U(0, π), class 0 is (cos φ, sin φ) and class 1 is (1 - cos φ, ½ - sin φ),
    each coordinate plus noise · ε, ε ~ N(0, 1).

    Parameters, Returns, Raises: as in `spiral`, with two classes and `noise` in the plane's units.
    """
    rng, y = _start(n, noise, seed, 2, test_fraction)
    phi = rng.uniform(0, np.pi, n)
    x = np.stack([np.cos(phi), np.sin(phi)], axis=1)
    x = np.where(y[:, None] == 0, x, np.array([1.0, 0.5]) - x)
    return _finish("moons", x + noise * rng.standard_normal((n, 2)), y, 2, test_fraction)


def circles(n=1000, noise=0.1, seed=0, classes=2, test_fraction=0.2) -> Dataset:
    """Draw circles around the origin, one inside the other.

    Class c has the radius (c + 1) / classes; at the angle φ ~ U(0, 2π) a point is that radius times
    (cos φ, sin φ), each coordinate plus noise / classes · ε, ε ~ N(0, 1).

    Parameters, Returns, Raises: as in `spiral`, with `noise` in units of the gap between two circles.
    """
    rng, y = _start(n, noise, seed, classes, test_fraction)
    phi = rng.uniform(0, 2 * np.pi, n)
    x = ((y + 1) / classes)[:, None] * np.stack([np.cos(phi), np.sin(phi)], axis=1)
    return _finish("circles", x + noise / classes * rng.standard_normal((n, 2)), y, classes, test_fraction)


def xor(n=1000, noise=0.1, seed=0, test_fraction=0.2) -> Dataset:
    """Draw the four quadrants of a square: class 1 where x₁ and x₂ differ in sign, else class 0.

    The points are uniform in the square from -1 to 1; after they are labelled, each coordinate gets
    noise · ε, ε ~ N(0, 1).

    Parameters, Returns, Raises: as in `spiral`, with two classes and `noise` in the plane's units.
    """
    rng, y = _start(n, noise, seed, 2, test_fraction)
    x = rng.uniform(0, 1, (n, 2))  # in the first quadrant; the signs follow
    sign = rng.choice([-1.0, 1.0], n)
    x = x * np.stack([sign, np.where(y == 0, sign, -sign)], axis=1)
    return _finish("xor", x + noise * rng.standard_normal((n, 2)), y, 2, test_fraction)


def _start(n, noise, seed, classes, test_fraction):
    """Check the arguments; return a generator and n labels in random order, as evenly spread as n allows."""
    n = checks.integer("n", n, minimum=checks.integer("classes", classes, minimum=2))  # one point a class
    checks.real("noise", noise, 0.0)
    checks.real("test_fraction", test_fraction, 0.0, 1.0, open_high=True)
    rng = np.random.default_rng(checks.integer("seed", seed, 0))
    return rng, rng.permutation(np.arange(n) % classes)


def _finish(name, x, y, classes, test_fraction):
    """Split off the test rows; the labels are already in random order."""
    x, tests = x.astype(np.float32), int(len(y) * test_fraction)
    train = Split(x[tests:], y[tests:])
    test = Split(x[:tests], y[:tests]) if tests else None
    return Dataset(name, train, test, classes=tuple(str(c) for c in range(classes)), source="drawn, not measured")
