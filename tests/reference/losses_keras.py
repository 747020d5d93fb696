"""Terms, values and gradients of losses, from Keras on PyTorch, and PyTorch -> losses_keras.json.

Run: python losses_keras.py      Made with Keras 3.15.1, torch 2.15.0, scikit-learn 1.9.1, NumPy 2.4.6, Python 3.11.

"terms" are w l, one for each term, as reduction="none" gives them in PyTorch; where Keras
takes the mean over the last axis, it is given an axis of 1 behind it. "grad" is that of
their sum. "denominators" are what the sum is divided by for each reduction:
  "mean"           number of terms; of SoftmaxCrossEntropy and its like, of those not ignored
  "weighted_mean"  sum of w, times the class weight of the target
Where Keras, PyTorch or scikit-learn has a mean of its own it is asserted to agree.
"smooth" says that finite differences may be taken there; "single" that single precision
is near enough.
"""
import os

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
import torch
import torch.nn.functional as F
from keras import losses as K
from keras.src.backend.common import dtypes
from sklearn.metrics import mean_pinball_loss

from common import rng, tensor, write

keras.config.set_floatx("float64")
# Keras goes to single precision where a number of Python meets one of double precision.
dtypes.result_type = lambda *of: "float64"
torch.set_num_threads(1)
torch.set_default_dtype(torch.double)
CASES = []


def case(name, kind, config, output, target, terms, weights=None, mean=None, weighted_mean=None,
         counted=None, class_mass=None, smooth=True, single=True):
    """terms(x, t): w l is weights times that. mean(x, t, w) is another's mean, as is weighted_mean."""
    x = torch.tensor(np.asarray(output, dtype=float), requires_grad=True)
    t = torch.tensor(np.asarray(target, dtype=float))
    l = terms(x, t)
    assert l.dtype == torch.double
    w = None if weights is None else torch.tensor(np.asarray(weights, dtype=float))
    spread = torch.ones_like(l) if w is None else w.reshape(w.shape + (1,) * (l.dim() - w.dim())).expand_as(l)
    total = spread * l
    (grad,) = torch.autograd.grad(total.sum(), x)
    counted = torch.ones_like(l) if counted is None else counted
    mass = (spread * counted if class_mass is None else spread * class_mass * counted).sum().item()
    denominators = {"mean": counted.sum().item(), "weighted_mean": mass, "sum": 1.0}
    for other, reduction in [(mean, "mean"), (weighted_mean, "weighted_mean")]:
        if other is not None:
            own = total.sum().item() / denominators[reduction]
            theirs = other(x.detach(), t, None if w is None else w.clone())  # Keras writes to weights
            np.testing.assert_allclose(own, float(theirs), rtol=1e-12, atol=1e-12, err_msg=name)
    CASES.append({
        "name": f"{kind} {name}", "kind": kind, "config": config, "output": tensor(x), "target": tensor(t),
        "sample_weights": tensor(w), "terms": tensor(total), "grad": tensor(grad), "denominators": denominators,
        "smooth": smooth, "single": single,
    })


def weights(r, shape):
    w = r.uniform(0.2, 3, shape).round(3)
    w.flat[1] = 0.0
    return w


def each(loss):
    """The terms of a loss of Keras that takes the mean over the last axis."""
    return lambda x, t: loss(t[..., None], x[..., None])


def spread_weights(w, x):
    """Weights of samples as weights of their steps."""
    return None if w is None else w.reshape(w.shape + (1,) * (x.dim() - 1 - w.dim()))


def keras_mean(loss):
    return lambda x, t, w: loss(t, x, sample_weight=spread_weights(w, x))


def elementwise(kind, config, terms, make_x, make_t, mean=None):
    """Random samples, with weights for none, for samples and for steps."""
    label = " ".join(f"{k}={v}" for k, v in config.items())
    for shape, weighted in [((3, 2), None), ((4,), (4,)), ((2, 2, 2), (2,)), ((2, 3, 1), (2, 3))]:
        name = f"{label} {'x'.join(map(str, shape))} {'' if weighted is None else len(weighted)}".strip()
        r = rng(kind + name)
        x, t = make_x(r, shape), make_t(r, shape)
        w = None if weighted is None else weights(r, weighted)
        case(name, kind, config, x, t, terms, w, mean if len(shape) > 1 else None)


normal = lambda r, shape: r.normal(scale=2, size=shape).round(3)
positive = lambda r, shape: (r.gamma(2.0, size=shape) + 0.01).round(3)
counts = lambda r, shape: r.poisson(2.0, shape)
share = lambda r, shape: r.uniform(0.02, 0.98, shape).round(3)
answers = lambda r, shape: r.integers(0, 2, shape)
sides = lambda r, shape: r.integers(0, 2, shape) * 2 - 1

# One term for each element.
FAR = [0, -0.0, 1e-10, -1e-10, 1e4, -1e4, 1.0, -1.0, 0.999, -1.001, 30]
ZERO = [0.0] * len(FAR)
elementwise("MeanAbsoluteError", {}, lambda x, t: F.l1_loss(x, t, reduction="none"), normal, normal,
            keras_mean(K.MeanAbsoluteError()))
case("awkward", "MeanAbsoluteError", {}, FAR, ZERO, lambda x, t: F.l1_loss(x, t, reduction="none"), smooth=False)

mape = each(K.mean_absolute_percentage_error)
elementwise("MeanAbsolutePercentageError", {}, mape, normal, normal, keras_mean(K.MeanAbsolutePercentageError()))
case("awkward", "MeanAbsolutePercentageError", {}, [0, 1, -1, 3, 3, 1e-8, 1e4], [0, 0, 1e-9, 3, -3, -2e-7, 1e-3], mape,
     smooth=False)

msle = each(K.mean_squared_logarithmic_error)
elementwise("MeanSquaredLogarithmicError", {}, msle, positive, counts, keras_mean(K.MeanSquaredLogarithmicError()))
case("awkward", "MeanSquaredLogarithmicError", {}, [0, -1, -5, 1e-8, 2e-7, 1e6, 3, 0], [0, 2, 0, 1, 1, 0, 3, 1e6], msle,
     smooth=False)

for delta in [1.0, 0.3, 5.0]:
    huber = lambda x, t: F.huber_loss(x, t, delta=delta, reduction="none")
    elementwise("Huber", {"delta": delta}, huber, normal, normal, keras_mean(K.Huber(delta=delta)))
    case(f"awkward {delta}", "Huber", {"delta": delta}, FAR, ZERO, huber, smooth=False)

log_cosh = each(K.log_cosh)
elementwise("LogCosh", {}, log_cosh, normal, normal, keras_mean(K.LogCosh()))
case("awkward", "LogCosh", {}, FAR, ZERO, log_cosh, smooth=False)

poisson = each(K.poisson)
elementwise("Poisson", {}, poisson, positive, counts, keras_mean(K.Poisson()))
case("awkward", "Poisson", {}, [0, 0, 1e-9, 1e4, 1], [0, 2, 1, 0, 1e4], poisson, smooth=False, single=False)
for log_input in [False, True]:
    for full in [False, True]:
        config = {"log_input": log_input, "full": full, "epsilon": 1e-8}
        nll = lambda x, t, r="none": F.poisson_nll_loss(x, t, log_input=log_input, full=full, eps=1e-8, reduction=r)
        elementwise("Poisson", config, nll, normal if log_input else positive, counts,
                    lambda x, t, w: nll(x, t, "mean") if w is None
                    else (nll(x, t).mean(-1) * spread_weights(w, x)).mean())
        case(f"awkward {log_input} {full}", "Poisson", config, [0, 1e-3, 1, 2, 5], [0, 1, 1.5, 1e4, 0], nll,
             smooth=False)

for name in ["hinge", "squared_hinge"]:
    kind = {"hinge": "Hinge", "squared_hinge": "SquaredHinge"}[name]
    terms = each(getattr(K, name))
    whole = keras_mean(getattr(K, kind)())
    elementwise(kind, {}, terms, normal, sides, whole)
    elementwise(kind, {"zeros": True}, terms, normal, answers, whole)
    case("awkward", kind, {}, [0, 0, 1e4, 1e4, -1e4, 0.999, 1.001, -1e-12], [1, -1, 1, -1, 1, 1, 1, -1], terms,
         smooth=False)

# Yes-or-no answers.
for smoothing in [0.0, 0.1]:
    for probabilities in [True, False]:
        config = {"label_smoothing": smoothing, "probabilities": probabilities}
        loss = lambda t, x: K.binary_crossentropy(t, x, from_logits=not probabilities, label_smoothing=smoothing)
        whole = K.BinaryCrossentropy(from_logits=not probabilities, label_smoothing=smoothing)
        elementwise("BinaryCrossEntropy", config, each(loss), share if probabilities else normal, answers,
                    keras_mean(whole))
        if probabilities:
            edge = [0, 0, 1, 1, 1e-8, 1 - 1e-8, 2e-7, 1 - 2e-6, 0.5, -0.5, 1.5]
            case(f"edge {smoothing}", "BinaryCrossEntropy", config, edge, [0, 1, 0, 1, 1, 0, 1, 0, 0.3, 1, 0], each(loss),
                 smooth=False, single=False)
r = rng("BinaryCrossEntropy pos_weight")
case("pos_weight", "BinaryCrossEntropy", {"label_smoothing": 0.0, "probabilities": True, "pos_weight": 2.5},
     share(r, (4, 3)), answers(r, (4, 3)), lambda x, t: -2.5 * t * x.log() - (1 - t) * (1 - x).log())

for gamma, alpha, smoothing in [(2.0, None, 0.0), (2.0, 0.25, 0.0), (0.5, 0.25, 0.1), (0.0, None, 0.0), (1.0, 0.7, 0.0)]:
    for probabilities in [False, True]:
        config = {"gamma": gamma, "alpha": alpha, "label_smoothing": smoothing, "probabilities": probabilities}
        kwargs = dict(gamma=gamma, alpha=alpha or 0.25, apply_class_balancing=alpha is not None,
                      from_logits=not probabilities, label_smoothing=smoothing)
        loss = lambda t, x: K.binary_focal_crossentropy(t, x, **kwargs)
        elementwise("BinaryFocal", config, each(loss), share if probabilities else normal, answers,
                    keras_mean(K.BinaryFocalCrossentropy(**kwargs)))


def sigmoid_focal(x, t):
    """torchvision.ops.sigmoid_focal_loss with alpha 0.25 and gamma 2."""
    p = torch.sigmoid(x)
    p_t = p * t + (1 - p) * (1 - t)
    alpha_t = 0.25 * t + 0.75 * (1 - t)
    return alpha_t * F.binary_cross_entropy_with_logits(x, t, reduction="none") * (1 - p_t) ** 2


FOCAL = {"gamma": 2.0, "label_smoothing": 0.0}
for y in [0.0, 1.0, 0.3]:
    logits = [0, 100, -100, 1000, -1000, 30, -30, 1e-12]
    case(f"awkward {y}", "BinaryFocal", FOCAL | {"alpha": 0.25, "probabilities": False}, logits, [y] * 8, sigmoid_focal,
         smooth=False)
case("edge", "BinaryFocal", FOCAL | {"alpha": None, "probabilities": True}, [0, 0, 1, 1, 1e-8, 2e-7], [0, 1, 0, 1, 1, 1],
     each(lambda t, x: K.binary_focal_crossentropy(t, x, gamma=2.0)), smooth=False, single=False)


# One class out of several.
def simplex(r, shape):
    p = r.dirichlet(np.full(shape[-1], 3.0), shape[:-1]).clip(0.01, 0.8).round(3)
    p[..., -1] = (1 - p[..., :-1].sum(-1)).clip(0.01)
    return p.round(3)


def spread(t, x, smoothing):
    """Labels or probabilities as smoothed probabilities."""
    classes = x.shape[-1]
    t = F.one_hot(t.long(), classes).double() if t.dim() < x.dim() else t
    return t * (1 - smoothing) + smoothing / classes


def categorical(kind, config, keras_terms, make_x, whole=None):
    """Labels, one-hot and soft targets; weights for samples and steps."""
    label = " ".join(f"{k}={v}" for k, v in config.items())
    for form, shape, weighted in [("labels", (4, 3), None), ("one_hot", (3, 4), (3,)), ("soft", (2, 2, 3), (2, 2)),
                                  ("labels", (2, 2, 3), (2,))]:
        name = f"{label} {form} {'x'.join(map(str, shape))}"
        r = rng(kind + name)
        x, t = make_x(r, shape), r.integers(0, shape[-1], shape[:-1])
        t = {"labels": t, "one_hot": np.eye(shape[-1])[t], "soft": simplex(r, shape)}[form]
        smoothing = config.get("label_smoothing", 0.0)
        mean = None
        if whole is not None:
            # Smoothing is Keras's own for probabilities; it has none for labels.
            mean = lambda x, t, w: whole(spread(t, x, 0.0), x, sample_weight=spread_weights(w, x))
        case(name, kind, config, x, t, lambda x, t: keras_terms(spread(t, x, smoothing), x),
             None if weighted is None else weights(r, weighted), mean)


for smoothing in [0.0, 0.1]:
    categorical("CategoricalCrossEntropy", {"label_smoothing": smoothing},
                lambda t, x: K.categorical_crossentropy(t, x), positive,
                K.CategoricalCrossentropy(label_smoothing=smoothing))
EDGE = [[1, 0, 0], [0, 1, 0], [0.5, 0.5, 0], [1e-9, 1, 1], [2, 2, 2], [1e4, 1, 1]]
case("edge", "CategoricalCrossEntropy", {}, EDGE, [0, 0, 2, 0, 1, 1],
     lambda x, t: K.sparse_categorical_crossentropy(t, x), smooth=False, single=False)


def ignoring(kind, make_x, from_logits, ignored):
    for weighted in [False, True]:
        r = rng(f"{kind} ignore {weighted}")
        x, t = make_x(r, (2, 4, 3)), r.integers(0, 3, (2, 4))
        t[0, 1] = t[1, 3] = ignored
        w = weights(r, (2, 4)) if weighted else None
        counted = torch.tensor((t != ignored).astype(float))
        loss = K.SparseCategoricalCrossentropy(ignore_class=ignored, from_logits=from_logits)
        case(f"ignore_class {ignored} {weighted}", kind, {"ignore_class": ignored}, x, t,
             lambda x, t: K.sparse_categorical_crossentropy(t, x, from_logits=from_logits, ignore_class=ignored),
             w, keras_mean(loss), counted=counted)


ignoring("CategoricalCrossEntropy", positive, False, 255)
ignoring("SoftmaxCrossEntropy", normal, True, -100)
ignoring("CategoricalCrossEntropy", positive, False, 1)

for smoothing, class_weights, ignored in [(0.1, None, None), (0.2, [0.5, 1.0, 2.0], None), (0.1, [0.5, 1.0, 2.0], -100),
                                          (0.0, [0.5, 1.0, 2.0], 0), (1.0, None, None)]:
    name = f"{smoothing} {class_weights} {ignored}"
    r = rng("SoftmaxCrossEntropy" + name)
    x, t = normal(r, (6, 3)), r.integers(0, 3, 6)
    if ignored is not None:
        t[2] = ignored
    w = torch.ones(3) if class_weights is None else torch.tensor(class_weights)
    cross_entropy = lambda x, t, r="none": F.cross_entropy(
        x, t.long(), weight=w, label_smoothing=smoothing, ignore_index=-1000 if ignored is None else ignored, reduction=r)
    case(name, "SoftmaxCrossEntropy",
         {"label_smoothing": smoothing, "class_weights": class_weights, "ignore_class": ignored}, x, t, cross_entropy,
         weighted_mean=lambda x, t, w: cross_entropy(x, t, "mean"),
         counted=torch.tensor([float(k != ignored) for k in t]),
         class_mass=torch.tensor([w[k].item() if k >= 0 else 0.0 for k in t]))
r = rng("SoftmaxCrossEntropy soft smoothed")
case("soft smoothed", "SoftmaxCrossEntropy", {"label_smoothing": 0.3}, normal(r, (4, 3)), simplex(r, (4, 3)),
     lambda x, t: F.cross_entropy(x, t, label_smoothing=0.3, reduction="none"))

for gamma, alpha, smoothing in [(2.0, 0.25, 0.0), (0.5, 1.0, 0.1), (0.0, 1.0, 0.0), (1.0, 0.5, 0.0)]:
    for probabilities in [False, True]:
        kwargs = dict(gamma=gamma, alpha=alpha, from_logits=not probabilities)
        categorical("CategoricalFocal",
                    {"gamma": gamma, "alpha": alpha, "label_smoothing": smoothing, "probabilities": probabilities},
                    lambda t, x: K.categorical_focal_crossentropy(t, x, **kwargs), positive if probabilities else normal,
                    K.CategoricalFocalCrossentropy(label_smoothing=smoothing, **kwargs))
r = rng("CategoricalFocal alphas")
case("alphas", "CategoricalFocal", {"gamma": 2.0, "alpha": 1.0, "class_weights": [0.5, 1.0, 2.0]}, normal(r, (5, 3)),
     [0, 1, 2, 2, 0], lambda x, t: K.categorical_focal_crossentropy(spread(t, x, 0), x, alpha=[0.5, 1.0, 2.0],
                                                                      from_logits=True),
     class_mass=torch.tensor([0.5, 1, 2, 2, 0.5]))


def log_focal(x, t):
    """From logits of any size."""
    log = F.log_softmax(x, -1)
    return -(0.25 * (1 - log.exp()) ** 2 * spread(t, x, 0) * log).sum(-1)


LARGE = [[1e4, 0, -1e4], [1e4, 0, -1e4], [1e4, 1e4, 1e4], [0, 0, 0], [30, -30, 0], [30, -30, 0]]
case("awkward", "CategoricalFocal", {"gamma": 2.0, "alpha": 0.25}, LARGE, [0, 2, 1, 1, 0, 1], log_focal, smooth=False)

categorical("CategoricalHinge", {}, K.categorical_hinge, normal, K.CategoricalHinge())
TIES = [[0, 0, 0], [2, 2, 0], [0, 2, 2], [-3, -4, -5], [1e4, 0, -1e4], [3, 1, 1]]
case("awkward", "CategoricalHinge", {}, TIES, [0, 0, 0, 0, 2, 0], lambda x, t: K.categorical_hinge(spread(t, x, 0), x),
     smooth=False)

# One term for each row.
for shape, weighted in [((4, 3), None), ((5, 3), (5,)), ((2, 3, 4), (2, 3))]:
    name = f"{'x'.join(map(str, shape))} {weighted is not None}"
    r = rng("rows" + name)
    w = None if weighted is None else weights(r, weighted)
    case(name, "KLDivergence", {}, simplex(r, shape), simplex(r, shape), lambda x, t: K.kl_divergence(t, x), w,
         keras_mean(K.KLDivergence()))
    case(name, "CosineSimilarity", {}, normal(r, shape), normal(r, shape), lambda x, t: K.cosine_similarity(t, x), w,
         keras_mean(K.CosineSimilarity()))
    for log_target in [False, True]:
        kl = lambda x, t, r="none": F.kl_div(x, t, log_target=log_target, reduction=r)
        t = simplex(r, shape)
        case(f"log {log_target} {name}", "KLDivergence", {"log_input": True, "log_target": log_target},
             np.log(simplex(r, shape)), np.log(t) if log_target else t, lambda x, t: kl(x, t).sum(-1), w,
             (lambda x, t, w: kl(x, t, "batchmean")) if len(shape) == 2 and w is None else None)
# At a bound itself Keras gives half of the gradient, and TensorFlow all of it.
case("awkward", "KLDivergence", {}, [[0, 0.999, 0.5], [1e-9, 2, -1], [1.001, 0, 0]], [[1, 0, 0.5], [0, 1, 1], [1, 0, 0]],
     lambda x, t: K.kl_divergence(t, x), smooth=False, single=False)
case("empty classes", "KLDivergence", {"log_input": True, "log_target": False}, [[-1, -2, -1e4], [0, -30, -40]],
     [[0.5, 0.5, 0], [0, 1, 0]], lambda x, t: F.kl_div(x, t, reduction="none").sum(-1), smooth=False)
case("awkward", "CosineSimilarity", {}, [[1e-9, 0], [3, 4], [3, 4], [-3, -4], [1e20, 1e20], [4, -3], [1e-6, 0]],
     [[1, 1], [0, 0], [6, 8], [6, 8], [1, 0], [6, 8], [1, 1]], lambda x, t: K.cosine_similarity(t, x), smooth=False,
     single=False)

# Quantiles.
for quantiles, shape, weighted in [([0.1], (5, 1), None), ([0.9], (4, 3), (4,)), ([0.1, 0.5, 0.9], (4, 3), (4,)),
                                   ([0.25, 0.75], (2, 3, 2), (2, 3))]:
    name = f"{quantiles} {'x'.join(map(str, shape))}"
    r = rng("Quantile" + name)
    several = len(quantiles) > 1
    q = torch.tensor(quantiles)

    def pinball(x, t):
        d = (t[..., None] if several else t) - x
        return torch.maximum(q * d, (q - 1) * d)

    def sklearn(x, t, w):
        x, t = x.detach().numpy(), t.numpy()
        w = None if w is None else w.numpy().ravel()
        rows = [mean_pinball_loss(t.reshape(-1) if several else t, x[..., i].reshape(-1) if several else x, sample_weight=w,
                                  alpha=a) for i, a in enumerate(quantiles)]
        return np.mean(rows)

    case(name, "Quantile", {"quantiles": quantiles}, normal(r, shape), normal(r, shape[:-1] if several else shape), pinball,
         None if weighted is None else weights(r, weighted), weighted_mean=sklearn)

# Means and variances.
for shape, weighted in [((5, 2), None), ((4, 6), (4,)), ((2, 3, 4), (2, 3))]:
    half = shape[-1] // 2
    for full in [False, True]:
        name = f"{full} {'x'.join(map(str, shape))}"
        r = rng("Gaussian" + name)
        x = np.concatenate([normal(r, shape[:-1] + (half,)), positive(r, shape[:-1] + (half,))], -1)
        t = normal(r, shape[:-1] + (half,))
        w = None if weighted is None else weights(r, weighted)
        nll = lambda x, t, r="none": F.gaussian_nll_loss(x[..., :half], t, x[..., half:], full=full, reduction=r)
        case(name, "GaussianNegativeLogLikelihood", {"full": full}, x, t, nll, w,
             (lambda x, t, w: nll(x, t, "mean")) if w is None else None)
        constant = 0.5 * np.log(2 * np.pi) if full else 0.0
        case("log " + name, "GaussianNegativeLogLikelihood", {"full": full, "log_variance": True}, np.concatenate(
                 [x[..., :half], np.log(x[..., half:])], -1), t,
             lambda x, t: 0.5 * (x[..., half:] + (x[..., :half] - t) ** 2 * (-x[..., half:]).exp()) + constant, w)
case("least variance", "GaussianNegativeLogLikelihood", {"full": False, "epsilon": 0.01},
     [[1, 0], [1, 1e-9], [2, 1e-3], [1, 1e6], [1e4, 1]], [1, 2, 2, -1, 0],
     lambda x, t: F.gaussian_nll_loss(x[:, :1], t[:, None], x[:, 1:], eps=0.01, reduction="none"), smooth=False)

# Pairs and triplets.
# From keras.io, "Image similarity estimation using a Siamese Network with a contrastive loss".
pair = lambda d, t, margin: (1 - t) * d ** 2 + t * F.relu(margin - d) ** 2
for margin in [1.0, 2.5]:
    for shape, weighted in [((6, 1), None), ((5,), (5,))]:
        r = rng(f"Contrastive {margin} {shape}")
        case(f"{margin} {len(shape)}", "Contrastive", {"margin": margin}, positive(r, shape), answers(r, shape),
             lambda x, t: pair(x, t, margin), None if weighted is None else weights(r, weighted))
    for shape, weighted in [((6, 2, 3), None), ((5, 8), (5,))]:
        r = rng(f"Contrastive embeddings {margin} {shape}")

        def pairs(x, t):
            a, b = x.reshape(x.shape[0], 2, -1).unbind(1)
            return pair(torch.linalg.vector_norm(a - b, dim=-1), t, margin)

        case(f"embeddings {margin} {len(shape)}", "Contrastive", {"margin": margin, "embeddings": True},
             normal(r, shape) / 2, answers(r, shape[:1]), pairs, None if weighted is None else weights(r, weighted))
case("awkward", "Contrastive", {"margin": 1.0}, [0, 0, 1, 1, 1e4, 1e4, 1e-12], [0, 1, 0, 1, 0, 1, 1],
     lambda x, t: pair(x, t, 1.0), smooth=False)
case("equal", "Contrastive", {"margin": 1.0, "embeddings": True}, [[1, 2, 1, 2], [1, 2, 1, 2]], [0, 1],
     lambda x, t: pair(torch.linalg.vector_norm(x[:, :2] - x[:, 2:], dim=-1), t, 1.0),
     smooth=False)

for norm, swap, margin, epsilon in [(2.0, False, 1.0, 1e-6), (2.0, True, 1.0, 1e-6), (1.0, False, 2.0, 1e-6),
                                    (3.0, True, 1.0, 1e-3), (1.5, False, 0.5, 0.0)]:
    config = {"norm": norm, "swap": swap, "margin": margin, "epsilon": epsilon}

    def triplets(x, t, r="none"):
        a, p, n = x.reshape(x.shape[0], 3, -1).unbind(1)
        return F.triplet_margin_loss(a, p, n, margin=margin, p=norm, eps=epsilon, swap=swap, reduction=r)

    for shape, weighted in [((6, 3, 4), None), ((5, 9), (5,))]:
        name = f"{norm} {swap} {len(shape)}"
        r = rng("TripletMargin" + name)
        case(name, "TripletMargin", config, normal(r, shape), np.zeros(shape[:1]), triplets,
             None if weighted is None else weights(r, weighted),
             None if weighted else lambda x, t, w: triplets(x, t, "mean"))
    case(f"awkward {norm} {swap}", "TripletMargin", config,
         [[1, 2, 1, 2, 1, 2], [0, 0, 0, 0, 5, 5], [1, 0, 5, 5, 1, 0], [1e4, 0, 0, 0, -1e4, 1], [0, 0, 1e-9, 0, 0, 1e-9]],
         np.zeros(5), triplets, smooth=False, single=False)

write("losses_keras.json", {"keras": keras.__version__, "torch": torch.__version__.split("+")[0]}, CASES)
