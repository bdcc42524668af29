"""An explanation: the tree of a step's values, with its views."""

from mechanet.explain import page, terminal
from mechanet.explain.tree import Tree


class Explanation(Tree):
    """One training step as a tree of named values; see `mechanet.explain`.

    Printed, it is a view for a terminal, with colours where rich prints it; at the end of a notebook cell, a page.

    Attributes
    ----------
    network : str
        What was explained.
    forward, loss, backward, update : list of Step
        In the order in which they were computed.
    checks : list of EntryCheck
        Sampled entries of every gradient against numerical slopes.
    contributions : list of Contribution
        One an output; the ten with the highest scores where there are more.
    targets, predictions, row_losses : array (m,) or (m, k), (m, k), (m,)
        What was asked, what the link makes of the scores, and each row's own loss.
    loss_before, loss_after : float
        The loss of the batch, with the parameters before and after the update.
    image_shape : tuple of int or None
        How a row of x is to be drawn, where it is an image.
    notes : dict from str to str
        Settings of the step, such as the learning rate.

    Examples
    --------
    >>> import mechanet as mn
    >>> net = mn.Network([mn.Dense(1)], input_shape=(2,), loss="squared_error", dtype="float64")
    >>> net.parameters[...] = [2.0, -1.0, 0.5]
    >>> explanation = mn.explain(net, [[3.0, 4.0]], [1.5], optimizer=mn.SGD(0.1))
    >>> explanation[0, "Z"], explanation[0, "dW"]
    (array([[2.5]]), array([[3.],
           [4.]]))
    """

    def __str__(self) -> str:
        return terminal.text(self)

    def __repr__(self) -> str:
        return f"Explanation({self.network}, {len(list(self))} values, loss={self.loss_before:g})"

    def __rich__(self):
        return terminal.rich_view(self)

    def _repr_html_(self) -> str:
        return page.fragment(self)

    def to_html(self, path) -> None:
        """Write one self-contained page, readable in light and dark.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        page.write(self, path)
