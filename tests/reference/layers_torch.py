"""Outputs and gradients of layers, from PyTorch -> layers_torch.json.

Run: python layers_torch.py      Made with torch 2.15.0, numpy 2.4.6, Python 3.11.

Layout: axis 0 is the batch, channels are last, a Dense weight is (in, out). The
parameters are leaves in this layout and are transposed on the way into PyTorch,
so autograd gives their gradients in this layout too. Every case holds the
gradients of sum(outputs * grad_outputs). A gradient is null for what has none:
the ids of an Embedding, and parameters that no output depends on.
"""
import numpy as np
import torch
import torch.nn.functional as F

from common import rng, tensor, tensors, write

torch.set_num_threads(1)
torch.set_default_dtype(torch.double)
CASES = []

ACTIVATIONS = {
    "linear": lambda x, c: x * 1.0,
    "relu": lambda x, c: torch.relu(x),
    "leaky_relu": lambda x, c: F.leaky_relu(x, c["slope"]),
    "sigmoid": lambda x, c: torch.sigmoid(x),
    "tanh": lambda x, c: torch.tanh(x),
    "softmax": lambda x, c: torch.softmax(x, -1),
    "gelu": lambda x, c: F.gelu(x),
    "gelu_tanh": lambda x, c: F.gelu(x, approximate="tanh"),
}


# The layers. p: parameters by name; s: state by name, replaced in training.


def dense(x, p, config, at=""):
    y = F.linear(x, p[at + "weight"].t(), p.get(at + "bias"))
    return ACTIVATIONS[config.get("activation", "linear")](y, config)


def simple_rnn(x, p, config, at=""):
    """The kernel under torch.nn.RNN, with bias_hh = 0."""
    weights = [p[at + "weight"].t(), p[at + "recurrent_weight"].t()]
    if config["bias"]:
        weights += [p[at + "bias"], torch.zeros(config["units"])]
    run = {"tanh": torch.rnn_tanh, "relu": torch.rnn_relu}[config["activation"]]
    h0 = torch.zeros(1, x.shape[0], config["units"])
    # has_biases, num_layers, dropout, train, bidirectional, batch_first
    y, _ = run(x, h0, weights, config["bias"], 1, 0.0, False, False, True)
    return y if config["return_sequences"] else y[:, -1]


def batch_normalization(x, p, s, config, training, at=""):
    mean, variance = s[at + "running_mean"].clone(), s[at + "running_variance"].clone()
    y = F.batch_norm(
        x.movedim(-1, 1), mean, variance, p[at + "gamma"], p[at + "beta"],
        training, 1 - config["momentum"], config["epsilon"],
    ).movedim(1, -1)
    if training and not config["unbiased"]:  # as Keras: the biased batch variance
        m = config["momentum"]
        batch = x.detach().reshape(-1, x.shape[-1]).var(0, unbiased=False)
        variance = m * s[at + "running_variance"] + (1 - m) * batch
    s[at + "running_mean"], s[at + "running_variance"] = mean, variance
    return y


def case(name, kind, config, inputs, params, f, state=None, mode="training", ids=()):
    """f(inputs, params, state) -> outputs. ids: inputs that are integers."""
    xs = [torch.tensor(x, dtype=torch.long if i in ids else torch.double) for i, x in enumerate(inputs)]
    for i, x in enumerate(xs):
        x.requires_grad_(i not in ids)
    ps = {k: torch.tensor(v).requires_grad_() for k, v in params.items()}
    before = {k: torch.tensor(v) for k, v in (state or {}).items()}
    after = dict(before)
    ys = f(xs, ps, after)
    r = rng("grad " + name)
    gs = [torch.tensor(r.normal(size=tuple(y.shape))) for y in ys]
    leaves = [x for x in xs if x.requires_grad] + list(ps.values())
    grads = dict(zip(map(id, leaves), torch.autograd.grad(ys, leaves, gs, allow_unused=True)))
    CASES.append({
        "name": name, "kind": kind, "config": config, "mode": mode,
        "inputs": tensors(xs), "params": tensors(ps), "state": tensors(before),
        "grad_outputs": tensors(gs), "outputs": tensors(ys),
        "input_grads": [tensor(grads.get(id(x))) for x in xs],
        "param_grads": {k: tensor(grads[id(v)]) for k, v in ps.items()},
        "state_after": tensors(after),
    })


def dense_params(r, n, units, bias=True, at=""):
    p = {at + "weight": r.normal(size=(n, units)) * 0.7}
    if bias:
        p[at + "bias"] = r.normal(size=units)
    return p


def rnn_params(r, n, units, bias=True, at=""):
    p = dense_params(r, n, units, bias, at)
    return p | {at + "recurrent_weight": r.normal(size=(units, units)) * 0.5}


def bn_params(r, n, at=""):
    return {at + "gamma": r.normal(size=n) + 1, at + "beta": r.normal(size=n)}


def bn_state(r, n, at=""):
    return {at + "running_mean": r.normal(size=n), at + "running_variance": r.uniform(0.3, 2, n)}


def dense_cases():
    def add(name, shape, config):
        r = rng(name)
        p = dense_params(r, shape[-1], config["units"], config["bias"])
        case(name, "Dense", config, [r.normal(size=shape)], p, lambda x, p, s: [dense(x[0], p, config)])

    for shape in [(5, 3), (1, 4), (2, 5, 3), (1, 3, 2), (2, 3, 2, 5), (1, 2, 3, 4)]:
        for bias in [True, False]:
            name = "dense linear %s%s" % ("x".join(map(str, shape)), "" if bias else " no bias")
            add(name, shape, {"units": 4 if shape[-1] != 4 else 3, "bias": bias, "activation": "linear"})
    add("dense one unit", (3, 1), {"units": 1, "bias": True, "activation": "linear"})
    for activation in ACTIVATIONS:
        if activation == "linear":
            continue
        extra = {"slope": 0.2} if activation == "leaky_relu" else {}
        for shape, bias in [((3, 5), True), ((1, 3), False), ((2, 3, 4), True), ((2, 3, 2, 3), False)]:
            name = "dense %s %s%s" % (activation, "x".join(map(str, shape)), "" if bias else " no bias")
            add(name, shape, {"units": 6 - len(shape), "bias": bias, "activation": activation, **extra})


def activation_cases():
    points = [0.0, -0.0, 1e-300, -1e-300, 1e-20, -1e-20, 30.0, -30.0, 100.0, -100.0]
    points += [710.0, -710.0, 1000.0, -1000.0]

    def add(name, config, x):
        case(name, "Activation", config, [x], {}, lambda x, p, s: [ACTIVATIONS[config["name"]](x[0], config)])

    for activation in ACTIVATIONS:
        for slope in [0.2, 0.01] if activation == "leaky_relu" else [None]:
            config = {"name": activation} | ({} if slope is None else {"slope": slope})
            label = activation + ("" if slope is None else f" {slope}")
            for shape in [(3, 5), (1, 1), (2, 3, 4), (2, 1, 3, 2)]:
                name = "activation %s %s" % (label, "x".join(map(str, shape)))
                add(name, config, rng(name).normal(size=shape) * 2)
            add(f"activation {label} awkward", config, np.array(points).reshape(2, 7))
    rows = [[1e4, 0, -1e4], [1e4, 1e4, 1e4], [-1e4, -1e4, -1e4], [0, 0, 0], [1e4, 9999, 9998],
            [-0.0, 1e-300, 0.0], [710, 711, -710], [2.5, 2.5, -1e4]]
    add("activation softmax large and equal", {"name": "softmax"}, np.array(rows, dtype=float))


def dropout_cases():
    for mode, rate in [("inference", 0.5), ("training", 0.0)]:
        for shape in [(3, 4), (2, 3, 2)]:
            name = "dropout %s rate %s rank %d" % (mode, rate, len(shape))
            case(name, "Dropout", {"rate": rate}, [rng(name).normal(size=shape)], {},
                 lambda x, p, s: [F.dropout(x[0], rate, mode == "training") * 1.0], mode=mode)


def batch_normalization_cases():
    def add(name, x, config, mode):
        r = rng("params " + name)
        case(name, "BatchNormalization", config, [x], bn_params(r, x.shape[-1]),
             lambda x, p, s: [batch_normalization(x[0], p, s, config, mode == "training")],
             bn_state(r, x.shape[-1]), mode)

    for shape in [(5, 3), (2, 4), (3, 4, 2), (1, 3, 2), (2, 3, 2, 3)]:
        for mode in ["training", "inference"]:
            for unbiased, momentum, epsilon in [(True, 0.9, 1e-5), (False, 0.99, 1e-3)]:
                name = "batch normalization %s %s %s" % (
                    "x".join(map(str, shape)), mode, "unbiased" if unbiased else "biased")
                config = {"momentum": momentum, "epsilon": epsilon, "unbiased": unbiased}
                add(name, rng(name).normal(size=shape) * 2 + 1, config, mode)
    for unbiased in [True, False]:
        name = "batch normalization constant channel %s" % ("unbiased" if unbiased else "biased")
        x = rng(name).normal(size=(5, 3))
        x[:, 1] = 2.0
        add(name, x, {"momentum": 0.75, "epsilon": 1e-3, "unbiased": unbiased}, "training")
    add("batch normalization one in inference", rng("one").normal(size=(1, 3)),
        {"momentum": 0.9, "epsilon": 1e-5, "unbiased": True}, "inference")


def shape_cases():
    for shape in [(3, 4), (2, 3, 2), (2, 3, 2, 2), (1, 2, 3)]:
        name = "flatten %s" % "x".join(map(str, shape))
        case(name, "Flatten", {}, [rng(name).normal(size=shape)], {}, lambda x, p, s: [x[0].flatten(1) * 1.0])
    for shape, to in [((3, 6), [2, 3]), ((2, 3, 4), [12]), ((2, 3, 4), [2, 2, 3]), ((1, 2, 3), [3, 2])]:
        name = "reshape %s to %s" % ("x".join(map(str, shape)), "x".join(map(str, to)))
        case(name, "Reshape", {"shape": to}, [rng(name).normal(size=shape)], {},
             lambda x, p, s: [x[0].reshape(shape[0], *to) * 1.0])


def embedding_cases():
    for label, ids in [("batch", [4, 0, 4, 2, 4]), ("one", [3]),
                       ("batch time", [[1, 5, 1, 0], [5, 5, 2, 1]]), ("all the same", [[2, 2, 2]])]:
        name = "embedding " + label
        case(name, "Embedding", {"vocabulary": 6, "dimension": 3}, [np.array(ids)],
             {"weight": rng(name).normal(size=(6, 3))}, lambda x, p, s: [F.embedding(x[0], p["weight"])], ids=[0])


def rnn_cases():
    def add(name, shape, config):
        r = rng(name)
        p = rnn_params(r, shape[-1], config["units"], config["bias"])
        case(name, "SimpleRNN", config, [r.normal(size=shape)], p, lambda x, p, s: [simple_rnn(x[0], p, config)])

    for shape in [(3, 1, 2), (1, 2, 3), (2, 5, 3)]:
        for sequences in [True, False]:
            for bias in [True, False]:
                for activation in ["tanh", "relu"]:
                    name = "simple rnn time %d %s%s%s" % (
                        shape[1], activation, " sequences" if sequences else "", "" if bias else " no bias")
                    add(name, shape, {"units": 4, "return_sequences": sequences, "bias": bias,
                                      "activation": activation})
    # The kernel is the one torch.nn.RNN runs.
    r = rng("rnn check")
    p = {k: torch.tensor(v) for k, v in rnn_params(r, 3, 4).items()}
    x, module = torch.tensor(r.normal(size=(2, 5, 3))), torch.nn.RNN(3, 4, batch_first=True)
    with torch.no_grad():
        module.weight_ih_l0.copy_(p["weight"].t())
        module.weight_hh_l0.copy_(p["recurrent_weight"].t())
        module.bias_ih_l0.copy_(p["bias"])
        module.bias_hh_l0.zero_()
        config = {"units": 4, "return_sequences": True, "bias": True, "activation": "tanh"}
        torch.testing.assert_close(module(x)[0], simple_rnn(x, p, config), rtol=0, atol=1e-15)


def join_cases():
    for label, shapes, axis in [("2 inputs", [(3, 2), (3, 4)], -1), ("axis 1", [(2, 3), (2, 1)], 1),
                                ("3 inputs rank 3", [(2, 3, 2), (2, 3, 1), (2, 3, 4)], -1),
                                ("time", [(2, 3, 2), (2, 1, 2)], 1), ("axis 2", [(1, 2, 3), (1, 2, 2)], 2),
                                ("rank 4 middle", [(2, 2, 3, 2), (2, 2, 1, 2)], -2)]:
        name = "concatenate " + label
        r = rng(name)
        case(name, "Concatenate", {"axis": axis}, [r.normal(size=s) for s in shapes], {},
             lambda x, p, s: [torch.cat(x, axis)])
    for n, shape in [(2, (3, 4)), (3, (2, 3, 2)), (3, (1, 5))]:
        name = "add %d inputs %s" % (n, "x".join(map(str, shape)))
        r = rng(name)
        case(name, "Add", {}, [r.normal(size=shape) for _ in range(n)], {}, lambda x, p, s: [sum(x[1:], x[0])])


def residual_cases():
    for label, shape, width, projected in [("identity", (4, 3), 3, False), ("identity rank 3", (2, 3, 4), 4, False),
                                           ("projection", (4, 3), 5, True),
                                           ("projection rank 3", (2, 3, 4), 2, True)]:
        body = [{"kind": "Dense", "units": 6, "bias": True, "activation": "tanh"},
                {"kind": "Dense", "units": width, "bias": True, "activation": "linear"}]
        projection = {"kind": "Dense", "units": width, "bias": True, "activation": "linear"}
        name = "residual " + label
        r = rng(name)
        p = dense_params(r, shape[-1], 6, at="body.0.") | dense_params(r, 6, width, at="body.1.")
        if projected:
            p |= dense_params(r, shape[-1], width, at="projection.")

        def f(x, p, s):
            y = dense(dense(x[0], p, body[0], "body.0."), p, body[1], "body.1.")
            return [(dense(x[0], p, projection, "projection.") if projected else x[0]) + y]

        case(name, "Residual", {"body": body, "projection": projection if projected else None},
             [r.normal(size=shape)], p, f)


def graph_cases():
    config = {
        "description": "inputs a (batch,3), b (batch,4); pa = Dense(6)(a); pb = Dense(6)(b); "
        "shared = one Dense(5,tanh) used twice: ha = shared(pa), hb = shared(pb); "
        "c = concatenate(ha, hb, last axis); out1 = Dense(2)(c); s = ha + hb; "
        "out2 = Dense(1,sigmoid)(s); dead = Dense(3)(pa), which no output reaches",
        "outputs": ["out1", "out2"],
    }
    for batch in [4, 1]:
        name = f"graph batch {batch}"
        r = rng(name)
        p = {}
        for at, n, units in [("pa", 3, 6), ("pb", 4, 6), ("shared", 6, 5), ("out1", 10, 2), ("out2", 5, 1), ("dead", 6, 3)]:
            p |= dense_params(r, n, units, at=at + ".")

        def f(x, p, s):
            pa, pb = dense(x[0], p, {}, "pa."), dense(x[1], p, {}, "pb.")
            ha, hb = (dense(v, p, {"activation": "tanh"}, "shared.") for v in (pa, pb))
            dense(pa, p, {}, "dead.")
            out1 = dense(torch.cat([ha, hb], -1), p, {}, "out1.")
            return [out1, dense(ha + hb, p, {"activation": "sigmoid"}, "out2.")]

        case(name, "Graph", config, [r.normal(size=(batch, 3)), r.normal(size=(batch, 4))], p, f)


def sequential_cases():
    layers = [
        {"kind": "Embedding", "vocabulary": 7, "dimension": 3},
        {"kind": "SimpleRNN", "units": 4, "return_sequences": True, "bias": True, "activation": "tanh"},
        {"kind": "BatchNormalization", "momentum": 0.9, "epsilon": 1e-5, "unbiased": True},
        {"kind": "Residual", "body": {"kind": "Dense", "units": 4, "bias": True, "activation": "tanh"}, "projection": None},
        {"kind": "Flatten"},
        {"kind": "Dense", "units": 2, "bias": True, "activation": "linear"},
    ]
    for mode in ["training", "inference"]:
        name = "sequential " + mode
        r = rng(name)
        p = {"0.weight": r.normal(size=(7, 3))}
        p |= rnn_params(r, 3, 4, at="1.") | bn_params(r, 4, "2.")
        p |= dense_params(r, 4, 4, at="3.body.") | dense_params(r, 20, 2, at="5.")

        def f(x, p, s):
            y = simple_rnn(F.embedding(x[0], p["0.weight"]), p, layers[1], "1.")
            y = batch_normalization(y, p, s, layers[2], mode == "training", "2.")
            y = y + dense(y, p, layers[3]["body"], "3.body.")
            return [dense(y.flatten(1), p, layers[5], "5.")]

        case(name, "Sequential", {"layers": layers}, [r.integers(0, 7, size=(3, 5))], p, f,
             bn_state(r, 4, "2."), mode, ids=[0])


for make in [dense_cases, activation_cases, dropout_cases, batch_normalization_cases, shape_cases,
             embedding_cases, rnn_cases, join_cases, residual_cases, graph_cases, sequential_cases]:
    make()
write("layers_torch.json", {"torch": torch.__version__.split("+")[0]}, CASES)
