"""Pictures of networks and trainings, with matplotlib (``pip install 'mechanet[plots]'``).

Every function returns a matplotlib Figure, which a notebook shows and ``figure.savefig(path)`` writes; no window
opens. Functions that draw one panel take ``ax=``, an Axes of yours to draw into. Networks may be on any device.
Whatever a colour shows, a marker, a dash or a number shows too: the pictures are legible in greyscale.
"""

from mechanet.plots.curves import activations, gradients, history
from mechanet.plots.diagram import network
from mechanet.plots.film import training_film
from mechanet.plots.images import confusion, mistakes, weights
from mechanet.plots.planes import decision_boundary, landscape

__all__ = [
    "activations",
    "confusion",
    "decision_boundary",
    "gradients",
    "history",
    "landscape",
    "mistakes",
    "network",
    "training_film",
    "weights",
]
