"""Draws that are functions of where they are used: any process or device can make just its own part."""

import math

import numpy as np

UNIT = np.float32(2.0**-24)


def uniform(seed: int, stream: tuple[int, int, int], first: int, shape: tuple[int, ...]) -> np.ndarray:
    """Rows `first`, `first` + 1, ... of an endless array of draws from U[0, 1): float32, of `shape`.

    Entry i of it, counted row by row, is the upper 24 bits of word i of the sequence that NumPy's Philox (4x64, 10
    rounds) gives for the key `seed` and the counter (0, *stream). It depends on nothing else, and so not on how
    many are drawn at once. These are the numbers of ``Generator.random(dtype="float32")``.

    References
    ----------
    Salmon, Moraes, Dror and Shaw (2011), Parallel random numbers: as easy as 1, 2, 3.
    """
    count, start = math.prod(shape), first * math.prod(shape[1:])
    block, skip = divmod(start, 8)  # the counter advances by one for 4 words of 64 bits, which are 8 of 32
    philox = np.random.Philox(key=seed % 2**128, counter=[block, *stream])
    words = philox.random_raw(-(-(skip + count) // 2)).view(np.uint32)[skip : skip + count]
    return ((words >> np.uint32(8)).astype(np.float32) * UNIT).reshape(shape)
