"""Trajectories of optimizers, from PyTorch -> optimizers_torch.json.

Run: python optimizers_torch.py      Made with torch 2.15.0, numpy 2.4.6, Python 3.11.

Two parameters, (3, 4) and (5,). "start" and the 25 steps of "grads" stand once at
the top of the file and serve every case; step 8 is all zeros. A case holds the
learning rate of each step ("lrs") and the weights after each step.

A step: gradients are clipped to the global norm of the parameters that are not
frozen (g *= min(1, clip_norm / (norm + 1e-6)), PyTorch's 1e-6), then coupled
weight decay is added (g += weight_decay * w; AdamW decays by
w *= 1 - lr * weight_decay instead), then the rule is applied. Learning rate, by
schedule.kind: "constant"; "cosine", min_lr + (lr - min_lr) * (1 + cos(pi k / steps)) / 2
at step k = 0, 1, ...; "list", the values given.

Cases with "keras": true are Keras's momentum SGD, by hand: v = momentum * v - lr * g;
w += v, or with nesterov w += momentum * v - lr * g. It is PyTorch's rule
(v = momentum * v + g; w -= lr * v) while the learning rate stays the same.
"""
import numpy as np
import torch

from common import rng, tensors, write

torch.set_num_threads(1)
torch.set_default_dtype(torch.double)
STEPS = 25
r = rng("optimizers")
SHAPES = [(3, 4), (5,)]
START = [r.normal(size=s) for s in SHAPES]
GRADS = [[r.normal(size=s) * 10 ** r.uniform(-1, 1) for s in SHAPES] for _ in range(STEPS)]
GRADS[7] = [np.zeros(s) for s in SHAPES]
CASES = []
CONSTANT = {"kind": "constant"}
COSINE = {"kind": "cosine", "steps": STEPS, "min_lr": 0.001}
COMMON = {"clip_norm": None, "schedule": CONSTANT, "frozen": []}
DEFAULTS = {
    "SGD": {"lr": 0.05, "momentum": 0.0, "nesterov": False, "weight_decay": 0.0},
    "Adam": {"lr": 0.02, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "weight_decay": 0.0},
    "AdamW": {"lr": 0.02, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "weight_decay": 0.01},
}


def record(name, kind, config, lrs, after):
    CASES.append({"name": name, "kind": kind, "config": config, "lrs": lrs,
                  "weights_after": [tensors(ws) for ws in after]})


def torch_case(name, kind, **changes):
    c = DEFAULTS[kind] | COMMON | changes
    ws = [torch.tensor(w) for w in START]
    live = [i for i in range(len(ws)) if i not in c["frozen"]]
    if kind == "SGD":
        o = torch.optim.SGD(ws, c["lr"], c["momentum"], 0, c["weight_decay"], c["nesterov"])
    else:
        o = getattr(torch.optim, kind)(ws, c["lr"], (c["beta1"], c["beta2"]), c["epsilon"], c["weight_decay"])
    schedule = None
    if c["schedule"]["kind"] == "cosine":
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(o, c["schedule"]["steps"], c["schedule"]["min_lr"])
    lrs, after, clipped = [], [], 0
    for gs in GRADS:
        for i in live:
            ws[i].grad = torch.tensor(gs[i])
        if c["clip_norm"] is not None:
            norm = torch.nn.utils.clip_grad_norm_([ws[i] for i in live], c["clip_norm"])
            clipped += int(norm > c["clip_norm"])
        lrs.append(o.param_groups[0]["lr"])
        o.step()
        if schedule:
            schedule.step()
        after.append([w.clone() for w in ws])
    assert c["clip_norm"] is None or 0 < clipped < STEPS, "some steps clipped, some not"
    record(name, kind, c, lrs, after)


def keras_case(name, **changes):
    c = DEFAULTS["SGD"] | COMMON | {"momentum": 0.9, "keras": True} | changes
    m = c["momentum"]
    ws, vs = [w.copy() for w in START], [np.zeros(s) for s in SHAPES]
    lrs, after = [], []
    for k, gs in enumerate(GRADS):
        s = c["schedule"]
        if s["kind"] == "cosine":
            lr = s["min_lr"] + (c["lr"] - s["min_lr"]) * (1 + np.cos(np.pi * k / s["steps"])) / 2
        else:
            lr = s["values"][k] if s["kind"] == "list" else c["lr"]
        for i, g in enumerate(gs):
            vs[i] = m * vs[i] - lr * g
            ws[i] = ws[i] + (m * vs[i] - lr * g if c["nesterov"] else vs[i])
        lrs.append(float(lr))
        after.append([w.copy() for w in ws])
    record(name, "SGD", c, lrs, after)


MOMENTUM, NESTEROV = {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}
for label, rule in [("sgd", {}), ("sgd momentum", MOMENTUM), ("sgd nesterov", NESTEROV)]:
    torch_case(label, "SGD", **rule)
    torch_case(label + " weight decay", "SGD", **rule, weight_decay=0.1)
    torch_case(label + " clipped", "SGD", **rule, clip_norm=5.0)
    torch_case(label + " cosine", "SGD", **rule, schedule=COSINE)
torch_case("sgd momentum frozen", "SGD", **MOMENTUM, frozen=[1])
torch_case("sgd nesterov everything", "SGD", **NESTEROV, weight_decay=0.1, clip_norm=5.0, schedule=COSINE, frozen=[1])

torch_case("adam weight decay", "Adam", weight_decay=0.1)
torch_case("adamw large weight decay", "AdamW", weight_decay=0.5)
for label, kind in [("adam", "Adam"), ("adamw", "AdamW")]:
    torch_case(label, kind)
    torch_case(label + " betas", kind, beta1=0.8, beta2=0.95)
    torch_case(label + " epsilon", kind, epsilon=1e-3)
    torch_case(label + " clipped", kind, clip_norm=5.0)
    torch_case(label + " frozen", kind, frozen=[1])
    torch_case(label + " cosine", kind, schedule=COSINE)
    torch_case(label + " everything", kind, weight_decay=0.1, clip_norm=5.0, schedule=COSINE, frozen=[1])

STAIRS = {"kind": "list", "values": [0.1] * 8 + [0.02] * 8 + [0.05] * 9}
for label, nesterov in [("momentum", False), ("nesterov", True)]:
    keras_case(f"keras sgd {label}", nesterov=nesterov)
    keras_case(f"keras sgd {label} cosine", nesterov=nesterov, schedule=COSINE)
    keras_case(f"keras sgd {label} stairs", nesterov=nesterov, schedule=STAIRS)

for label in ["momentum", "nesterov"]:  # one rule at a constant rate, two at a changing one
    by = {c["name"]: c["weights_after"][-1][0]["data"] for c in CASES}
    np.testing.assert_allclose(by[f"sgd {label}"], by[f"keras sgd {label}"], rtol=1e-11)
    assert not np.allclose(by[f"sgd {label} cosine"], by[f"keras sgd {label} cosine"], rtol=1e-3)

write("optimizers_torch.json", {"torch": torch.__version__.split("+")[0], "start": tensors(START),
                                "grads": [tensors(g) for g in GRADS]}, CASES)
