"""In a process of its own: import one peer, load MNIST, train until 97 % of the test set is right.

The parent times it from before the process starts until the answer arrives.
"""

import sys

from .cases import Case
from .worker import hold_to

TARGET = 0.97
CASE = Case(
    "start",
    "process start to 97 % on MNIST, 784-128-10, batch 128, Adam",
    (784, 128, 10),
    60_000,
    learning_rate=2e-3,
    limits={"pytorch": 0.5, "sklearn": 0.5, "jax": 0.5},
)


def main(name: str, cores: str, folder: str) -> None:
    hold_to([int(core) for core in cores.split(",")])
    import json

    from . import data
    from .peers import PEERS

    peer = next(peer for peer in PEERS if peer.name == name)
    X, Y, _ = data.load(CASE, folder)
    images, labels = data.mnist(folder, "t10k")
    model = peer.load().Model(CASE, X, Y, data.starting_weights(CASE), peer.device, **peer.options)
    images = images.astype("float32") / 255
    accuracy = epochs = 0
    while accuracy < TARGET and epochs < 20:
        model.epoch()
        epochs += 1
        accuracy = float((model.predict(images) == labels).mean())
    print(json.dumps({"accuracy": accuracy, "epochs": epochs}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
