"""The Poisson loss, for counts: how many calls, claims or clicks."""

from dataclasses import dataclass
from typing import Any, ClassVar

from mechanet.losses import LOSSES, Loss


def exp(xp, Z):
    """Predictions of a model of counts: the mean exp(Z), above 0 for every Z."""
    return xp.exp(Z)


@dataclass(frozen=True)
class Poisson(Loss):
    """Half the Poisson deviance with the exponential as link, for counts and other targets of at least 0.

    With P = exp(Z): L = Σ_i c_i Σ_k (P - T Z + T log T - T), dZ = c (P - T). The last two terms do not change
    with Z; because of them the loss of a perfect prediction is 0 (T log T is 0 for T = 0).

    Targets are numbers of at least 0, of shape (m,) for one output or (m, k).

    References
    ----------
    McCullagh and Nelder (1989), Generalized linear models, section 6.2 and table 2.3.
    """

    name: ClassVar[str] = "poisson"
    link: ClassVar[Any] = staticmethod(exp)

    def check_targets(self, y, outputs):
        y = self._targets_like_outputs(y, outputs)
        if (y < 0).any():
            row, column = (int(i[0]) for i in (y < 0).nonzero())
            raise ValueError(
                f"poisson expects y of at least 0, such as counts. Received: y[{row}, {column}]={y[row, column]}."
            )
        return y, None

    def __call__(self, xp, Z, T, c):
        P = xp.exp(Z)
        constant = T * xp.log(xp.where(T > 0.0, T, 1.0)) - T
        return xp.vecdot(c, xp.sum(P - T * Z + constant, axis=1)), c[:, None] * (P - T)

    def labels(self, xp, Z):
        return super().labels(xp, xp.exp(Z))


LOSSES[Poisson.name] = Poisson
