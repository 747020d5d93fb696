"""Outputs and gradients of the layers that move or normalise values, from PyTorch -> shape_torch.json.

Run: python shape_torch.py      Made with torch 2.15.0, numpy 2.4.6, Python 3.11.

Layout: axis 0 is the batch, channels are last; tensors are permuted on the way into
PyTorch and back, inside what is differentiated. A case is as in layers_torch.json.
Inputs and gradients of outputs have three decimals, which keeps the file small.
"""
import numpy as np
import torch
import torch.nn.functional as F

from common import rng, tensor, tensors, write

torch.set_num_threads(1)
torch.set_default_dtype(torch.double)
CASES = []
SHAPES = [(1, 5, 7, 1), (2, 3, 5, 3), (2, 4, 4, 5), (1, 3, 5, 16)]
SEQUENCES = [(1, 7, 1), (2, 5, 3), (3, 4, 16)]


def draw(r, shape):
    return np.round(r.normal(size=shape), 3)


def case(name, kind, config, shape, f, params=None, state=None, mode="training"):
    """f(x, params, state) -> output, with the state replaced in training."""
    r = rng(name)
    x = torch.tensor(draw(r, shape)).requires_grad_()
    ps = {k: torch.tensor(v).requires_grad_() for k, v in (params or {}).items()}
    before = {k: torch.tensor(v) for k, v in (state or {}).items()}
    after = dict(before)
    y = f(x, ps, after)
    g = torch.tensor(draw(r, tuple(y.shape)))
    leaves = [x, *ps.values()]
    grads = torch.autograd.grad(y, leaves, g, allow_unused=True)
    CASES.append({
        "name": name, "kind": kind, "config": config, "mode": mode,
        "inputs": tensors([x]), "params": tensors(ps), "state": tensors(before),
        "grad_outputs": tensors([g]), "outputs": tensors([y]), "input_grads": [tensor(grads[0])],
        "param_grads": {k: tensor(v) for k, v in zip(ps, grads[1:])}, "state_after": tensors(after),
    })


def label(*parts):
    def one(part):
        if isinstance(part, (tuple, list)):
            return "x".join(one(p) for p in part)
        return str(part)
    return " ".join(one(part) for part in parts)


def channels_first(f):
    """f on (batch, channels, ...), as a function of x with the channels last."""
    return lambda x, p, s: f(x.movedim(-1, 1)).movedim(1, -1)


def padding_cases():
    modes = {"ZeroPadding": "constant", "ReflectionPadding": "reflect", "ReplicationPadding": "replicate"}
    for kind, mode in modes.items():
        for shape in SHAPES:
            for (t, b), (l, r) in [((1, 1), (1, 1)), ((0, 2), (3, 1)), ((2, 0), (0, 0))]:
                case(label(kind + "2d", shape, (t, b, l, r)), kind + "2d", {"padding": [[t, b], [l, r]]}, shape,
                     channels_first(lambda x: F.pad(x, (l, r, t, b), mode=mode)))
        for shape in SEQUENCES:
            for before, after in [(1, 1), (0, 3), (2, 1)]:
                case(label(kind + "1d", shape, (before, after)), kind + "1d", {"padding": [before, after]}, shape,
                     channels_first(lambda x: F.pad(x, (before, after), mode=mode)))
    for shape in SHAPES:
        for (t, b), (l, r) in [((1, 1), (1, 1)), ((0, 2), (3, 0)), ((2, 0), (0, 0))]:
            case(label("Cropping2d", shape, (t, b, l, r)), "Cropping2d", {"cropping": [[t, b], [l, r]]}, shape,
                 lambda x, p, s: x[:, t:shape[1] - b, l:shape[2] - r])
    for shape in SEQUENCES:
        for before, after in [(1, 1), (0, 3), (2, 1)]:
            case(label("Cropping1d", shape, (before, after)), "Cropping1d", {"cropping": [before, after]}, shape,
                 lambda x, p, s: x[:, before:shape[1] - after])


def upsampling_cases():
    ways = [("nearest", None)] + [(mode, align) for mode in ["bilinear", "bicubic"] for align in [False, True]]
    for mode, align in ways:
        config = {"interpolation": mode, "align_corners": bool(align)}
        end = " aligned" if align else ""
        for shape in [(1, 3, 5, 1), (2, 3, 2, 3), (1, 1, 4, 5), (1, 2, 3, 16)]:
            for factors in [(2, 2), (1, 3), (3, 2)]:
                case(label("UpSampling2d", mode, shape, "by", factors) + end, "UpSampling2d",
                     config | {"factors": factors}, shape,
                     channels_first(lambda x: F.interpolate(x, scale_factor=factors, mode=mode, align_corners=align)))
        for shape, size in [((2, 3, 5, 3), (7, 4)), ((1, 6, 4, 1), (3, 9)), ((1, 2, 3, 5), (1, 1))]:
            case(label("UpSampling2d", mode, shape, "to", size) + end, "UpSampling2d", config | {"size": size}, shape,
                 channels_first(lambda x: F.interpolate(x, size=size, mode=mode, align_corners=align)))
    for shape in SEQUENCES:
        for factor in [2, 3]:
            case(label("UpSampling1d", shape, "by", factor), "UpSampling1d", {"factor": factor}, shape,
                 channels_first(lambda x: F.interpolate(x, scale_factor=factor)))


def permute_cases():
    for shape, r in [((1, 3, 2, 4), 2), ((2, 2, 3, 12), 2), ((3, 1, 2, 20), 2), ((1, 2, 1, 27), 3), ((2, 3, 1, 64), 2),
                     ((2, 2, 2, 3), 1)]:
        case(label("PixelShuffle", shape, r), "PixelShuffle", {"factor": r}, shape,
             channels_first(lambda x: F.pixel_shuffle(x, r)))
    for shape, r in [((1, 6, 4, 1), 2), ((2, 4, 6, 3), 2), ((3, 2, 4, 5), 2), ((1, 6, 3, 3), 3), ((2, 2, 4, 16), 2),
                     ((2, 2, 2, 3), 1)]:
        case(label("PixelUnshuffle", shape, r), "PixelUnshuffle", {"factor": r}, shape,
             channels_first(lambda x: F.pixel_unshuffle(x, r)))
    for shape, dims in [((2, 3, 5), [2, 1]), ((2, 3, 5), [1, 2]), ((1, 9, 17), [2, 1]), ((2, 3, 4, 5), [3, 1, 2]),
                        ((2, 3, 4, 5), [2, 3, 1]), ((2, 3, 4, 5), [3, 2, 1]), ((2, 3, 4, 5), [2, 1, 3]),
                        ((3, 4), [1]), ((2, 3, 2, 3, 4), [3, 1, 4, 2])]:
        case(label("Permute", shape, dims), "Permute", {"dims": dims}, shape,
             lambda x, p, s: x.permute(0, *dims) * 1.0)
    for shape in [(1, 1, 5, 7), (2, 3, 5, 3), (1, 16, 4, 5), (2, 5, 9), (1, 16, 7)]:
        case(label("ChannelsLast", shape), "ChannelsLast", {}, shape, lambda x, p, s: x.movedim(1, -1) * 1.0)
    for shape in [(1, 5, 7, 1), (2, 3, 5, 3), (1, 4, 5, 16), (2, 9, 5), (1, 7, 16)]:
        case(label("ChannelsFirst", shape), "ChannelsFirst", {}, shape, lambda x, p, s: x.movedim(-1, 1) * 1.0)


def normalization_cases():
    def add(kind, shape, config, f):
        name = label(kind, shape, *[v for k, v in config.items() if k == "groups"], config["epsilon"],
                     "" if config["scale"] else "no gamma", "" if config["center"] else "no beta").rstrip()
        r = rng("params " + name)
        params = {"gamma": draw(r, shape[-1]) + 1} if config["scale"] else {}
        params |= {"beta": draw(r, shape[-1])} if config["center"] else {}
        case(name, kind, config, shape, lambda x, p, s: f(x, p.get("gamma"), p.get("beta"), config["epsilon"]), params)

    def settings(epsilon=1e-5, scale=True, center=True, **others):
        return others | {"epsilon": epsilon, "scale": scale, "center": center}

    def group(groups):
        return lambda x, gamma, beta, e: F.group_norm(x.movedim(-1, 1), groups, gamma, beta, e).movedim(1, -1)

    def instance(x, gamma, beta, e):
        # The gradient of instance_norm is wrong in torch 2.15.0 for a batch of one whose gradient lies channels last.
        # A group for each channel is the same function.
        y = F.group_norm(x.movedim(-1, 1), x.shape[-1], gamma, beta, e)
        torch.testing.assert_close(y, F.instance_norm(x.movedim(-1, 1), weight=gamma, bias=beta, eps=e))
        return y.movedim(1, -1)

    def layer(x, gamma, beta, e):
        return F.layer_norm(x, x.shape[-1:], gamma, beta, e)

    choices = [{}, {"scale": False}, {"center": False}, {"scale": False, "center": False}]
    for shape, groups in [((2, 3, 5, 6), 1), ((2, 3, 5, 6), 2), ((1, 3, 5, 6), 3), ((2, 3, 1, 6), 6), ((1, 4, 3, 16), 4),
                          ((3, 9, 7, 4), 2), ((1, 5, 7, 1), 1), ((2, 3, 3, 5), 5), ((3, 5, 4), 2), ((2, 6), 3),
                          ((1, 2, 2, 2, 3), 1)]:
        for e in [1e-5, 1e-3]:
            add("GroupNormalization", shape, settings(e, groups=groups), group(groups))
    for choice in choices[1:]:
        add("GroupNormalization", (2, 3, 5, 6), settings(groups=2, **choice), group(2))
    for shape in [(1, 5, 7, 1), (2, 3, 5, 3), (3, 4, 3, 5), (1, 9, 7, 16), (2, 7, 3)]:
        for choice in [choices[0], choices[3]]:
            add("InstanceNormalization", shape, settings(**choice), instance)
    for shape in [(3, 4), (2, 5, 3), (1, 3, 3, 16), (2, 2, 1, 5)]:
        for choice in [choices[0], choices[3]]:
            add("LayerNormalization", shape, settings(**choice), layer)

    for shape in [(2, 13, 11, 1), (2, 9, 7, 3), (1, 11, 9, 5), (1, 5, 7, 16), (3, 1, 1, 3)]:
        for mode in ["training", "inference"]:
            name = label("BatchNormalization", shape, mode)
            r = rng("params " + name)
            c = shape[-1]

            def batch(x, p, s):
                mean, variance = s["running_mean"].clone(), s["running_variance"].clone()
                y = F.batch_norm(x.movedim(-1, 1), mean, variance, p["gamma"], p["beta"], mode == "training", 0.1, 1e-5)
                s["running_mean"], s["running_variance"] = mean, variance
                return y.movedim(1, -1)

            case(name, "BatchNormalization", {"momentum": 0.9, "epsilon": 1e-5, "unbiased": True}, shape, batch,
                 {"gamma": draw(r, c) + 1, "beta": draw(r, c)},
                 {"running_mean": draw(r, c), "running_variance": np.round(r.uniform(0.3, 2, c), 3)}, mode)


def dropout_cases():
    # Which channels fall is each library's own; what is left is the identity.
    for kind, shapes in [("SpatialDropout1d", SEQUENCES), ("SpatialDropout2d", SHAPES[1:3])]:
        for shape in shapes:
            drop = F.dropout1d if len(shape) == 3 else F.dropout2d
            case(label(kind, shape, "inference"), kind, {"rate": 0.4}, shape,
                 channels_first(lambda x: drop(x, 0.4, training=False) * 1.0), mode="inference")
        case(label(kind, shape, "rate 0"), kind, {"rate": 0.0}, shape, channels_first(lambda x: drop(x, 0.0) * 1.0))


for make in [padding_cases, upsampling_cases, permute_cases, normalization_cases, dropout_cases]:
    make()
write("shape_torch.json", {"torch": torch.__version__.split("+")[0]}, CASES)
