"""What stands around the rules of optimizers, from Keras and PyTorch -> updates_keras_torch.json.

Run: KERAS_BACKEND=torch python updates.py      Made with Keras 3.15.1, torch 2.15.0, Python 3.11.

Three parameters: first (3, 4), second (5,), third (2, 1, 3, 2). "start" and the 20 steps of
"grads" stand once at the top of the file; step 8 is all zeros. Kinds of cases:

"keras": Keras's optimizers with a regularizer, a constraint or a way of clipping. A step's
gradient is that of grads plus that of the penalties (by autograd); "penalties" are their sums
before each step. "weights_after" holds the weights after the steps that "recorded" counts.

"torch": PyTorch's optimizers with parameter groups (rates and decays of their own),
clip_grad_value_, and gradients of "accumulate" batches (the last group has fewer), divided by
their number.

"penalty": the value and the gradient of a regularizer for a weight. "constraint": a weight
after it. "update_bn": running statistics after torch.optim.swa_utils.update_bn; weights of
Linear lie as (features, units).
"""
import os

os.environ["KERAS_BACKEND"] = "torch"
import keras
import numpy as np
import torch
from keras.src import backend, ops

from common import rng, tensor, tensors, write

torch.set_num_threads(1)
torch.set_default_dtype(torch.double)
keras.config.set_floatx("float64")


def exact(operation):
    """Some of Keras's operations give float32 on PyTorch, whatever they get."""
    return lambda a, b: operation(*(torch.as_tensor(x, dtype=torch.double) for x in (a, b)))


ops.maximum = backend.numpy.maximum = exact(torch.maximum)
ops.minimum = backend.numpy.minimum = exact(torch.minimum)
ops.matmul = exact(torch.matmul)
STEPS = 20
RECORDED = [1, 2, 8, 9, 14, 20]
r = rng("updates")
SHAPES = [(3, 4), (5,), (2, 1, 3, 2)]
START = [r.normal(size=s) for s in SHAPES]
START[0][1, 2] = 0.0
GRADS = [[r.normal(size=s) * 10 ** r.uniform(-1, 0.7) for s in SHAPES] for _ in range(STEPS)]
GRADS[7] = [np.zeros(s) for s in SHAPES]
CASES = []

K = keras.regularizers
REGULARIZERS = {
    "L1": lambda f: K.L1(f),
    "L2": lambda f: K.L2(f),
    "L1L2": lambda f: K.L1L2(f, 2 * f),
    "OrthogonalRows": lambda f: K.OrthogonalRegularizer(f, mode="rows"),
    "OrthogonalColumns": lambda f: K.OrthogonalRegularizer(f, mode="columns"),
}
C = keras.constraints
CONSTRAINTS = {
    "NonNegative": lambda c: C.NonNeg(),
    "max": lambda c: C.MaxNorm(c["most"], axis=c["axes"]),
    "unit": lambda c: C.UnitNorm(axis=c["axes"]),
    "between": lambda c: C.MinMaxNorm(c["least"], c["most"], c["rate"], axis=c["axes"]),
}
OPTIMIZERS = {
    "SGD": lambda **o: keras.optimizers.SGD(0.05, **o),
    "momentum": lambda **o: keras.optimizers.SGD(0.05, momentum=0.9, **o),
    # Keras adds epsilon before the correction of the bias, so that only 0 agrees with PyTorch's place for it.
    "Adam": lambda **o: keras.optimizers.Adam(0.02, epsilon=1e-30, **o),
}


def penalties(regularizers, values):
    parts = [REGULARIZERS[n](f)(v) for v, rule in zip(values, regularizers) if rule for n, f in [rule]]
    return sum(parts, torch.zeros(()))


def keras_case(name, optimizer, regularizers=(None,) * 3, constraints=(None,) * 3, **clip):
    ws = [keras.Variable(w.copy(), dtype="float64", name=f"w{i}") for i, w in enumerate(START)]
    for w, c in zip(ws, constraints):
        if c:
            w.constraint = CONSTRAINTS[c["name"]](c)
    o = OPTIMIZERS[optimizer](**clip)
    o.build(ws)
    values, after = [], []
    for step, gs in enumerate(GRADS):
        leaves = [torch.tensor(keras.ops.convert_to_numpy(w), requires_grad=True) for w in ws]
        total = penalties(regularizers, leaves)
        (total + sum((l * torch.tensor(g)).sum() for l, g in zip(leaves, gs))).backward()
        o.apply([l.grad for l in leaves], ws)
        values.append(float(total.detach()))
        if step + 1 in RECORDED:
            after.append([keras.ops.convert_to_numpy(w) for w in ws])
    config = {"optimizer": optimizer, "regularizers": regularizers, "constraints": constraints, "clip": clip}
    CASES.append({"name": name, "kind": "keras", "config": config, "penalties": values,
                  "weights_after": [tensors(a) for a in after]})


for rule in ["L1", "L2", "L1L2"]:
    keras_case(f"{rule} with SGD", "SGD", [[rule, 0.3], [rule, 0.1], None])
keras_case("L1L2 with Adam", "Adam", [["L1L2", 0.3], None, ["L2", 0.5]])
for rule in ["OrthogonalRows", "OrthogonalColumns"]:
    keras_case(f"{rule} with momentum", "momentum", [[rule, 0.7], ["L1", 0.2], None])


def norm(name, axes, least=0.0, most=1.0, rate=1.0):
    return {"name": name, "axes": axes, "least": least, "most": most, "rate": rate}


NOT_NEGATIVE = {"name": "NonNegative"}
keras_case("non-negative", "SGD", constraints=[NOT_NEGATIVE, NOT_NEGATIVE, None])
keras_case("max norm", "momentum", constraints=[norm("max", [0], most=0.8), norm("max", [0], most=2.0),
                                                norm("max", [0, 1, 2], most=1.1)])
keras_case("unit norm", "Adam", constraints=[norm("unit", [1]), norm("unit", [0]), norm("unit", [0, 3])])
keras_case("min-max norm", "SGD", constraints=[norm("between", [0], 0.5, 1.5, 0.3), None,
                                               norm("between", [1, 2], 0.9, 1.2)])
keras_case("everything", "Adam", [["L2", 0.2], None, ["L1", 0.1]],
           [norm("max", [0], most=1.2), NOT_NEGATIVE, None], clipnorm=1.5)
keras_case("each norm clipped", "SGD", clipnorm=2.0)
keras_case("each norm clipped, Adam", "Adam", clipnorm=2.0)
keras_case("values clipped", "momentum", [["L2", 0.3], None, None], clipvalue=0.5)


def torch_case(name, kind, groups, accumulate=1, clip_value=None, clip_norm=None, steps=None, **options):
    """groups: for each parameter its factors of rate and decay."""
    lr, decay = options["lr"], options.get("weight_decay", 0.0)
    ws = [torch.tensor(w) for w in START]
    own = [{"params": [w], "lr": lr * g[0], "weight_decay": decay * g[1]} for w, g in zip(ws, groups)]
    o = getattr(torch.optim, kind)(own, **options)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(o, steps) if steps else None
    after = []
    for start in range(0, STEPS, accumulate):
        part = GRADS[start:start + accumulate]
        o.zero_grad()
        for gs in part:
            for w, g in zip(ws, gs):
                w.grad = torch.tensor(g) / len(part) + (0 if w.grad is None else w.grad)
        if clip_value is not None:
            torch.nn.utils.clip_grad_value_(ws, clip_value)
        if clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(ws, clip_norm)
        o.step()
        if schedule:
            schedule.step()
        after.append([w.clone() for w in ws])
    config = {"kind": kind, "groups": groups, "accumulate": accumulate, "clip_value": clip_value,
              "clip_norm": clip_norm, "cosine": steps, "lr": lr, "weight_decay": decay,
              "momentum": options.get("momentum", 0.0)}
    CASES.append({"name": name, "kind": "torch", "config": config,
                  "weights_after": [tensors(a) for a in after[-3:]]})


ALIKE = [[1.0, 1.0]] * 3
torch_case("groups, SGD", "SGD", [[0.1, 0.0], [1.0, 1.0], [2.0, 0.5]], lr=0.05, momentum=0.9, weight_decay=0.1)
torch_case("groups, Adam", "Adam", [[0.1, 1.0], [1.0, 0.0], [0.0, 1.0]], lr=0.02, weight_decay=0.1)
torch_case("groups, AdamW and a schedule", "AdamW", [[0.5, 2.0], [1.0, 0.0], [1.0, 1.0]], lr=0.02, weight_decay=0.1,
           steps=STEPS)
torch_case("values clipped before decay", "SGD", ALIKE, clip_value=0.3, lr=0.05, weight_decay=0.1)
torch_case("accumulated", "AdamW", ALIKE, accumulate=3, lr=0.02, weight_decay=0.1)
torch_case("accumulated and clipped", "SGD", ALIKE, accumulate=4, clip_norm=1.0, lr=0.05, momentum=0.9)
torch_case("accumulated, values clipped", "Adam", [[1.0, 1.0], [0.3, 0.0], [1.0, 1.0]], accumulate=6, clip_value=0.2,
           lr=0.02, weight_decay=0.1)


def awkward(name, shape):
    w = rng(name).normal(size=shape)
    w.flat[0], w.flat[1], w.flat[2], w.flat[3] = 0.0, 1e-12, 1e8, -0.0
    return w


for rule in REGULARIZERS:
    many = rng(rule).normal(size=(70, 3)).round(2)
    for number, w in enumerate([awkward(rule, (5, 4)), rng(rule).normal(size=(2, 3)), many]):
        leaf = torch.tensor(w, requires_grad=True)
        value = REGULARIZERS[rule](0.25)(leaf)
        value.backward()
        CASES.append({"name": f"{rule} {number}", "kind": "penalty", "config": {"regularizer": [rule, 0.25]},
                      "weight": tensor(w), "value": float(value.detach()), "gradient": tensor(leaf.grad)})
# 2 of 3 rows parallel, the third orthogonal to both.
w = np.array([[1.0, 2.0, 0.0], [-2.0, -4.0, 0.0], [0.0, 0.0, 3.0]])
leaf = torch.tensor(w, requires_grad=True)
value = REGULARIZERS["OrthogonalRows"](0.25)(leaf)
value.backward()
CASES.append({"name": "parallel rows", "kind": "penalty", "config": {"regularizer": ["OrthogonalRows", 0.25]},
              "weight": tensor(w), "value": float(value.detach()), "gradient": tensor(leaf.grad)})

for number, (c, shape) in enumerate([
    (NOT_NEGATIVE, (3, 4)),
    (norm("max", [0], most=0.5), (5, 4)),
    (norm("max", [1], most=0.5), (5, 4)),
    (norm("max", [0, 1], most=0.5), (5, 4)),
    (norm("unit", [0, 1, 2]), (2, 3, 4, 5)),
    (norm("unit", [1, 3]), (2, 3, 4, 5)),
    (norm("unit", [2]), (2, 3, 4, 5)),
    (norm("between", [0, 2], 0.5, 0.7, 0.4), (2, 3, 4, 5)),
    (norm("between", [0], 2.0, 3.0), (7,)),
]):
    w = awkward(f"constraint {number}", shape)
    w.flat[2] = 1.5
    if len(shape) == 2:
        w[:, 2] = 0.0  # a norm of 0
    after = CONSTRAINTS[c["name"]](c)(torch.tensor(w))
    CASES.append({"name": f"constraint {number}", "kind": "constraint", "config": {"constraint": c},
                  "weight": tensor(w), "after": tensor(after)})

torch.manual_seed(5)
net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Tanh(), torch.nn.Linear(4, 2),
                          torch.nn.BatchNorm1d(2))
for bn in (net[1], net[4]):
    bn.running_mean.fill_(7.0)
    bn.running_var.fill_(9.0)
x = rng("update_bn").normal(size=(18, 3)) * [1.0, 10.0, 0.1] + [0.0, 5.0, 100.0]
torch.optim.swa_utils.update_bn(torch.utils.data.DataLoader(torch.tensor(x), batch_size=5), net)
layers = {}
for at in (0, 3):
    layers[f"{at}.weight"], layers[f"{at}.bias"] = tensor(net[at].weight.T), tensor(net[at].bias)
after = {f"{at}.running_{n}": tensor(getattr(net[at], f"running_{t}"))
         for at in (1, 4) for n, t in [("mean", "mean"), ("variance", "var")]}
CASES.append({"name": "update_bn", "kind": "update_bn", "config": {"batch_size": 5}, "x": tensor(x),
              "params": layers, "after": after})

write("updates_keras_torch.json",
      {"keras": keras.__version__, "torch": torch.__version__, "recorded": RECORDED, "start": tensors(START),
       "grads": [tensors(g) for g in GRADS]}, CASES)
