"""A picture of a digit, drawn or photographed by anyone, converted to the form of MNIST's."""

import warnings

import numpy as np

SIDE, BOX = 28, 20  # pixels: MNIST's field, and the box in it that holds the digit
LARGEST = 50_000_000  # pixels; a phone's photograph has 12 to 50 million
ENOUGH = 400  # pixels on the longer side; a larger picture is averaged down to fewer first
FAINTEST = 0.2  # of the strongest ink; what is weaker is paper, shade or noise
NOISE = 7.0  # times the median deviation at the edges, where there is no ink: 4.7 standard deviations
LEAST_CONTRAST = 16  # of 255, between ink and background


def read_image(file):
    """Read a PNG or JPEG picture of one digit as a row of pixels like MNIST's.

    MNIST's digits are white on black, scaled to fit a box of 20x20 pixels with their proportions kept, and
    placed so that their centre of mass is the centre of a 28x28 field. The same is done here:

    1. Greyscale; turned upright as the camera says; transparent parts become background.
    2. The background is read from the edges, as a level and a slope. If it is light, the picture is
       inverted.
    3. What differs from it by less than a fifth of the strongest difference, or no more than the edges' own
       noise, is background.
    4. Cut to the digit, scaled to 20 pixels on its longer side, centred by mass in 28x28.

    A picture that already has this form is returned pixel by pixel.

    Parameters
    ----------
    file : str, path-like or binary file
        A PNG or JPEG of any size up to 50 million pixels, of one digit on a plain background.

    Returns
    -------
    numpy.ndarray, shape (784,), uint8
        0 for the background, 255 for full ink, row by row.

    Raises
    ------
    ValueError
        The file is not a PNG or JPEG, is damaged or too large, or shows nothing.
    OSError
        The file cannot be read.
    ImportError
        Pillow is not installed.

    References
    ----------
    Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document recognition",
    1998, section III.A.
    """
    if hasattr(file, "read"):
        grey = _grey(file, "image")
    else:
        with open(file, "rb") as opened:
            grey = _grey(opened, file)
    grey, ground = _on_black(grey)
    if _is_presented(grey):
        return np.rint(grey).astype(np.uint8).reshape(-1)
    name = "image" if hasattr(file, "read") else file
    return _centre(_fit(_cut(_ink(grey - ground, name)))).reshape(-1)  # (784,)


def _pillow():
    try:
        import PIL.Image
        import PIL.ImageOps
    except ImportError as error:
        raise ImportError('reading images needs Pillow: pip install "mechanet[plots]"') from error
    return PIL


def _grey(file, name):
    """The picture as grey levels 0..255, float32, (rows, columns)."""
    pil = _pillow()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns about what is checked here, and about odd metadata
            with pil.Image.open(file, formats=["PNG", "JPEG"]) as picture:
                size = picture.width * picture.height
                if size <= LARGEST:
                    return _decode(picture, pil)
    except pil.Image.DecompressionBombError:
        raise ValueError(
            f"{name}: expected an image of at most {LARGEST:,} pixels. Received: a larger one."
        ) from None
    except pil.UnidentifiedImageError:
        raise ValueError(f"{name}: expected a PNG or JPEG image. Received: something else.") from None
    except Exception as error:  # decoders raise almost anything on damaged bytes
        raise ValueError(
            f"{name}: expected a whole PNG or JPEG image. Received: a damaged one ({error})."
        ) from error
    raise ValueError(f"{name}: expected an image of at most {LARGEST:,} pixels. Received: {size:,}.")


def _decode(picture, pil):
    picture.load()
    pil.ImageOps.exif_transpose(picture, in_place=True)
    if picture.mode.startswith("I"):  # 16 bits a pixel
        picture = pil.Image.fromarray(np.asarray(picture, np.float32) / 257)
    else:
        picture = picture.convert("RGBA" if picture.has_transparency_data else "L")
    # A large picture is averaged in blocks: faster, and the noise of a camera averages out.
    picture = picture.reduce(-(-max(picture.size) // ENOUGH))
    if picture.mode == "RGBA":
        # A drawing on a transparent background is put on black if it is light, else on white.
        alpha = np.asarray(picture.getchannel("A"), np.float32)
        drawn = (np.asarray(picture.convert("L"), np.float32) * alpha).sum() / max(alpha.sum(), 1.0)
        ground = pil.Image.new("RGBA", picture.size, "black" if drawn > 127 else "white")
        picture = pil.Image.alpha_composite(ground, picture).convert("L")
    return np.asarray(picture, np.float32)


def _edges(grey):
    return np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])


def _on_black(grey):
    """The picture with a dark background, and that background: a level and a slope along each side.

    Medians along the edges, so that a digit that touches an edge does not count.
    """
    level = np.median(_edges(grey))
    down = np.median(grey[-1]) - np.median(grey[0])
    across = np.median(grey[:, -1]) - np.median(grey[:, 0])
    height, width = grey.shape
    ground = level + down * np.linspace(-0.5, 0.5, height)[:, None] + across * np.linspace(-0.5, 0.5, width)
    return (255 - grey, 255 - ground) if level > 127 else (grey, ground)


def _is_presented(grey):
    """Whether the picture already has MNIST's form: 28x28, the digit in a 20x20 box, centred by mass."""
    if grey.shape != (SIDE, SIDE) or not grey.any():
        return False
    middle = [grey.sum(axis=other) @ np.arange(SIDE) / grey.sum() for other in (1, 0)]
    return max(_cut(grey).shape) <= BOX and all(abs(m - SIDE / 2) < 0.6 for m in middle)


def _ink(ink, name):
    """Stretch what stands out from the background to 255, and drop what is too faint."""
    strongest = ink.max()
    if strongest < LEAST_CONTRAST:
        raise ValueError(
            f"{name}: expected a digit that stands out from its background. Received: an image without one "
            f"(contrast {max(strongest, 0):.0f} of 255)."
        )
    noise = NOISE * np.median(np.abs(_edges(ink)))
    faintest = np.clip(noise, strongest * FAINTEST, strongest / 2)
    return np.where(ink < faintest, 0, ink * (255 / strongest)).astype(np.float32)


def _cut(ink):
    """Cut to the rows and columns that hold ink."""
    rows, columns = (np.flatnonzero(ink.any(axis=other)) for other in (1, 0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _fit(ink):
    """Scale to 20 pixels on the longer side, the proportions kept, the strongest ink 255 again.

    A thin pen in a large picture fades when it is made small; MNIST's strokes do not.
    """
    image = _pillow().Image
    height, width = (max(1, round(side * BOX / max(ink.shape))) for side in ink.shape)
    ink = np.asarray(image.fromarray(ink).resize((width, height), image.Resampling.BICUBIC))
    return np.clip(ink * (255 / ink.max()), 0, 255)


def _centre(ink):
    """Place in the 28x28 field, the centre of mass as near its centre as whole pixels and the edges allow."""
    mass = ink.sum()
    field = np.zeros((SIDE, SIDE), np.uint8)
    top, left = (
        int(np.clip(round(SIDE / 2 - (ink.sum(axis=other) @ np.arange(side)) / mass), 0, SIDE - side))
        for side, other in zip(ink.shape, (1, 0), strict=True)
    )
    field[top : top + ink.shape[0], left : left + ink.shape[1]] = np.rint(ink)
    return field
