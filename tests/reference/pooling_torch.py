"""Outputs and gradients of the pooling layers, from PyTorch -> pooling_torch.json.

Run: python pooling_torch.py      Made with torch 2.15.0, numpy 2.4.6, Python 3.11.

Layout: (batch, height, width, channels) and (batch, time, features), permuted on
the way into PyTorch. Every case holds the gradient of sum(output * grad_output).
Where PyTorch has the padding itself it is asked for it; `same` padding, and
padding that differs from side to side, is put around the image first: minus
infinity for the maximum, zeros for the rest. Averages that leave it out are
those of the padded image over those of a padded image of ones.
"""
import itertools

import numpy as np
import torch
import torch.nn.functional as F

from common import rng, tensors, write

torch.set_num_threads(1)
torch.set_default_dtype(torch.double)
CASES = []


def case(name, kind, config, x, f):
    """f(x in PyTorch's layout) -> output in PyTorch's layout, or without axes if they are gone."""
    x = torch.tensor(x, requires_grad=True)
    y = f(x.movedim(-1, 1))
    y = y.movedim(1, -1)
    g = torch.tensor(rng("grad " + name).normal(size=tuple(y.shape)).round(2))
    dx, = torch.autograd.grad(y, x, g)
    CASES.append({"name": name, "kind": kind, "config": config, "mode": "inference", "inputs": tensors([x]),
                  "params": {}, "state": {}, "grad_outputs": tensors([g]), "outputs": tensors([y]),
                  "input_grads": tensors([dx]), "param_grads": {}, "state_after": {}})


def values(name, shape, kind):
    """A third of the inputs of maxima are small whole numbers: windows full of ties."""
    r = rng(name)
    if kind == "lp":
        return (r.uniform(0.1, 2, size=shape)).round(3)
    if kind == "max" and r.integers(3) == 0:
        return r.integers(-2, 3, size=shape).astype(float)
    return r.normal(size=shape).round(3)


def sides(padding, shape, size, stride):
    """[(before, after)] for each axis."""
    if padding == "valid":
        return [(0, 0)] * len(shape)
    if padding == "same":
        total = [max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in zip(shape, size, stride)]
        return [(t // 2, t - t // 2) for t in total]
    return padding


def pool(x, kind, c):
    """x: (batch, channels, ...)."""
    axes, size, stride = x.ndim - 2, c["size"], c["stride"]
    around = sides(c["padding"], x.shape[2:], size, stride)
    even = all(b == a and 2 * b <= k for (b, a), k in zip(around, size))
    padding = [b for b, _ in around] if even and kind != "lp" else [0] * axes
    flat = [] if even and kind != "lp" else [n for pair in reversed(around) for n in pair]
    if flat:
        assert not c["ceil_mode"] or not any(flat), "PyTorch would count windows that begin in the padding"
    at = {1: {"max": F.max_pool1d, "average": F.avg_pool1d, "lp": F.lp_pool1d},
          2: {"max": F.max_pool2d, "average": F.avg_pool2d, "lp": F.lp_pool2d}}[axes][kind]
    rest = {"stride": stride, "ceil_mode": c["ceil_mode"]}
    if kind == "max":
        return at(F.pad(x, flat, value=-np.inf) if flat else x, size, padding=padding, **rest)
    if kind == "lp":
        return at(F.pad(x, flat), c["p"], size if axes == 2 else size[0], **rest)
    if not flat:
        return at(x, size, padding=padding, count_include_pad=c["count_include_pad"], **rest)
    y = at(F.pad(x, flat), size, **rest)
    return y if c["count_include_pad"] else y / at(F.pad(torch.ones_like(x), flat), size, **rest)


NAMES = {"max": "MaxPool", "average": "AveragePool", "lp": "LpPool"}


def sliding(kind, extra, shape, size, stride, padding, ceil):
    axes = len(shape) - 2
    config = {"size": size, "stride": stride, "padding": padding, "ceil_mode": ceil, **extra}
    name = "%s %s size %s stride %s padding %s%s%s" % (
        NAMES[kind] + f"{axes}d", "x".join(map(str, shape)), size, stride, padding, " ceil" if ceil else "",
        "".join(f" {k} {v}" for k, v in extra.items()))
    if kind == "lp" and extra["p"] in (1.0, 2.0, 4.0):
        x = rng(name).normal(size=shape).round(3)
    else:
        x = values(name, shape, kind)
    case(name, NAMES[kind] + f"{axes}d", config, x, lambda x: pool(x, kind, config))


def sliding_cases():
    kinds = [("max", {}), ("average", {"count_include_pad": False}), ("average", {"count_include_pad": True}),
             ("lp", {"p": 2.0})]
    shapes = itertools.cycle([(2, 5, 7, 1), (1, 5, 4, 3), (2, 4, 5, 3), (1, 7, 5, 5), (1, 3, 4, 17), (2, 6, 3, 1)])
    for size, stride in itertools.product([(1, 1), (2, 2), (3, 3), (2, 3)], [1, 2, 3]):
        for kind, extra in kinds:
            add = lambda *rest: sliding(kind, extra, next(shapes), size, (stride, stride), *rest)
            add("valid", False)
            add("same", False)
            if stride > 1:
                add("valid", True)
            if min(size) > 1:
                add([(1, 1), (1, 1)], kind != "lp" and stride > 1)
                add([(1, 0), (0, 1)], False)
            if min(size) > 2:
                add([(0, 2), (2, 1)], False)
    # The way of two by two that is walked most, and strides of their own for each axis.
    for shape in [(1, 4, 4, 32), (2, 5, 5, 17), (3, 2, 2, 3), (1, 7, 2, 1)]:
        sliding("max", {}, shape, (2, 2), (2, 2), "valid", False)
    for kind, extra in kinds:
        sliding(kind, extra, (2, 7, 8, 2), (3, 2), (1, 3), "same", False)
        sliding(kind, extra, (1, 6, 9, 3), (2, 4), (3, 2), "valid", True)
    for p in [1.0, 1.5, 3.0, 4.0, 0.5]:
        sliding("lp", {"p": p}, (2, 5, 4, 3), (2, 3), (1, 2), "valid", False)
        sliding("lp", {"p": p}, (1, 5, 5, 2), (2, 2), (2, 2), "valid", True)
    # In one dimension.
    for (kind, extra), (size, stride) in itertools.product(kinds, [(1, 2), (2, 2), (3, 1), (3, 2), (4, 3)]):
        sliding(kind, extra, (2, 9, 3), [size], [stride], "valid", stride > 1)
        sliding(kind, extra, (1, 8, 5), [size], [stride], "same", False)
        if size > 1:
            sliding(kind, extra, (2, 7, 1), [size], [stride], [(1, 1)], False)
            sliding(kind, extra, (1, 7, 2), [size], [stride], [(1, 0)], False)


def whole_cases():
    at = {("Max", 1): F.adaptive_max_pool1d, ("Max", 2): F.adaptive_max_pool2d,
          ("Average", 1): F.adaptive_avg_pool1d, ("Average", 2): F.adaptive_avg_pool2d}
    for kind in ["Max", "Average"]:
        for shape in [(2, 5, 3), (1, 1, 2), (3, 4, 17), (2, 4, 3, 5), (1, 1, 1, 3), (2, 3, 5, 1)]:
            for keep in [False, True]:
                axes = len(shape) - 2
                name = "Global%sPool%dd %s%s" % (kind, axes, "x".join(map(str, shape)), " keep dims" if keep else "")

                def f(x):
                    y = at[kind, axes](x, 1)
                    return y if keep else y.flatten(1)

                case(name, f"Global{kind}Pool{axes}d", {"keep_dims": keep}, values(name, shape, kind.lower()), f)
        for shape, output in [((2, 7, 3), [3]), ((1, 6, 2), [3]), ((2, 4, 1), [6]), ((1, 5, 5), [1]),
                              ((2, 5, 7, 3), [2, 3]), ((1, 6, 6, 5), [3, 2]), ((2, 3, 4, 1), [5, 6]),
                              ((1, 7, 5, 2), [7, 1]), ((1, 4, 6, 17), [3, 4]), ((2, 5, 5, 1), [1, 1])]:
            axes = len(shape) - 2
            name = "Adaptive%sPool%dd %s to %s" % (kind, axes, "x".join(map(str, shape)), output)
            case(name, f"Adaptive{kind}Pool{axes}d", {"output": output}, values(name, shape, kind.lower()),
                 lambda x: at[kind, axes](x, output))


sliding_cases()
whole_cases()
write("pooling_torch.json", {"torch": torch.__version__.split("+")[0]}, CASES)
