"""Decisions of Keras's callbacks and averages of PyTorch's -> callbacks_keras.json.

Run: KERAS_BACKEND=torch python callbacks.py      Made with keras 3.15.1, torch 2.15.0, numpy 2.4.6, Python 3.11.

EarlyStopping and ReduceLROnPlateau are shown one random sequence of a watched number after another. Numbers and
thresholds are whole multiples of 1/64: Keras compares in float32, in which these are exact. Epochs count from 1.
"EarlyStopping" holds the last epoch that was run and, with restore_best, the epoch whose weights were put back;
"ReduceLROnPlateau" the learning rate after each epoch.

"WeightAveraging": weights of shape (3,) and (2, 2) and a buffer of shape (2,) change from step to step as "weights",
"matrices" and "states" say (once at the top of the file, "batches" steps an epoch); a case holds the averages at the
end of each epoch by torch.optim.swa_utils.AveragedModel. It averages after every "every" steps or epochs from epoch
"from_epoch" on. A corrected average is made from zero and divided by 1 - decay^updates.
"""
import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from common import rng, tensors, write

torch.set_num_threads(1)
torch.set_default_dtype(torch.double)
CASES = []


class Model:
    """As much of a model as the callbacks touch."""

    def __init__(self, rate):
        self.stop_training, self.metrics, self.epoch, self.restored = False, [], 0, None
        self.optimizer = type("Optimizer", (), {"learning_rate": rate})()

    def get_weights(self):
        return self.epoch

    def set_weights(self, epoch):
        self.restored = epoch


def sequence(r):
    """Falls, rises and stands still by turns."""
    steps = r.integers(-12, 11, size=r.integers(8, 31))
    return (np.abs(100 + np.cumsum(steps * (r.random(len(steps)) < 0.8))) / 64).tolist()


def show(callback, model, values):
    """The epochs that are run, one by one."""
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, value in enumerate(values):
        model.epoch = epoch + 1
        callback.on_epoch_end(epoch, {"watched": value})
        yield epoch + 1
        if model.stop_training:
            break
    callback.on_train_end()


for i in range(150):
    r = rng(f"early stopping {i}")
    c = {"mode": str(r.choice(["min", "max"])), "patience": int(r.integers(0, 12)),
         "min_delta": float(r.choice([0, 1, 4, 10])) / 64, "start_from_epoch": int(r.choice([0, 0, 3, 6])),
         "baseline": None if r.random() < 0.6 else float(r.integers(60, 140)) / 64,
         "restore_best": bool(r.random() < 0.6), "values": sequence(r)}
    callback = keras.callbacks.EarlyStopping(
        "watched", c["min_delta"], c["patience"], 0, c["mode"], c["baseline"], c["restore_best"],
        c["start_from_epoch"])
    model = Model(0.0)
    last = max(show(callback, model, c["values"]))
    CASES.append({"name": f"early stopping {i}", "kind": "EarlyStopping", "config": c, "last": last,
                  "restored": model.restored})

for i in range(150):
    r = rng(f"plateau {i}")
    c = {"mode": str(r.choice(["min", "max"])), "patience": int(r.integers(0, 5)),
         "min_delta": float(r.choice([0, 1, 4, 10])) / 64, "factor": float(r.choice([0.1, 0.25, 0.5, 0.9])),
         "cooldown": int(r.integers(0, 4)), "min_rate": float(r.choice([0, 0, 2**-6, 2**-3])),
         "rate": float(r.choice([0.5, 1.0])), "values": sequence(r)}
    callback = keras.callbacks.ReduceLROnPlateau(
        "watched", c["factor"], c["patience"], 0, c["mode"], c["min_delta"], c["cooldown"], c["min_rate"])
    model = Model(c["rate"])
    rates = [float(model.optimizer.learning_rate) for _ in show(callback, model, c["values"])]
    CASES.append({"name": f"plateau {i}", "kind": "ReduceLROnPlateau", "config": c, "rates": rates})

STEPS = 40
r = rng("weight averaging")
WEIGHTS = np.cumsum(r.normal(size=(STEPS, 3)), axis=0)
MATRICES = np.cumsum(r.normal(size=(STEPS, 2, 2)), axis=0)
STATES = r.normal(size=(STEPS, 2))


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(3))
        self.matrix = torch.nn.Parameter(torch.zeros(2, 2))
        self.register_buffer("state", torch.zeros(2))


def averages(name, rule, batches=1, every=("steps", 1), from_epoch=1, state=False, decay=None):
    net = Net()
    if rule == "swa":
        averaged = AveragedModel(net, use_buffers=state)
    elif rule == "ema":
        averaged = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=state)
    elif rule == "warm_up":
        def follow(average, value, updates):
            d = min(decay, (1 + float(updates)) / (10 + float(updates)))
            return d * average + (1 - d) * value
        averaged = AveragedModel(net, avg_fn=follow, use_buffers=state)
    else:
        averaged, sums, updates = None, None, 0
    trajectory = []
    for step in range(1, STEPS // batches * batches + 1):
        epoch, batch = (step - 1) // batches + 1, (step - 1) % batches + 1
        with torch.no_grad():
            net.weight.copy_(torch.tensor(WEIGHTS[step - 1]))
            net.matrix.copy_(torch.tensor(MATRICES[step - 1]))
            net.state.copy_(torch.tensor(STATES[step - 1]))
        unit, count = every
        due = step % count == 0 if unit == "steps" else batch == batches and (epoch - from_epoch) % count == 0
        if due and epoch >= from_epoch:
            if averaged is not None:
                averaged.update_parameters(net)
            else:
                values = [net.weight.detach().clone(), net.matrix.detach().clone()]
                sums = sums or [torch.zeros_like(v) for v in values]
                sums = [decay * s + (1 - decay) * v for s, v in zip(sums, values)]
                updates += 1
        if batch < batches:
            continue
        if averaged is None:
            now = [s / (1 - decay**updates) for s in sums] + [net.state]
        elif averaged.n_averaged == 0:
            now = [net.weight, net.matrix, net.state]
        else:
            m = averaged.module
            now = [m.weight, m.matrix, m.state if state else net.state]
        trajectory.append(tensors([v.clone() for v in now]))
    config = {"rule": rule, "decay": decay, "batches": batches, "unit": every[0], "every": every[1],
              "from_epoch": from_epoch, "state": state}
    CASES.append({"name": name, "kind": "WeightAveraging", "config": config, "trajectory": trajectory})


averages("ema", "ema", decay=0.9)
averages("ema with state", "ema", decay=0.75, state=True)
averages("ema every third step", "ema", decay=0.8, every=("steps", 3))
averages("ema from epoch 5, four steps each", "ema", decay=0.9, batches=4, from_epoch=5)
averages("ema every second epoch", "ema", decay=0.5, batches=2, every=("epochs", 2), from_epoch=3)
averages("ema corrected", "corrected", decay=0.95)
averages("ema warm-up", "warm_up", decay=0.99)
averages("swa", "swa", every=("epochs", 1))
averages("swa with state", "swa", every=("epochs", 1), state=True)
averages("swa from epoch 6, every second", "swa", batches=2, every=("epochs", 2), from_epoch=6)
averages("swa every fifth step", "swa", every=("steps", 5), state=True)

write("callbacks_keras.json",
      {"keras": keras.__version__, "torch": torch.__version__.split("+")[0],
       "weights": tensors(list(WEIGHTS)), "matrices": tensors(list(MATRICES)), "states": tensors(list(STATES))}, CASES)
