"""The head that LAION's aesthetic predictor and ImageReward share: five linear maps to one number, no activations."""

from torch import Tensor, nn


class Head(nn.Module):
    """D-1024-128-64-16-1 with dropout between; the names of its weights are the official ones (`layers.0.weight`, …)."""

    def __init__(self, width: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(width, 1024),
            nn.Dropout(0.2),
            nn.Linear(1024, 128),
            nn.Dropout(0.2),
            nn.Linear(128, 64),
            nn.Dropout(0.1),
            nn.Linear(64, 16),
            nn.Linear(16, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """One number each, [N, 1], of features [N, D]."""
        return self.layers(features)
