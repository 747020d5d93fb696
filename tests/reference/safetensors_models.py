"""Models of PyTorch saved by Python's safetensors, with what they predict
-> safetensors/*.safetensors and safetensors_torch.json.

Run: python safetensors_models.py      Made with torch 2.15.0, safetensors 0.8.0, Python 3.11.

Each case is a file with a `state_dict` as `safetensors.torch.save_file` writes it (that
of `tied` with `save_model`, which keeps one of two names of a shared tensor), and an
input and the output in evaluation mode, float32. Inputs and outputs have the channels
last: `(batch, height, width, channels)` and `(batch, time, channels)`. The running
statistics of batch normalisation come from three passes in training mode.

`dtypes` is no model: one tensor of each number type, and their values in float64.
"""
import torch
import torch.nn.functional as F
from safetensors.torch import save_file, save_model
from torch import nn

from common import HERE, tensor, write

torch.set_num_threads(1)
FOLDER = HERE / "safetensors"
FOLDER.mkdir(exist_ok=True)
CASES = []


def last(x):
    """Channels last."""
    return x.movedim(1, -1) if x.dim() > 2 else x


def case(name, model, x, channels=True, save=save_file):
    model.train()
    with torch.no_grad():
        for _ in range(3):
            model(x if x.dtype == torch.long else torch.randn_like(x) * 2 + 0.5)
        for parameter in model.parameters():
            if parameter.dim() == 1:  # not the ones and zeros that they start with
                parameter += torch.randn_like(parameter) * 0.3
        model.eval()
        y = model(x)
    path = str(FOLDER / (name + ".safetensors"))
    save_model(model, path) if save is save_model else save(model.state_dict(), path)
    x, y = (last(x), last(y)) if channels else (x, y)
    CASES.append({"name": name, "kind": "model", "input": tensor(x), "output": tensor(y)})


class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 6, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(6)
        self.conv2 = nn.Conv2d(6, 8, 3)
        self.bn2 = nn.BatchNorm2d(8)
        self.fc1 = nn.Linear(8 * 2 * 3, 10)
        self.fc2 = nn.Linear(10, 4)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        x = F.relu(self.bn2(self.conv2(x)))
        return self.fc2(F.relu(self.fc1(torch.flatten(x, 1))))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 5)
        self.rnn = nn.RNN(5, 7, num_layers=2, batch_first=True)
        self.fc = nn.Linear(7, 2)

    def forward(self, x):
        return self.fc(self.rnn(self.embedding(x))[0][:, -1])


class Named(nn.Module):
    """Two modules of the same shape that no number tells apart."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(5, 5)
        self.decoder = nn.Linear(5, 5)

    def forward(self, x):
        return self.decoder(torch.tanh(self.encoder(x)))


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(5, 5, bias=False)
        self.fc2 = nn.Linear(5, 5, bias=False)
        self.fc2.weight = self.fc1.weight

    def forward(self, x):
        return self.fc2(torch.tanh(self.fc1(x)))


torch.manual_seed(5)
linear = [nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 3)]
case("mlp", nn.Sequential(*linear), torch.randn(5, 4))
case("cnn", Cnn(), torch.randn(3, 2, 10, 12))
grouped = [
    nn.Conv2d(4, 6, (3, 2), groups=2, stride=(1, 2)),
    nn.ReLU(),
    nn.Conv2d(6, 12, 3, groups=6, padding=1),
    nn.Tanh(),
    nn.ConvTranspose2d(12, 4, 3, stride=2, groups=2),
]
case("grouped", nn.Sequential(*grouped), torch.randn(2, 4, 7, 8))
sequence = [
    nn.Conv1d(3, 6, 3, dilation=2),
    nn.GroupNorm(2, 6),
    nn.ReLU(),
    nn.Conv1d(6, 6, 3, groups=6, padding=1),
    nn.InstanceNorm1d(6, affine=True),
    nn.BatchNorm1d(6),
    nn.ConvTranspose1d(6, 2, 4, stride=3, bias=False),
]
case("sequence", nn.Sequential(*sequence), torch.randn(2, 3, 12))
case("layer_norm", nn.Sequential(nn.Linear(5, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 2)), torch.randn(4, 5))
case("recurrent", Recurrent(), torch.randint(0, 11, (3, 6)), channels=False)
case("named", Named(), torch.randn(3, 5))
case("tied", Tied(), torch.randn(3, 5), save=save_model)

floats = torch.tensor([[0.0, -0.0, 1.5, -2.25], [1e-6, 3e-8, 60000.0, float("inf")]], dtype=torch.float64)
whole = torch.tensor([0, 1, 100, 127], dtype=torch.int64)
dtypes = {str(t).split(".")[1]: floats.to(t) for t in (torch.float16, torch.bfloat16, torch.float32, torch.float64)}
signed = (torch.int8, torch.int16, torch.int32, torch.int64)
dtypes |= {str(t).split(".")[1]: (whole - 100).to(t) for t in signed}
dtypes |= {str(t).split(".")[1]: (whole * 2).to(t) for t in (torch.uint8, torch.uint16, torch.uint32, torch.uint64)}
dtypes |= {"scalar": torch.tensor(2.5), "nothing": torch.zeros(0, 3)}
save_file(dtypes, str(FOLDER / "dtypes.safetensors"), {"made by": "PyTorch"})


def bits(x):
    """As JSON has no infinity: the bits of the float64 values, as whole numbers."""
    x = x.to(torch.float64) if x.is_floating_point() else torch.tensor(x.tolist(), dtype=torch.float64)
    return {"shape": list(x.shape), "bits": x.view(torch.int64).flatten().tolist()}


for name, x in dtypes.items():
    CASES.append({"name": name, "kind": "dtype", "values": bits(x)})
write("safetensors_torch.json", {"torch": torch.__version__.split("+")[0]}, CASES)
