"""Find MNIST and Fashion-MNIST by name: in ``$MECHANET_DATA``, in the user's cache, or at a public mirror.

A download is decompressed as it arrives, into a temporary file in the cache; it gets its name only if its
SHA-256 is the pinned one. So no partial file ever has that name, and what a mirror sends is used only if it is
the published data to the last byte.
"""

import os
import sys
import time
import zlib
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from mechanet.datasets.dataset import Dataset
from mechanet.datasets.folders import idx_file, read_idx_folder
from mechanet.datasets.idx import read_idx
from mechanet.datasets.known import IMAGES, LABELS, Known, digest, recognise

TIMEOUT = 30.0  # seconds to wait for a connection, and for the next bytes
LARGEST = {"images": 64 * 2**20, "labels": 2**20}  # bytes of one file, decompressed; MNIST's are 47 MB and 60 kB


def load_known(known: Known) -> Dataset:
    """Load a published set by its name.

    The places are ``$MECHANET_DATA/<name>``, ``$MECHANET_DATA`` itself, then the user's cache; what the cache
    lacks is fetched from the set's mirrors.

    Raises
    ------
    ValueError
        A file in ``$MECHANET_DATA/<name>`` is not the published one.
    ImportError
        The data are not in ``$MECHANET_DATA``, and pooch is not installed.
    OSError
        No mirror could be reached, or none sent the published data.
    """
    folder = _in_environment(known)
    if folder is None:
        return read_idx_folder(fetch(known))  # verified as it was fetched
    dataset = read_idx_folder(folder)
    _verify(known, folder, dataset)
    return dataset


def _in_environment(known):
    """The folder that $MECHANET_DATA gives for this set, or None."""
    root = os.environ.get("MECHANET_DATA")
    if not root:
        return None
    own = Path(root) / known.name
    if idx_file(own, "train", "images"):
        return own
    labels = idx_file(root, "t10k", "labels")
    return Path(root) if labels and recognise(read_idx(labels)) is known else None


def _verify(known, folder, dataset):
    """Compare what was read with the published digests."""
    for part, split in (("train", dataset.train), ("t10k", dataset.test)):
        if split is None:
            raise ValueError(f"{folder}: expected {IMAGES.format(part)}, plain or .gz. Received: no such file.")
        images, labels = split.x.reshape(-1, *dataset.image_shape), split.y.astype(np.uint8)
        for kind, name, values in (("images", IMAGES, images), ("labels", LABELS, labels)):
            expected, received = known.sha256[name.format(part)], digest(values)
            if received != expected:
                raise ValueError(
                    f"{idx_file(folder, part, kind)}: expected {known.name}, SHA-256 {expected}. Received: "
                    f"SHA-256 {received}. To use other data, load their folder by its path."
                )


def fetch(known: Known) -> Path:
    """Download what the cache lacks of a set; return its folder in the cache."""
    try:
        import pooch
    except ImportError as error:
        raise ImportError(
            f"{known.name!r} is not in $MECHANET_DATA, and fetching it needs pooch: "
            f'pip install "mechanet[fetch]". Or put its four IDX files into a folder and load that folder.'
        ) from error
    folder = pooch.os_cache("mechanet") / known.name
    for name, sha256 in known.sha256.items():
        _fetch_file(known, name, sha256, folder)
    _sweep(folder)
    return folder


def _sweep(folder):
    """Remove temporary files left behind by downloads that were killed a day ago or earlier."""
    for path in folder.glob("tmp*"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > 86_400:
                path.unlink()


def _fetch_file(known, name, sha256, folder):
    """Fetch one file from the first mirror that has it, unless it is in the cache."""
    import pooch
    import requests

    failures = []
    for mirror in known.mirrors:
        try:
            pooch.retrieve(mirror + name + ".gz", sha256, name, folder, downloader=_download)
            return
        except (requests.RequestException, ValueError) as error:  # ValueError: ours, or pooch's for a wrong hash
            failures.append(f"{mirror}: {error}")
    raise OSError(
        f"could not fetch {known.name}: expected {name} from one of its mirrors. Received: "
        + "; ".join(failures)
        + ". Put its four IDX files into a folder and load that folder, or set MECHANET_DATA to it."
    )


def _download(url, target, _pooch):
    """Stream a gzipped file into the file `target`, decompressed: a downloader in pooch's sense."""
    import requests

    limit = LARGEST["labels" if "labels" in url else "images"]
    expander = zlib.decompressobj(wbits=31)  # 31: gzip's header and checksum
    written = 0
    with (
        requests.get(url, stream=True, timeout=TIMEOUT, headers={"Accept-Encoding": "identity"}) as response,
        open(target, "wb") as file,
        _progress(url, response.headers.get("Content-Length", "")) as advance,
    ):
        response.raise_for_status()
        for chunk in response.iter_content(2**16):
            advance(len(chunk))
            try:
                expanded = expander.decompress(chunk, limit + 1 - written)
            except zlib.error as error:
                raise ValueError(f"no gzip file ({error})") from error
            written += len(expanded)
            if written > limit:
                raise ValueError(f"more than {limit:,} bytes, decompressed")
            file.write(expanded)
            if expander.eof:
                return
    raise ValueError(f"a truncated gzip file, {written:,} bytes, decompressed")


@contextmanager
def _progress(url, length):
    """Show a bar on a terminal, one line in a log; yield the function to call with the size of each chunk."""
    name = url.rsplit("/", 1)[-1]
    if not sys.stderr.isatty():
        print(f"fetching {url}", file=sys.stderr)
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(name, total=int(length) if length.isdigit() else None)
        yield lambda count: progress.update(task, advance=count)
