"""Writes rate_finder.json: sweeps of the learning rate in PyTorch, in float64, as a plain loop: rates by equal factors,
losses before each step, smoothed as fastai does, until the smoothed loss is more than `stop_at` times the smallest; and
the rate at the steepest descent by numpy.gradient, as Lightning suggests it."""
import numpy as np
import torch
from torch import nn

from common import rng, tensor, write

torch.set_default_dtype(torch.float64)

SAMPLES, BATCH = 24, 8

SETTINGS = {
    "sgd": {"low": 1e-4, "high": 10.0, "steps": 60, "smoothing": 0.9, "stop_at": 4.0},
    "momentum": {"low": 1e-5, "high": 10.0, "steps": 100, "smoothing": 0.98, "stop_at": 4.0},
    "adam": {"low": 1e-6, "high": 1.0, "steps": 50, "smoothing": 0.8, "stop_at": 2.0},
    "short": {"low": 1e-3, "high": 0.1, "steps": 12, "smoothing": 0.0, "stop_at": 4.0},
}


def optimizer(name, params):
    if name == "adam":
        return torch.optim.Adam(params)
    return torch.optim.SGD(params, lr=1.0, momentum=0.9 if name == "momentum" else 0.0)


def suggestion(rates, losses):
    skipped = len(losses) // 10
    return rates[skipped + int(np.argmin(np.gradient(np.array(losses[skipped:-1]))))]


def case(name, settings):
    draw = rng(name)
    x = torch.tensor(draw.normal(size=(SAMPLES, 4)))
    y = torch.tensor(np.sin(x.numpy().sum(axis=1, keepdims=True)) + draw.normal(size=(SAMPLES, 1)) / 10)
    network = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 1))
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_(torch.tensor(draw.normal(size=weight.shape) / 2))
    start = [weight.detach().clone() for weight in network.parameters()]
    rule = optimizer(name, network.parameters())
    low, high, steps, beta = (settings[key] for key in ("low", "high", "steps", "smoothing"))
    rates, raw, smoothed, average = [], [], [], 0.0
    for step in range(steps):
        rate = low * (high / low) ** (step / (steps - 1))
        for group in rule.param_groups:
            group["lr"] = rate
        rows = slice(step * BATCH % SAMPLES, step * BATCH % SAMPLES + BATCH)
        loss = ((network(x[rows]) - y[rows]) ** 2).mean()
        rule.zero_grad()
        loss.backward()
        rule.step()
        average = beta * average + (1 - beta) * loss.item()
        rates.append(rate)
        raw.append(loss.item())
        smoothed.append(average / (1 - beta ** (step + 1)))
        if len(smoothed) > 1 and smoothed[-1] > settings["stop_at"] * min(smoothed[:-1]):
            break
    return {
        "name": name,
        "kind": "sweep",
        "settings": settings,
        "x": tensor(x),
        "y": tensor(y),
        # PyTorch's weights are (units, features).
        "weights": [tensor(weight if weight.ndim == 1 else weight.mT) for weight in start],
        "rates": rates,
        "raw_losses": raw,
        "losses": smoothed,
        "steepest": suggestion(rates, smoothed),
        "tenth": rates[int(np.argmin(smoothed))] / 10,
    }


cases = [case(name, settings) for name, settings in SETTINGS.items()]
write("rate_finder.json", {"torch": torch.__version__, "batch_size": BATCH}, cases)
for c in cases:
    print(c["name"], len(c["rates"]), "steps, diverged:", len(c["rates"]) < c["settings"]["steps"], c["steepest"], c["tenth"])
