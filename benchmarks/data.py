"""The rows and the starting weights that all peers share: MNIST where it is at hand, else synthetic."""

import gzip
from pathlib import Path

import numpy as np

from .cases import Case


def read_idx(folder: str, name: str) -> np.ndarray:
    """Read one file of the IDX format, plain or gzip, as uint8."""
    path = Path(folder) / name
    raw = path.read_bytes() if path.exists() else gzip.decompress(path.with_name(name + ".gz").read_bytes())
    axes = raw[3]  # two zero bytes, the type (8: uint8), the number of axes, then each length
    shape = np.frombuffer(raw, ">u4", axes, offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * axes).reshape(shape)


def mnist(folder: str, part: str = "train") -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 784) uint8 and labels (n,) int64 of `part`, "train" or "t10k"."""
    images = read_idx(folder, f"{part}-images-idx3-ubyte")
    return images.reshape(images.shape[0], -1), read_idx(folder, f"{part}-labels-idx1-ubyte").astype(np.int64)


def load(case: Case, folder: str | None) -> tuple[np.ndarray, np.ndarray, str]:
    """Return X (rows, n_in) float32, the targets, and one word on where they come from."""
    n_in, n_out = case.sizes[0], case.sizes[-1]
    if folder is not None and n_in == 784 and case.rows <= 60_000:
        images, labels = mnist(folder)
        return images[: case.rows].astype(np.float32) / 255, labels[: case.rows], "MNIST"
    rng = np.random.default_rng(0)
    if case.regression:
        X = rng.standard_normal((case.rows, n_in), dtype=np.float32)
        Y = np.sin(X[:, :1]) + X[:, 1:2] * X[:, 2:3] + 0.1 * rng.standard_normal((case.rows, 1), dtype=np.float32)
        return X, Y.astype(np.float32), "synthetic"
    # Four in five pixels of a digit are blank; the rest lie between 0 and 1.
    X = rng.random((case.rows, n_in), dtype=np.float32)
    X = np.maximum(X - np.float32(0.8), 0) * np.float32(5)
    directions = rng.standard_normal((n_in, n_out), dtype=np.float32)
    return X, np.argmax(X @ directions, axis=1), "synthetic"


def starting_weights(case: Case, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    """He's normal weights (n_in, n_out) and zero biases, layer by layer, float32."""
    rng = np.random.default_rng(seed)
    return [
        (rng.normal(0, (2 / n) ** 0.5, (n, m)).astype(np.float32), np.zeros(m, np.float32))
        for n, m in zip(case.sizes, case.sizes[1:], strict=False)
    ]
