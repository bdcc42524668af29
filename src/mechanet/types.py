"""The types in the signatures of the mathematics, which is written for the arrays of any library."""

from typing import Any, TypeAlias

Array: TypeAlias = Any  # of whichever namespace
Namespace: TypeAlias = Any  # xp: the functions of the array API standard, for those arrays
