"""PyTorch, eager, with its fused Adam; rows gathered from one tensor, which beats a DataLoader by far."""

import numpy as np
import torch
from torch import nn

from ..cases import Case

PACKAGE = "torch"


class Model:
    def __init__(self, case: Case, X, Y, weights, device: str = "cpu") -> None:
        layers: list[nn.Module] = []
        for W, b in weights:
            linear = nn.Linear(*W.shape)
            with torch.no_grad():
                linear.weight.copy_(torch.tensor(W.T))
                linear.bias.copy_(torch.tensor(b))
            layers += [linear, nn.ReLU()]
        self.linears = layers[::2]
        self.net = nn.Sequential(*layers[:-1]).to(device)
        self.case, self.device = case, device
        self.X, self.Y = torch.from_numpy(X).to(device), torch.from_numpy(Y).to(device)
        if case.optimizer == "adam":
            self.optimizer = torch.optim.Adam(self.net.parameters(), lr=case.learning_rate, fused=True)
        else:
            self.optimizer = torch.optim.SGD(self.net.parameters(), lr=case.learning_rate)

    def loss(self, Z, Y):
        if self.case.regression:
            return 0.5 * nn.functional.mse_loss(Z, Y)
        return nn.functional.cross_entropy(Z, Y)

    def epoch(self) -> None:
        if self.case.batch is None:
            self.step(self.X, self.Y)
            return
        order = torch.randperm(self.case.rows, device=self.device)
        for first, last in self.case.batches():
            rows = order[first:last]
            self.step(self.X[rows], self.Y[rows])

    def step(self, X, Y) -> None:
        self.optimizer.zero_grad()
        self.loss(self.net(X), Y).backward()
        self.optimizer.step()

    @torch.inference_mode()
    def predict(self, X) -> np.ndarray:
        Z = self.net(torch.from_numpy(X).to(self.device))
        return (Z if self.case.regression else Z.argmax(dim=1)).cpu().numpy()

    def weights(self) -> list[tuple[np.ndarray, np.ndarray]]:
        return [
            (layer.weight.detach().cpu().numpy().T.copy(), layer.bias.detach().cpu().numpy().copy())
            for layer in self.linears
        ]
