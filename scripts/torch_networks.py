"""The networks of `examples/step_times.rs` and of the examples on MNIST, as PyTorch writes them."""

import torch.nn.functional as F
from torch import nn


def dense(*widths):
    layers = []
    for number in range(len(widths) - 1):
        layers.append(nn.Linear(widths[number], widths[number + 1]))
        if number + 2 < len(widths):
            layers.append(nn.ReLU())
    return nn.Sequential(*layers)


def mnist_cnn():
    """Keras's MNIST example: 34,826 parameters."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.5), nn.Linear(1600, 10),
    )


class Block(nn.Module):
    """Two convolutions and a way around them (He et al. 2016)."""

    def __init__(self, channels, filters, stride):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, filters, 3, stride, 1, bias=False), nn.BatchNorm2d(filters), nn.ReLU(),
            nn.Conv2d(filters, filters, 3, 1, 1, bias=False), nn.BatchNorm2d(filters),
        )
        self.projection = nn.Sequential()
        if stride != 1 or channels != filters:
            self.projection = nn.Sequential(
                nn.Conv2d(channels, filters, 1, stride, bias=False), nn.BatchNorm2d(filters))

    def forward(self, x):
        return F.relu(self.body(x) + self.projection(x))


def cifar_resnet8():
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    )


# name: (network, shape of a sample, classes, batch)
NETWORKS = {
    "iris_mlp_b32": (lambda: dense(4, 64, 64, 3), (4,), 3, 32),
    "mnist_mlp_b128": (lambda: dense(784, 512, 512, 10), (784,), 10, 128),
    "mnist_cnn_b128": (mnist_cnn, (1, 28, 28), 10, 128),
    "cifar_resnet8_b64": (cifar_resnet8, (3, 32, 32), 10, 64),
}
