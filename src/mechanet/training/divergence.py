"""The error of a training whose numbers are no longer finite."""


class DivergenceError(ArithmeticError):
    """The loss or the parameters are no longer finite; the last finite parameters were put back.

    Attributes
    ----------
    epoch : int
        Number of the epoch in which it happened, counted from 1.
    learning_rate : float
        The learning rate in use then.
    largest_gradient : float
        The largest absolute entry of the gradient at the end of that epoch.
    """

    def __init__(self, message: str, epoch: int, learning_rate: float, largest_gradient: float):
        super().__init__(message)
        self.epoch = epoch
        self.learning_rate = learning_rate
        self.largest_gradient = largest_gradient

    def __reduce__(self):
        return type(self), (str(self), self.epoch, self.learning_rate, self.largest_gradient)

    @classmethod
    def of(cls, epoch: int, learning_rate: float, largest_gradient: float) -> "DivergenceError":
        """The error, with what to try."""
        return cls(
            f"the training diverged in epoch {epoch}: the loss or the parameters are not finite "
            f"(learning rate {learning_rate:g}, largest gradient {largest_gradient:g}). The network holds the "
            "parameters from before that epoch. Try a lower learning rate, gradient_clip=1.0, or data scaled to "
            "[-1, 1].",
            epoch, learning_rate, largest_gradient,
        )  # fmt: skip
