"""Pictures of networks and trainings, with matplotlib (``pip install 'mechanet[plots]'``).

Every function returns a matplotlib Figure, which a notebook shows and ``figure.savefig(path)`` writes; nothing is
shown by itself. Those that draw one panel take ``ax=``, an Axes of yours to draw into. Networks may live on any
device. What a colour says, a marker, a dash or a number says too: the pictures are legible in greyscale.
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
