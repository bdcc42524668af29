"""A film of a training."""

import io
from pathlib import Path

from mechanet import checks
from mechanet.plots import canvas
from mechanet.plots.images import weights
from mechanet.plots.planes import decision_boundary

FRAMES = 60
COLOURS = 128
STILL = 2000  # milliseconds for which the last picture stays


def training_film(training, epochs: int, path, *, frames: int = FRAMES, frames_a_second: float = 8.0,
                  image_shape=None) -> Path:  # fmt: skip
    """Continue a training, and write an animated GIF of what it learns.

    With two inputs it shows the decision boundary and the training rows, else the weights of the first layer.

    Parameters
    ----------
    training : Training
        Continued for `epochs` epochs, as by ``training.epochs(epochs)``.
    epochs : int
    path : str or path
        Where to write the GIF, by Pillow.
    frames : int
        At most this many; with more epochs only every so many is shown, and the last.
    frames_a_second : float
    image_shape : (height, width), optional
        How the input is drawn; see `weights`.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ImportError
        Without matplotlib or Pillow.
    """
    frames, epochs = checks.integer("frames", frames), checks.integer("epochs", epochs)
    canvas.matplotlib()
    from PIL import Image

    net = training.network
    plane = net.input_shape == (2,) and hasattr(training.batches, "X")
    if plane:
        x, y = canvas.host(training.batches.X), canvas.host(training.batches.T)
    pictures: list[Image.Image] = []

    def draw(title: str) -> None:
        figure = canvas.figure(4.6, 4.0)
        figure.set_dpi(90)
        ax = figure.add_subplot()
        if plane:
            decision_boundary(net, x, y, ax=ax)
        else:
            weights(net, image_shape=image_shape, ax=ax)
        ax.set_title(title, fontsize=10)
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=90)
        pictures.append(Image.open(file).convert("RGB"))

    every = -(-epochs // frames)
    draw(f"epoch {training.epoch}")
    for epoch in training.epochs(epochs):
        last = training.finished
        if epoch.number % every == 0 or last:
            accuracy = f", accuracy {epoch.accuracy:.1%}" if epoch.accuracy is not None else ""
            draw(f"epoch {epoch.number}, loss {epoch.loss:.4f}{accuracy}")

    # One palette for all frames and no dithering: what does not change between frames then costs nothing.
    palette = pictures[-1].quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE)
    first, *others = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    durations = [round(1000 / frames_a_second)] * len(pictures)
    durations[-1] = STILL  # a film that begins again at once cannot be read
    first.save(Path(path), format="GIF", save_all=True, append_images=others, duration=durations, loop=0)
    return Path(path)
