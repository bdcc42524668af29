"""What all forms of layers share."""

from typing import Any, ClassVar


class Form:
    """What runs in place of layers in a row, with their `forward` and `backward`."""

    parameters: dict[str, Any] = {}  # noqa: RUF012 - of the layers, where they have any; and so
    statistics: dict[str, Any] = {}  # noqa: RUF012
    overwrites: ClassVar[bool] = False  # whether backward writes into its dA
