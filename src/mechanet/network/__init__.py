"""The network: a chain of layers over one flat vector θ of parameters."""

from mechanet.network.network import Network

__all__ = ["Network"]
