"""Values and gradients of layers and merges of Keras: masks, norms, merges.

Keras computes much in float32, whatever it is told; so the values are those of the formula in PyTorch, in float64, and
values and gradients are held against those of Keras's own layer (`like`), within what float32 allows. The cases have
the format of those of `layers_torch.py`. `grad_outputs` are the gradients of the outputs, or for
"ActivityRegularization" of the outputs beside the penalty, which is in the case as "penalty". Initializers have their
moments in the Rust tests. A "network" is `Masking` and what stands behind it.
"""
import functools
import os

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
import torch
import torch.nn.functional as F

from common import rng, tensor, tensors, write

torch.set_num_threads(1)
keras.config.set_floatx("float64")
keras.config.set_dtype_policy("float64")
CASES = []


def check_alike(name, one, other):
    torch.testing.assert_close(other.to(torch.double), one, rtol=2e-5, atol=2e-5, msg=lambda m: f"{name}: {m}")


def case(name, kind, config, inputs, f, params=None, like=None, **more):
    """f(inputs, params) -> output, or (output, penalty); like: the same by Keras."""
    xs = [torch.tensor(np.asarray(x, dtype=np.float64)).requires_grad_() for x in inputs]
    ps = {k: torch.tensor(v).requires_grad_() for k, v in (params or {}).items()}
    y = f(xs, ps)
    y, penalty = y if isinstance(y, tuple) else (y, None)
    g = torch.tensor(rng("grad " + name).normal(size=tuple(y.shape)))
    if like is not None:
        z = like(xs, ps)
        z, price = z if isinstance(z, tuple) else (z, None)
        check_alike(name, y, z)
        totals = [(y * g).sum() + (0 if penalty is None else penalty), (z * g).sum() + (0 if price is None else price)]
        for d, e in zip(*(torch.autograd.grad(t, xs + list(ps.values()), allow_unused=True, retain_graph=True) for t in totals)):
            assert (d is None) == (e is None), name
            if d is not None:
                check_alike(name + ", gradient", d, e)
    total = (y * g).sum() + (0 if penalty is None else penalty)
    leaves = xs + list(ps.values())
    grads = torch.autograd.grad(total, leaves, allow_unused=True)
    # What no output depends on has the gradient 0.
    grads = [torch.zeros_like(x) if d is None else d for x, d in zip(leaves, grads)]
    CASES.append({
        "name": name, "kind": kind, "config": config, "mode": "training", "inputs": tensors(xs), "params": tensors(ps),
        "state": {}, "grad_outputs": [tensor(g)], "outputs": [tensor(y)],
        "input_grads": tensors(grads[:len(xs)]), "param_grads": tensors(dict(zip(ps, grads[len(xs):]))),
        "state_after": {}, **({} if penalty is None else {"penalty": penalty.item()}), **more,
    })


def merges():
    makers = {"Add": keras.layers.Add, "Subtract": keras.layers.Subtract, "Multiply": keras.layers.Multiply,
              "Average": keras.layers.Average, "Maximum": keras.layers.Maximum, "Minimum": keras.layers.Minimum}
    formulas = {"Add": torch.add, "Subtract": torch.sub, "Multiply": torch.mul, "Average": torch.add,
                "Maximum": torch.maximum, "Minimum": torch.minimum}
    for kind, make in makers.items():
        def f(x, p):
            y = functools.reduce(formulas[kind], x)
            return y / len(x) if kind == "Average" else y

        def like(x, p):
            return make()(x)

        shapes = [[(3, 4), (3, 4)], [(2, 3, 2), (2, 3, 2), (2, 3, 2)], [(2, 1, 3), (2, 4, 1)],
                  [(2, 2, 3, 2), (2, 1, 1, 2), (2, 2, 3, 1)], [(3, 1), (3, 4), (3, 1)]]
        for shape in shapes:
            if kind == "Subtract":
                shape = shape[:2]
            name = "%s %s" % (kind, " ".join("x".join(map(str, s)) for s in shape))
            r = rng(name)
            case(name, kind, {}, [r.normal(size=s) for s in shape], f, like=like)
        # Ties of two and of three, zeros of both signs, large and tiny values.
        points = [[1, 1, 2, 0, -0.0, 1e150, 1e-300, -3], [1, 2, 1, 0, 0.0, -1e150, 1e-300, -3]]
        if kind != "Subtract":
            points += [[1, 1, 2, 0, 0, 1, 1e-300, -4]]
        case(f"{kind} ties and awkward points", kind, {}, [np.array([p]) for p in points], f)
        small = [np.clip([p], -1e10, 1e10) for p in points]
        case(f"{kind} ties", kind, {}, small, f, like=like)


def dots():
    for label, shapes, axes in [
        ("vectors", [(3, 4), (3, 4)], 1), ("last axes", [(2, 3, 4), (2, 5, 4)], -1), ("axes 1 2", [(2, 4, 3), (2, 5, 4)], (1, 2)),
        ("axes 2 1", [(2, 3, 4), (2, 4, 5)], (2, 1)), ("vector and matrix", [(2, 4), (2, 4, 3)], (1, 1)),
        ("matrix and vector", [(2, 3, 4), (2, 4)], (2, 1)), ("rank 4", [(2, 3, 4, 2), (2, 2, 4, 3)], (2, 2)),
        ("one value", [(2, 1), (2, 1)], -1),
    ]:
        for normalize in [False, True]:
            name = "dot " + label + (" normalized" if normalize else "")
            r = rng(name)
            pair = [axes, axes] if isinstance(axes, int) else list(axes)

            def f(x, p):
                if normalize:
                    x = [F.normalize(v, dim=axis, eps=1e-7) for v, axis in zip(x, pair)]
                a, b = (v.movedim(axis, -1) for v, axis in zip(x, pair))
                shape = tuple(a.shape[1:-1]) + tuple(b.shape[1:-1])
                a, b = (v.reshape(len(v), -1, v.shape[-1]) for v in (a, b))
                return torch.einsum("bik,bjk->bij", a, b).reshape(len(a), *(shape or (1,)))

            case(name, "Dot", {"axes": pair, "normalize": normalize}, [r.normal(size=s) for s in shapes], f,
                 like=lambda x, p: keras.layers.Dot(axes=axes, normalize=normalize)(x))


def norms():
    for shape in [(3, 5), (2, 3, 4), (2, 2, 3, 4), (3, 1)]:
        size = "x".join(map(str, shape))
        for epsilon, scale in [(1e-6, True), (1e-2, True), (1e-6, False)]:
            name = f"rms {size} {epsilon} {scale}"
            r = rng(name)
            params = {"gamma": r.normal(size=shape[-1:]) + 1} if scale else {}

            case(name, "RmsNormalization", {"axes": 1, "epsilon": epsilon, "scale": scale}, [r.normal(size=shape) * 2 + 1],
                 lambda x, p: F.rms_norm(x[0], shape[-1:], p.get("gamma"), epsilon), params,
                 like=lambda x, p: keras.ops.rms_normalization(x[0], scale=p.get("gamma"), axis=-1, epsilon=epsilon))
        for axis in range(1, len(shape)):
            name = f"unit {size} axis {axis}"
            x = rng(name).normal(size=shape) * 3
            case(name, "UnitNormalization", {"axis": axis}, [x], lambda x, p: F.normalize(x[0], dim=axis, eps=1e-12),
                 like=lambda x, p: keras.layers.UnitNormalization(axis=axis)(x[0]))
    for axes, shape in [(2, (2, 3, 4)), (2, (2, 3, 2, 2)), (3, (2, 3, 2, 2))]:
        for kind in ["RmsNormalization", "LayerNormalization"]:
            name = f"{kind} {axes} axes of {len(shape)}"
            r = rng(name)
            last = shape[-axes:]
            params = {"gamma": r.normal(size=last) + 1}
            config = {"axes": axes, "epsilon": 1e-5, "scale": True}
            if kind == "LayerNormalization":
                params["beta"] = r.normal(size=last)
                config["center"] = True
                case(name, kind, config, [r.normal(size=shape)],
                     lambda x, p: F.layer_norm(x[0], last, p["gamma"], p["beta"], 1e-5), params)
            else:
                case(name, kind, config, [r.normal(size=shape)],
                     lambda x, p: F.rms_norm(x[0], last, p["gamma"], 1e-5), params)
    awkward = np.array([[0.0, 0.0, 0.0], [1e-13, 0, 0], [1e-5, -1e-5, 0], [1e8, -1e8, 1], [-0.0, 0.0, 3.0]])
    case("rms awkward", "RmsNormalization", {"axes": 1, "epsilon": 1e-6, "scale": True}, [awkward],
         lambda x, p: F.rms_norm(x[0], (3,), p["gamma"], 1e-6), {"gamma": np.array([1.0, -2.0, 0.0])})
    # Keras's gradient of a vector of zeros is NaN; PyTorch's is that of x / 1e-12.
    case("unit awkward", "UnitNormalization", {"axis": -1}, [awkward], lambda x, p: F.normalize(x[0], dim=-1, eps=1e-12))


def small():
    for label, scale, offset, shape in [("255", 1 / 255, 0.0, (2, 3)), ("centered", 1 / 127.5, -1.0, (2, 3, 2)),
                                        ("rank 4", -2.0, 0.5, (2, 2, 3, 2)), ("zero", 0.0, 1.5, (2, 3))]:
        case("rescaling " + label, "Rescaling", {"scale": [scale], "offset": [offset]}, [rng(label).normal(size=shape) * 50],
             lambda x, p: x[0] * scale + offset, like=lambda x, p: keras.layers.Rescaling(scale, offset)(x[0]))
    channels = ([0.5, -1.0, 2.0], [0.0, 1.0, -1.0])
    for shape in [(4, 3), (2, 2, 3), (2, 2, 5, 3)]:
        case(f"rescaling channels rank {len(shape)}", "Rescaling", {"scale": channels[0], "offset": channels[1]},
             [rng("channels").normal(size=shape)], lambda x, p: x[0] * torch.tensor(channels[0]) + torch.tensor(channels[1]),
             like=lambda x, p: keras.layers.Rescaling(*map(np.array, channels))(x[0]))
    for times, shape in [(1, (2, 3)), (4, (3, 2)), (3, (1, 1))]:
        case(f"repeat vector {times}", "RepeatVector", {"times": times}, [rng("repeat").normal(size=shape)],
             lambda x, p: x[0][:, None].expand(-1, times, -1), like=lambda x, p: keras.layers.RepeatVector(times)(x[0]))
    case("identity", "Identity", {}, [rng("identity").normal(size=(2, 3))], lambda x, p: keras.layers.Identity()(x[0]) * 1.0)
    for dims in [(2, 1), (1, 2)]:
        case(f"permute {dims}", "Permute", {"dims": list(dims)}, [rng("permute").normal(size=(2, 3, 4))],
             lambda x, p: x[0].permute(0, *dims), like=lambda x, p: keras.layers.Permute(dims)(x[0]))
    for l1, l2 in [(0.1, 0.0), (0.0, 0.2), (0.3, 0.4), (0.0, 0.0)]:
        for shape in [(4, 3), (2, 3, 2)]:
            name = f"activity {l1} {l2} rank {len(shape)}"
            x = rng(name).normal(size=shape)
            x[0, 0] = 0.0

            def f(x, p):
                return x[0] * 1.0, (l1 * x[0].abs().sum() + l2 * x[0].square().sum()) / len(x[0])

            def like(x, p):
                layer = keras.layers.ActivityRegularization(l1, l2)
                return layer(x[0]) * 1.0, layer.losses[0]

            case(name, "ActivityRegularization", {"l1": l1, "l2": l2}, [x], f, like=like)


def noise():
    """What a value becomes that PyTorch's alpha dropout drops and keeps, as the input and both outputs."""
    for rate in [0.1, 0.5, 0.8]:
        rows = []
        for x in [-1.5, 0.0, 2.0]:
            torch.manual_seed(0)
            y = F.alpha_dropout(torch.full((1000,), x, dtype=torch.double), rate, True).unique().tolist()
            if len(y) == 2:
                rows.append([x, *y])
        assert rows
        CASES.append({"name": f"alpha dropout {rate}", "kind": "AlphaDropout", "config": {"rate": rate}, "values": tensor(rows)})


def networks():
    """Masking, and a network behind it. Steps are masked at the start, in the middle, at the end, and all of them."""
    def masked(r, value, time=5, features=2):
        x = r.normal(size=(5, time, features))
        x[0, 3:] = value
        x[1, 1] = x[1, 3] = value
        x[2, :2] = value
        x[3] = value
        x[4, 2, 0] = value  # one feature alone masks nothing
        return x

    def params(r, at, n, units, bias=True):
        p = {f"{at}weight": r.normal(size=(n, units)) * 0.7, f"{at}recurrent_weight": r.normal(size=(units, units)) * 0.5}
        return p | ({f"{at}bias": r.normal(size=units)} if bias else {})

    def layer(units, p, at, **more):
        """Keras's layer with these weights, in a graph that gradients go through."""
        names = ["weight", "recurrent_weight"] + (["bias"] if at + "bias" in p else [])
        rnn = keras.layers.SimpleRNN(units, use_bias="bias" in names, **more)
        return rnn, [p[at + name] for name in names]

    def run(steps, x):
        """Calls the layers in turn with their weights given, and the mask going with the values."""
        mask = None
        for step, weights in steps:
            if not step.built:
                step.build(tuple(x.shape))
            if weights is None:
                y = step(x)
            else:
                args = {"mask": mask} if isinstance(step, keras.layers.RNN) else {}
                y, _ = step.stateless_call(weights, [v.value for v in step.non_trainable_variables], x, **args)
            if isinstance(step, keras.layers.Masking):
                mask = step.compute_mask(x)
            elif isinstance(step, keras.layers.SimpleRNN) and not step.return_sequences:
                mask = None
            x = y
        return x

    def simple_rnn(x, mask, p, at, sequences, activation="tanh"):
        """The formula: at a step that is masked the state stays, and is the output."""
        h, hs = torch.zeros(len(x), len(p[at + "recurrent_weight"]), dtype=torch.double), []
        for t in range(x.shape[1]):
            z = x[:, t] @ p[at + "weight"] + h @ p[at + "recurrent_weight"] + p.get(at + "bias", 0.0)
            z = torch.relu(z) if activation == "relu" else torch.tanh(z)
            h = z if mask is None else torch.where(mask[:, t, None], z, h)
            hs.append(h)
        return torch.stack(hs, 1) if sequences else h

    def masking(x, value):
        mask = (x != value).any(-1)
        return torch.where(mask[..., None], x, 0.0), mask

    for value in [0.0, -1.0]:
        for sequences in [False, True]:
            for activation in ["tanh", "relu"]:
                name = f"masking {value} simple rnn {activation}" + (" sequences" if sequences else "")
                r = rng(name)
                bias = activation == "tanh"
                p = params(r, "1.", 2, 3, bias)
                config = {"value": value, "rnn": [{"units": 3, "sequences": sequences, "activation": activation, "bias": bias}]}

                def f(x, p):
                    y, mask = masking(x[0], value)
                    return simple_rnn(y, mask, p, "1.", sequences, activation)

                def like(x, p):
                    rnn, weights = layer(3, p, "1.", return_sequences=sequences, activation=activation)
                    return run([(keras.layers.Masking(value), None), (rnn, weights)], x[0])

                case(name, "Masking", config, [masked(r, value)], f, p, like)
    name = "masking two recurrent layers and what stands between"
    r = rng(name)
    p = params(r, "1.", 2, 3) | {"2.weight": r.normal(size=(3, 4)), "2.bias": r.normal(size=4)} | params(r, "3.", 4, 2)
    config = {"value": 0.0, "dense": 4, "rnn": [{"units": n, "sequences": s, "activation": "tanh", "bias": True} for n, s in [(3, True), (2, False)]]}

    def f(x, p):
        y, mask = masking(x[0], 0.0)
        y = torch.tanh(simple_rnn(y, mask, p, "1.", True) @ p["2.weight"] + p["2.bias"])
        return simple_rnn(y, mask, p, "3.", False)

    def like(x, p):
        # The whole of Keras, with its own way of handing masks on.
        model = keras.Sequential([keras.layers.Masking(0.0), keras.layers.SimpleRNN(3, return_sequences=True),
                                  keras.layers.Dense(4, activation="tanh"), keras.layers.SimpleRNN(2)])
        model(x[0])
        names = ["1.weight", "1.recurrent_weight", "1.bias", "2.weight", "2.bias", "3.weight", "3.recurrent_weight", "3.bias"]
        return model.stateless_call([p[name] for name in names], [v.value for v in model.non_trainable_variables], x[0])[0]

    case(name, "Masking", config, [masked(r, 0.0)], f, p, like)

    # Masks that meet: one of each kind of merge, in front of a recurrent layer.
    for kind, axis in [("Add", None), ("Concatenate", -1), ("Concatenate", 1)]:
        for both in [True, False]:
            name = f"masks meet in {kind} {axis} {both}"
            r = rng(name)
            a, b = masked(r, 0.0), np.roll(masked(r, 0.0), 1, axis=0)
            p = params(r, "rnn.", 4 if axis == -1 else 2, 3)

            def f(x, p):
                (a, of_a), (b, of_b) = masking(x[0], 0.0), masking(x[1], 0.0) if both else (x[1], None)
                if axis == 1:
                    mask = torch.cat([of_a, torch.ones_like(of_a) if of_b is None else of_b], 1)
                else:
                    mask = None if of_b is None else of_a | of_b
                return simple_rnn(a + b if kind == "Add" else torch.cat([a, b], axis), mask, p, "rnn.", False)

            def like(x, p):
                masks = [keras.layers.Masking(0.0) if i == 0 or both else keras.layers.Identity() for i in range(2)]
                ys = [mask(x) for mask, x in zip(masks, x)]
                merge = keras.layers.Add() if kind == "Add" else keras.layers.Concatenate(axis=axis)
                given = [m.compute_mask(v) if isinstance(m, keras.layers.Masking) else None for m, v in zip(masks, x)]
                mask = merge.compute_mask(ys, given)
                rnn, weights = layer(3, p, "rnn.")
                y = merge(ys)
                rnn.build(tuple(y.shape))
                return rnn.stateless_call(weights, [v.value for v in rnn.non_trainable_variables], y, mask=mask)[0]

            case(name, "Graph", {"merge": kind, "axis": axis, "both": both}, [a, b], f, p, like)


def training():
    """The loss with a penalty that Keras reports: of a step on 7 samples, and of an evaluation in batches of 3."""
    r = rng("training")
    x, y = r.normal(size=(7, 3)), r.normal(size=(7, 2))
    w, b = r.normal(size=(3, 2)), r.normal(size=2)
    model = keras.Sequential([keras.layers.Dense(2), keras.layers.ActivityRegularization(0.1, 0.2)])
    model(x)
    model.set_weights([w, b])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    evaluated = model.evaluate(x, y, batch_size=3, verbose=0)
    trained = model.train_on_batch(x, y)
    weights = model.get_weights()
    losses = [evaluated, trained]
    model.set_weights([w, b])
    fitted = model.fit(x, y, batch_size=3, epochs=2, shuffle=False, verbose=0).history["loss"]
    CASES.append({"name": "training with a penalty", "kind": "Training", "config": {"l1": 0.1, "l2": 0.2, "rate": 0.1},
                  "values": tensors([x, y, w, b]), "losses": losses, "after": tensors(weights), "fitted": fitted})


for make in [merges, dots, norms, small, noise, networks, training]:
    make()
VERSIONS = {"keras": keras.__version__, "torch": torch.__version__.split("+")[0]}
MERGES = ["Add", "Average", "Dot", "Maximum", "Minimum", "Multiply", "Subtract"]
write("merges_keras.json", VERSIONS, [c for c in CASES if c["kind"] in MERGES])
write("vocabulary_keras.json", VERSIONS, [c for c in CASES if c["kind"] not in MERGES])
