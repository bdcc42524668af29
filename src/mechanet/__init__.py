"""A neural network whose mechanics you can read, watch and trust, on any array backend."""

__version__ = "0.1.0"
