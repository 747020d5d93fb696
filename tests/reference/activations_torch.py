"""Outputs and gradients of activations, softmax over any axis and PReLU, from PyTorch -> activations_torch.json.

Run: python activations_torch.py      Made with torch 2.15.0, numpy 2.4.6, Python 3.11.

A case is as in layers_torch.json; kind and config are those of a layer in a file of layerwise. Channels are last.
"awkward" cases hold 0, the kinks and both sides of them, tiny and large numbers, all within the range of float32.
Keras 3 is asked for the values of each function that it has, and must agree.
"""
import os

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
import torch
import torch.nn.functional as F

from common import rng, tensor, tensors, write

torch.set_num_threads(1)
torch.set_default_dtype(torch.double)
CASES = []


def softplus(x, beta):
    """log(1 + exp(beta x)) / beta without the threshold beyond which F.softplus is x."""
    return torch.logaddexp(torch.zeros_like(x), beta * x) / beta


K = keras.activations
# kind: (settings, PyTorch, kinks, Keras or None)
FUNCTIONS = {
    "Relu6": [({}, F.relu6, [0, 6], K.relu6)],
    "Elu": [({"alpha": 1.0}, F.elu, [0], K.elu),
            ({"alpha": 0.3}, lambda x: F.elu(x, 0.3), [0], lambda x: K.elu(x, 0.3)),
            ({"alpha": 0.0}, lambda x: F.elu(x, 0.0), [0], None)],
    "Selu": [({}, F.selu, [0], K.selu)],
    "Celu": [({"alpha": 1.0}, F.celu, [0], K.celu),
             ({"alpha": 2.5}, lambda x: F.celu(x, 2.5), [0], lambda x: K.celu(x, 2.5))],
    "LogSigmoid": [({}, F.logsigmoid, [0], K.log_sigmoid)],
    # F.hardsigmoid is the same, but for a gradient with a sixth in single precision.
    "HardSigmoid": [({}, lambda x: F.relu6(x + 3) / 6, [-3, 3], K.hard_sigmoid)],
    "HardTanh": [({"min": -1.0, "max": 1.0}, F.hardtanh, [-1, 1], K.hard_tanh),
                 ({"min": 0.25, "max": 3.0}, lambda x: F.hardtanh(x, 0.25, 3.0), [0.25, 3], None)],
    "TanhShrink": [({}, F.tanhshrink, [0], K.tanh_shrink)],
    "LogSoftmax": [({}, lambda x: F.log_softmax(x, -1), [0], K.log_softmax)],
    "Silu": [({}, F.silu, [0], K.silu)],
    "HardSwish": [({}, F.hardswish, [-3, 3], K.hard_silu)],
    "Mish": [({}, F.mish, [0], K.mish)],
    "Softplus": [({"beta": 1.0}, lambda x: softplus(x, 1.0), [20], K.softplus),
                 ({"beta": 2.5}, lambda x: softplus(x, 2.5), [8], None),
                 ({"beta": -0.5}, lambda x: softplus(x, -0.5), [-40], None)],
    "Softsign": [({}, F.softsign, [0], K.softsign)],
    "Exponential": [({}, torch.exp, [0], K.exponential)],
    "HardShrink": [({"lambda": 0.5}, F.hardshrink, [-0.5, 0.5], K.hard_shrink),
                   ({"lambda": 0.0}, lambda x: F.hardshrink(x, 0.0), [0], None)],
    "SoftShrink": [({"lambda": 0.5}, F.softshrink, [-0.5, 0.5], K.soft_shrink),
                   ({"lambda": 0.0}, lambda x: F.softshrink(x, 0.0), [0], None)],
    "Threshold": [({"threshold": 1.0, "value": -2.0}, lambda x: F.threshold(x, 1.0, -2.0), [1, -2], None)],
}


def draw(r, shape):
    return np.round(r.normal(size=shape) * 2, 3)


def case(name, kind, config, x, f, params=None):
    """f(x, params) -> output."""
    x = torch.tensor(x, dtype=torch.double).requires_grad_()
    ps = {k: torch.tensor(v).requires_grad_() for k, v in (params or {}).items()}
    y = f(x, ps)
    g = torch.tensor(draw(rng("grad " + name), tuple(y.shape)))
    grads = torch.autograd.grad(y, [x, *ps.values()], g)
    CASES.append({
        "name": name, "kind": kind, "config": config, "mode": "inference",
        "inputs": tensors([x]), "params": tensors(ps), "state": {},
        "grad_outputs": tensors([g]), "outputs": tensors([y]), "input_grads": [tensor(grads[0])],
        "param_grads": {k: tensor(v) for k, v in zip(ps, grads[1:])}, "state_after": {},
    })


def awkward(kind, kinks):
    """Points in rows of 4."""
    points = [0.0, -0.0, 1e-30, -1e-30, 1e-5, -1e-5, 30.0, -30.0, 100.0, -100.0]
    points += [] if kind == "Exponential" else [1e4, -1e4, 1e20, -1e20]
    if kind == "Exponential":
        points[points.index(100.0)] = 80.0
    for kink in kinks:
        points += [float(kink), kink + 2.0**-20, kink - 2.0**-20]
    return np.array(points + [0.5] * (-len(points) % 4)).reshape(-1, 4)


def activation_cases():
    for kind, variants in FUNCTIONS.items():
        for config, f, kinks, theirs in variants:
            label = " ".join([kind, *map(str, config.values())])
            for name, x in [(label, draw(rng(label), (3, 5))), (label + " images", draw(rng(label + "i"), (2, 1, 3, 2))),
                            (label + " awkward", awkward(kind, kinks))]:
                case(name, kind, config, x, lambda x, p: f(x) * 1.0)
                # Keras's softmax family asks for batches, and its float32 constants are off by a little.
                if theirs is not None and np.abs(x).max() < 50:
                    got = theirs(torch.tensor(x)).numpy()
                    np.testing.assert_allclose(got, f(torch.tensor(x)).numpy(), rtol=1e-6, atol=1e-6, err_msg=name)


def softmax_cases():
    rows = np.array([[1e4, 0, -1e4], [1e4, 1e4, 1e4], [-1e4, -1e4, -1e4], [0, 0, 0], [1e4, 9999, 9998], [-1e4, 2.5, 0]])
    for kind, f in [("SoftmaxOver", torch.softmax), ("LogSoftmaxOver", torch.log_softmax)]:
        for shape in [(3, 5), (2, 3, 4), (2, 3, 2, 5), (2, 1, 3, 1)]:
            for axis in [*range(1, len(shape)), *range(1 - len(shape), 0)]:
                name = "%s %s axis %d" % (kind, "x".join(map(str, shape)), axis)
                case(name, kind, {"axis": axis}, draw(rng(name), shape), lambda x, p: f(x, axis))
        case(kind + " of many", kind, {"axis": 1}, draw(rng(kind), (1, 75)), lambda x, p: f(x, 1))
        case(kind + " large and equal", kind, {"axis": 1}, rows, lambda x, p: f(x, 1))
        case(kind + " large and equal over time", kind, {"axis": 1}, rows.T[None], lambda x, p: f(x, 1))
    case("LogSoftmax large and equal", "LogSoftmax", {}, rows, lambda x, p: torch.log_softmax(x, -1))


def prelu_cases():
    def one(x, p):
        return F.prelu(x, p["slope"])

    def channel(x, p):
        return F.prelu(x.movedim(-1, 1), p["slope"]).movedim(1, -1)

    def element(x, p):
        return F.prelu(x.flatten(1), p["slope"].flatten()).reshape(x.shape)

    for per, f in [("layer", one), ("channel", channel), ("element", element)]:
        for shape in [(5, 3), (2, 4, 3), (2, 3, 2, 5), (40, 7), (1, 1)]:
            name = "PRelu %s %s" % (per, "x".join(map(str, shape)))
            r = rng(name)
            slopes = {"layer": (1,), "channel": shape[-1:], "element": shape[1:]}[per]
            x = draw(r, shape)
            x.ravel()[::4] = 0.0
            config = {"per": per, "slope_initializer": {"name": "Zeros"}}
            case(name, "PRelu", config, x, f, {"slope": draw(r, slopes)})


for make in [activation_cases, softmax_cases, prelu_cases]:
    make()
write("activations_torch.json", {"torch": torch.__version__.split("+")[0]}, CASES)
