"""Writes flops_torch.json: the floating-point operations of a forward pass of one sample, as PyTorch's FlopCounterMode
counts them: two for each multiplication with addition in products and convolutions. It counts no biases and no functions,
so the networks have none. tests/summary.rs has the same networks by their names."""
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from common import write


def residual():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(
                nn.Conv2d(4, 6, 3, padding=1, bias=False), nn.Conv2d(6, 8, 3, padding=1, stride=2, bias=False)
            )
            self.projection = nn.Conv2d(4, 8, 1, stride=2, bias=False)

        def forward(self, x):
            return self.body(x) + self.projection(x)

    return Block()


NETWORKS = {
    "dense": (nn.Linear(7, 5, bias=False), (7,)),
    "dense over time": (nn.Linear(7, 5, bias=False), (4, 7)),
    "conv2d": (nn.Conv2d(3, 8, (3, 5), stride=(2, 1), dilation=(1, 2), padding=(1, 3), bias=False), (3, 13, 17)),
    "conv2d in groups": (nn.Conv2d(6, 9, 3, groups=3, bias=False), (6, 10, 9)),
    "conv1d": (nn.Conv1d(4, 6, 5, stride=2, dilation=2, bias=False), (4, 31)),
    "depthwise": (nn.Conv2d(5, 10, 3, groups=5, padding=1, bias=False), (5, 8, 9)),
    "separable": (
        nn.Sequential(nn.Conv2d(5, 10, 3, groups=5, bias=False), nn.Conv2d(10, 7, 1, bias=False)),
        (5, 8, 9),
    ),
    "transposed": (
        nn.ConvTranspose2d(4, 6, 3, stride=(2, 3), padding=1, output_padding=(1, 2), groups=2, bias=False),
        (4, 5, 6),
    ),
    "transposed 1d": (nn.ConvTranspose1d(4, 6, 3, stride=2, dilation=2, bias=False), (4, 5)),
    "rnn": (nn.RNN(5, 7, bias=False, batch_first=True), (6, 5)),
    "perceptron": (
        nn.Sequential(nn.Linear(784, 512, bias=False), nn.Linear(512, 512, bias=False), nn.Linear(512, 10, bias=False)),
        (784,),
    ),
    "convolutional": (
        nn.Sequential(
            nn.Conv2d(1, 32, 3, bias=False),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, bias=False),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(1600, 10, bias=False),
        ),
        (1, 28, 28),
    ),
    "residual": (residual(), (4, 12, 10)),
}


def count(network, shape):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, *shape))
    return counter.get_total_flops()


cases = [{"name": name, "kind": "network", "flops": count(*network)} for name, network in NETWORKS.items()]
write("flops_torch.json", {"torch": torch.__version__}, cases)
