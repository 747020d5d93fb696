"""Values and gradients of losses, from PyTorch -> losses_torch.json.

Run: python losses_torch.py      Made with torch 2.15.0, numpy 2.4.6, Python 3.11.

A loss is a set of terms l_p with weights w_p:
  MeanSquaredError     one per element, (output - target)^2
  BinaryCrossEntropy   one per element, from logits; pos_weight scales the positive
                       part inside the term (a number, or one per last-axis element)
  SoftmaxCrossEntropy  one per sample or per step, from logits on the last axis
w_p is the sample weight, (batch,) or (batch, time), spread over all terms of its
sample, times, for SoftmaxCrossEntropy, the class weight sum_c(target_c * weight_c).
config.reduction:
  "sum"            sum(w l)
  "mean"           sum(w l) / number of terms          (Keras: sum_over_batch_size)
  "weighted_mean"  sum(w l) / sum(w)                   (PyTorch, class weights)
With class weights and soft targets the term is -sum_c weight_c target_c log p_c,
as in PyTorch. Whatever PyTorch has as a reduction of its own is asserted to agree.
"""
import numpy as np
import torch
import torch.nn.functional as F

from common import rng, tensor, write

torch.set_num_threads(1)
torch.set_default_dtype(torch.double)
CASES = []


def case(name, kind, config, output, target, sample_weights=None):
    x = torch.tensor(np.asarray(output, dtype=float), requires_grad=True)
    t = torch.tensor(np.asarray(target, dtype=float))
    class_weights = config.get("class_weights")
    direct = {"mean": "mean", "sum": "sum"}  # this reduction -> PyTorch's
    if kind == "MeanSquaredError":
        terms, w = F.mse_loss(x, t, reduction="none"), torch.ones_like(x)
        torch_loss = lambda r: F.mse_loss(x, t, reduction=r)
    elif kind == "BinaryCrossEntropy":
        pw = None if config["pos_weight"] is None else torch.tensor(config["pos_weight"])
        f = lambda r: F.binary_cross_entropy_with_logits(x, t, reduction=r, pos_weight=pw)
        terms, w, torch_loss = f("none"), torch.ones_like(x), f
    else:
        cw = torch.ones(x.shape[-1]) if class_weights is None else torch.tensor(class_weights)
        integer = config["target"] == "integer"
        goal = t.long() if integer else t.movedim(-1, 1)
        # PyTorch: classes on axis 1
        f = lambda r: F.cross_entropy(x.movedim(-1, 1), goal, weight=cw, reduction=r)
        terms = f("none")  # already with the class weights
        w = cw[goal] if integer else (t * cw).sum(-1)
        torch_loss = f
        if class_weights is not None:
            direct = {"sum": "sum"} | ({"weighted_mean": "mean"} if integer else {"mean": "mean"})
    total, weight = terms, torch.ones_like(w) if kind != "SoftmaxCrossEntropy" else w
    if sample_weights is not None:
        sw = torch.tensor(np.asarray(sample_weights, dtype=float))
        sw = sw.reshape(sw.shape + (1,) * (terms.dim() - sw.dim()))
        total, weight = sw * total, sw * weight
    weight = weight.expand_as(total)
    value = total.sum() / {"sum": 1, "mean": total.numel(), "weighted_mean": weight.sum()}[config["reduction"]]
    if sample_weights is None and config["reduction"] in direct:
        # The agreement is to rounding, the value and gradient kept are PyTorch's.
        own, value = value, torch_loss(direct[config["reduction"]])
        torch.testing.assert_close(own, value, rtol=1e-13, atol=1e-13)
    (grad,) = torch.autograd.grad(value, x)
    CASES.append({
        "name": name, "kind": kind, "config": config, "output": tensor(x), "target": tensor(t),
        "sample_weights": tensor(sample_weights), "value": value.item(), "grad": tensor(grad),
    })


def weights(r, shape):
    """Uneven weights, one of them zero where there are several."""
    w = r.uniform(0.2, 3, shape).round(3)
    if w.size > 1:
        w.flat[1] = 0.0
    return w


REDUCTIONS = ["mean", "weighted_mean", "sum"]

for shape in [(5,), (4, 3), (1, 3), (2, 3, 4), (2, 3, 2, 2)]:
    label = "mean squared error %s" % "x".join(map(str, shape))
    for reduction in REDUCTIONS:
        for weighted in [False, True]:
            if reduction == "weighted_mean" and not weighted:
                continue
            name = "%s %s%s" % (label, reduction, " weighted" if weighted else "")
            r = rng(name)
            case(name, "MeanSquaredError", {"reduction": reduction}, r.normal(size=shape), r.normal(size=shape),
                 weights(r, shape[:1]) if weighted else None)
case("mean squared error exact", "MeanSquaredError", {"reduction": "mean"}, [[1.0, -2.0]], [[1.0, -2.0]])

for shape in [(5, 3), (1, 4), (2, 3, 4)]:
    for kind in ["integer", "one_hot", "soft"]:
        for reduction in REDUCTIONS:
            for classes in [False, True]:
                for sampled in ["", "sample"] + (["step"] if len(shape) == 3 else []):
                    if reduction == "weighted_mean" and not classes and not sampled:
                        continue
                    # PyTorch has no weighted mean for soft targets with class weights.
                    if reduction == "weighted_mean" and classes and kind == "soft":
                        continue
                    name = "softmax cross-entropy %s %s %s%s%s" % (
                        "x".join(map(str, shape)), kind, reduction,
                        " class weights" if classes else "", f" {sampled} weights" if sampled else "")
                    r = rng(name)
                    n = shape[-1]
                    x, target = r.normal(size=shape) * 2, r.integers(0, n, shape[:-1])
                    if kind == "one_hot":
                        target = np.eye(n)[target]
                    elif kind == "soft":
                        target = r.dirichlet(np.ones(n), shape[:-1])
                    cw = r.uniform(0.3, 2, n).round(3).tolist() if classes else None
                    sw = {"": None, "sample": shape[:1], "step": shape[:2]}[sampled]
                    case(name, "SoftmaxCrossEntropy", {"reduction": reduction, "target": kind, "class_weights": cw},
                         x, target, None if sw is None else weights(r, sw))
AWKWARD = [[1e4, 0, -1e4], [1e4, 1e4, 1e4], [0, 0, 0], [-1e4, -1e4, 1e4], [-1e4, -1e4, -1e4], [3, 3, -1e4],
           [1e4, 9999, 9998], [-0.0, 1e-300, 0.0]]
for kind, target in [("integer", [0, 1, 2, 0, 1, 1, 2, 0]), ("one_hot", np.eye(3)[[2, 1, 2, 2, 1, 0, 0, 0]]),
                     ("soft", [[0.2, 0.3, 0.5]] * 8)]:
    for reduction in ["mean", "sum"]:
        case(f"softmax cross-entropy large and equal {kind} {reduction}", "SoftmaxCrossEntropy",
             {"reduction": reduction, "target": kind, "class_weights": None}, AWKWARD, target)

for shape in [(5,), (4, 1), (4, 3), (2, 3, 2)]:
    for kind in ["hard", "soft"]:
        for reduction in REDUCTIONS:
            for positive in ["", "pos_weight"] + (["pos_weights"] if len(shape) > 1 and shape[-1] > 1 else []):
                for weighted in [False, True]:
                    if reduction == "weighted_mean" and not weighted:
                        continue
                    name = "binary cross-entropy %s %s %s%s%s" % (
                        "x".join(map(str, shape)), kind, reduction,
                        " " + positive if positive else "", " weighted" if weighted else "")
                    r = rng(name)
                    x = r.normal(size=shape) * 2
                    target = r.integers(0, 2, shape) if kind == "hard" else r.uniform(size=shape)
                    pw = {"": None, "pos_weight": 2.5, "pos_weights": [2.5, 0.4, 1.5][: shape[-1]]}[positive]
                    case(name, "BinaryCrossEntropy", {"reduction": reduction, "pos_weight": pw}, x, target,
                         weights(r, shape[:1]) if weighted else None)
LOGITS = [0, -0.0, 100, -100, 1000, -1000, 30, -30, 1e-300, -1e-20]
for label, y in [("zeros", 0.0), ("ones", 1.0), ("soft", 0.3)]:
    for pw in [None, 3.0]:
        case(f"binary cross-entropy awkward {label}{'' if pw is None else ' pos_weight'}", "BinaryCrossEntropy",
             {"reduction": "sum", "pos_weight": pw}, LOGITS, [y] * len(LOGITS))

write("losses_torch.json", {"torch": torch.__version__.split("+")[0]}, CASES)
