"""Training: an iterator of epochs. Leave the loop to stop; run it on to go on."""

from mechanet.training.divergence import DivergenceError
from mechanet.training.early_stopping import EarlyStopping
from mechanet.training.history import Epoch, History
from mechanet.training.training import Training

__all__ = ["DivergenceError", "EarlyStopping", "Epoch", "History", "Training"]
