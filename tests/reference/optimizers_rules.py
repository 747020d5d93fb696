"""Trajectories of the further optimizers, from PyTorch and optax -> optimizers_rules.json.

Run: python optimizers_rules.py      Made with torch 2.15.0, optax 0.2.8, jax 0.10.2, numpy 2.4.6, Python 3.11.

Start and gradients are those of optimizers_torch.json: two parameters, (3, 4) and
(5,), and 25 steps, of which step 8 is all zeros. A case holds the settings that are
not ours by default ("numbers" and "switches", by our names), the rates where they
change ("lrs"), and the weights after the steps in "steps". "whole" has tensors of
other shapes for the rules that take them whole: Muon's tall matrix and its kernel of
a convolution (one matrix, all axes but the last by the last, transposed there), and
Adafactor's several matrices in one tensor.

Muon: PyTorch's for the matrix, which stands transposed there (outputs by inputs),
with its bfloat16 taken out so that both compute in float64; PyTorch's AdamW for the
vector. LAMB and Lion: optax.
"""
import json

import jax
import numpy as np
import optax
import torch

from common import HERE, rng, tensor, tensors, write

jax.config.update("jax_enable_x64", True)
torch.set_num_threads(1)
torch.set_default_dtype(torch.double)
torch.bfloat16 = torch.float64

FILE = json.loads((HERE / "optimizers_torch.json").read_text())
START = [np.array(t["data"]).reshape(t["shape"]) for t in FILE["start"]]
GRADS = [[np.array(t["data"]).reshape(t["shape"]) for t in step] for step in FILE["grads"]]
STEPS = [0, 1, 5, 6, 7, 8, 15, 24]
FALLING = [0.05 / (1 + 0.3 * k) for k in range(len(GRADS))]
CASES = []


def record(name, kind, rate, numbers, switches, after, lrs=None):
    CASES.append({"name": name, "kind": kind, "rate": rate, "numbers": numbers, "switches": switches, "lrs": lrs,
                  "weights": [tensors(after[k]) for k in STEPS]})


def torch_steps(optimizers, parameters, lrs):
    after = []
    for k, step in enumerate(GRADS):
        for p, g in zip(parameters, step):
            p.grad = torch.tensor(g if p.shape == g.shape else g.T)
        for o in optimizers:
            for group in o.param_groups:
                group["lr"] = group["lr"] if lrs is None else lrs[k]
            o.step()
        after.append([p.detach().numpy().copy() for p in parameters])
    return after


def torch_case(name, kind, theirs, rate, numbers=None, switches=(), lrs=None, **options):
    parameters = [torch.tensor(w) for w in START]
    after = torch_steps([getattr(torch.optim, theirs)(parameters, lr=rate, **options)], parameters, lrs)
    record(name, kind, rate, numbers or {}, list(switches), after, lrs)


def muon_case(name, rate, numbers=None, switches=(), lrs=None, **options):
    matrix, vector = torch.tensor(START[0].T.copy()), torch.tensor(START[1])
    decay = options.get("weight_decay", 0.1)
    both = [torch.optim.Muon([matrix], lr=rate, **options), torch.optim.AdamW([vector], lr=rate, weight_decay=decay)]
    after = [[w[0].T, w[1]] for w in torch_steps(both, [matrix, vector], lrs)]
    record(name, "Muon", rate, numbers or {}, list(switches), after, lrs)


def optax_case(name, kind, rule, rate, numbers=None, switches=()):
    weights, after = [jax.numpy.array(w) for w in START], []
    state = rule.init(weights)
    for step in GRADS:
        updates, state = rule.update([jax.numpy.array(g) for g in step], state, weights)
        weights = optax.apply_updates(weights, updates)
        after.append([np.array(w) for w in weights])
    record(name, kind, rate, numbers or {}, list(switches), after)


BETAS = {"beta1": 0.8, "beta2": 0.95}
DECAY = {"weight_decay": 0.1}
torch_case("rmsprop", "RmsProp", "RMSprop", 0.01)
torch_case("rmsprop options", "RmsProp", "RMSprop", 0.01, {"alpha": 0.9, "epsilon": 1e-3} | DECAY, alpha=0.9, eps=1e-3, **DECAY)
torch_case("rmsprop centered", "RmsProp", "RMSprop", 0.01, {}, ["centered"], centered=True)
torch_case("rmsprop momentum", "RmsProp", "RMSprop", 0.01, {"momentum": 0.9}, lrs=FALLING, momentum=0.9)
torch_case("rmsprop centered momentum", "RmsProp", "RMSprop", 0.01, {"momentum": 0.9}, ["centered"], momentum=0.9, centered=True)
torch_case("adagrad", "Adagrad", "Adagrad", 0.05)
torch_case("adagrad options", "Adagrad", "Adagrad", 0.05, {"initial_accumulator": 0.5, "rate_decay": 0.1, "epsilon": 1e-3} | DECAY,
           initial_accumulator_value=0.5, lr_decay=0.1, eps=1e-3, **DECAY)
torch_case("adadelta", "Adadelta", "Adadelta", 1.0)
torch_case("adadelta options", "Adadelta", "Adadelta", 0.5, {"rho": 0.8, "epsilon": 1e-4} | DECAY, rho=0.8, eps=1e-4, **DECAY)
for theirs in ["Adam", "AdamW"]:
    torch_case(f"{theirs} amsgrad".lower(), theirs, theirs, 0.02, {}, ["amsgrad"], amsgrad=True)
    torch_case(f"{theirs} amsgrad options".lower(), theirs, theirs, 0.02, BETAS | DECAY, ["amsgrad"], FALLING,
               amsgrad=True, betas=(0.8, 0.95), **DECAY)
torch_case("adam decoupled", "Adam", "AdamW", 0.02, DECAY, ["decoupled_decay"], **DECAY)
torch_case("adamax", "Adamax", "Adamax", 0.02)
torch_case("adamax options", "Adamax", "Adamax", 0.02, BETAS | DECAY | {"epsilon": 1e-3}, (), FALLING, betas=(0.8, 0.95), eps=1e-3, **DECAY)
for ours, theirs in [("Nadam", "NAdam"), ("RAdam", "RAdam")]:
    torch_case(ours.lower(), ours, theirs, 0.02)
    torch_case(f"{ours} options".lower(), ours, theirs, 0.02, BETAS | DECAY | {"epsilon": 1e-3}, (), FALLING,
               betas=(0.8, 0.95), eps=1e-3, **DECAY)
    torch_case(f"{ours} decoupled".lower(), ours, theirs, 0.02, DECAY, ["decoupled_decay"], decoupled_weight_decay=True, **DECAY)
torch_case("nadam momentum decay", "Nadam", "NAdam", 0.02, {"momentum_decay": 0.1}, momentum_decay=0.1)
torch_case("radam few gradients", "RAdam", "RAdam", 0.02, {"beta2": 0.99999}, betas=(0.9, 0.99999))
torch_case("adafactor", "Adafactor", "Adafactor", 0.01)
torch_case("adafactor options", "Adafactor", "Adafactor", 0.5, {"beta2_decay": -0.5, "scale_epsilon": 2.0, "clip": 1.25} | DECAY,
           (), FALLING, beta2_decay=-0.5, eps=(None, 2.0), d=1.25, **DECAY)
muon_case("muon", 0.02)
muon_case("muon options", 0.02, {"momentum": 0.8, "weight_decay": 0.3}, ["plain_momentum"], FALLING, momentum=0.8, nesterov=False, weight_decay=0.3)
muon_case("muon as adamw", 0.02, {}, ["match_rms_adamw"], adjust_lr_fn="match_rms_adamw")
optax_case("lion", "Lion", optax.lion(0.01, weight_decay=0.0), 0.01)
optax_case("lion options", "Lion", optax.lion(0.01, 0.8, 0.95, weight_decay=0.1), 0.01, BETAS | DECAY)
optax_case("lamb", "Lamb", optax.lamb(0.02), 0.02)
optax_case("lamb options", "Lamb", optax.lamb(0.02, 0.8, 0.95, 1e-3, weight_decay=0.1), 0.02, BETAS | DECAY | {"epsilon": 1e-3})



def whole(rule, shape, to_theirs, to_ours, make):
    """Weights of one tensor of a shape after each of 6 steps of a rule that takes it whole."""
    r = rng(f"whole {rule} {shape}")
    start, grads = r.normal(size=shape), [r.normal(size=shape) for _ in range(6)]
    p = torch.tensor(to_theirs(start))
    o, after = make([p]), []
    for g in grads:
        p.grad = torch.tensor(to_theirs(g))
        o.step()
        after.append(to_ours(p.numpy().copy()))
    return {"rule": rule, "start": tensor(start), "grads": tensors(grads), "after": tensors(after)}


def turned(x):
    return np.ascontiguousarray(x.reshape(-1, x.shape[-1]).T)


WHOLE = [whole("Adafactor", (2, 3, 4), lambda x: x, lambda x: x, lambda p: torch.optim.Adafactor(p, lr=0.1))]
for shape in [(6, 3), (2, 2, 3, 5)]:
    WHOLE.append(whole("Muon", shape, turned, lambda x, shape=shape: x.T.reshape(shape),
                       lambda p: torch.optim.Muon(p, lr=0.02, weight_decay=0.0)))

write("optimizers_rules.json", {"steps": STEPS, "whole": WHOLE}, CASES)
