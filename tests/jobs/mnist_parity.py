"""The same training on NumPy and on emulated CUDA, on MNIST: losses, accuracy, batch order.

    PYTHONPATH=src:tests python tests/jobs/mnist_parity.py FOLDER [--rows 60000] [--optimizer sgd] [--dtype float32]

Ten epochs of 784-128-10 at batch 128. Exit status 1 unless the order is the same, the losses agree to 1e-4 relative
and the test accuracy to 0.1 point.

In float32 ten epochs are so long that a last bit grows into a difference of 3e-4 (SGD at 0.1) or 5e-3 (Adam): NumPy
drifts from itself as far when one parameter starts a last bit apart. So the two sides are given the same libraries
beneath: one kernel of OpenBLAS, and the C library's exp in place of NumPy's own for wide registers. (Where mechanet
was built without its compiled loops, also NumPy's sum over the rows, which goes row by row, in place of OpenBLAS's.)
What then still differs would be mechanet's. With --as-it-comes nothing of this is done.
"""

import argparse
import os
import sys
from typing import Any, NamedTuple

ONE_KERNEL = {"OPENBLAS_CORETYPE": "Haswell", "OPENBLAS_NUM_THREADS": "1"}
EXP_OF_C = {"NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR"}


class Trained(NamedTuple):
    losses: list[float]  # of the epochs
    accuracy: float  # on the test images
    order: Any  # of the rows, in the last epoch
    theta: Any


def train(device: str, data, arguments) -> Trained:
    import mechanet as mn

    chain = [mn.Scale(1 / 255), mn.Dense(128), mn.ReLU(), mn.Dense(10)]
    net = mn.Network(chain, input_shape=(784,), dtype=arguments.dtype, device=device, seed=0)
    x, y = data.train.x[: arguments.rows], data.train.y[: arguments.rows]
    training = mn.Training(net, x, y, optimizer=arguments.optimizer, batch_size=128, seed=0)
    losses = [epoch.loss for epoch in training.epochs(arguments.epochs)]
    accuracy = net.evaluate(data.test.x, data.test.y)["accuracy"]
    return Trained(losses, accuracy, training.batches.order(arguments.epochs), mn.backend.to_host(net.parameters))


def compare(here: Trained, there: Trained) -> tuple[str, bool]:
    """What is the same and what is apart on the two sides, and whether that is little enough."""
    apart = max(abs(b / a - 1) for a, b in zip(here.losses, there.losses, strict=True))
    same = bool((here.order == there.order).all())
    text = (
        f"losses on NumPy {' '.join(f'{loss:.6f}' for loss in here.losses)}\n"
        f"losses on CUDA  {' '.join(f'{loss:.6f}' for loss in there.losses)}\n"
        f"apart at most {apart:.1e}; test accuracy {here.accuracy:.2%} and {there.accuracy:.2%}; same order: {same}; "
        f"{(here.theta != there.theta).sum()} of {here.theta.size} parameters differ"
    )
    return text, same and apart <= 1e-4 and abs(here.accuracy - there.accuracy) <= 0.001


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--optimizer", default="sgd")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument(
        "--as-it-comes", action="store_true", help="with the rounding of each library's own choice"
    )
    arguments = parser.parse_args()
    wanted = ONE_KERNEL | EXP_OF_C
    if not arguments.as_it_comes and not wanted.items() <= os.environ.items():
        # The libraries read these when they are loaded.
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **wanted})

    import cpucuda

    cpucuda.install()
    import numpy as np

    import mechanet as mn
    from mechanet.backend import cpu_loops

    if not arguments.as_it_comes and not cpu_loops.LOOPS:
        cpu_loops.sum_rows = lambda A, out: np.add.reduce(A, axis=0, out=out)
    data = mn.datasets.load(arguments.folder)
    text, agree = compare(*(train(device, data, arguments) for device in ("cpu", "cuda")))
    print(text)
    return int(not agree)


if __name__ == "__main__":
    sys.exit(main())
