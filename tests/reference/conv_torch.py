"""Outputs and gradients of convolutions, from PyTorch -> conv_torch.json.

Run: python conv_torch.py      Made with torch 2.15.0, numpy 2.4.6, Python 3.11.

Layout: axis 0 is the batch, channels are last; weights are (kernel height, kernel
width, channels / groups, filters), transposed (kernel height, kernel width,
filters / groups, channels), depthwise (kernel height, kernel width, channels,
multiplier), and sequences have no height. The parameters are leaves in this layout
and are transposed on the way into PyTorch, so autograd gives their gradients in this
layout too. Every case holds the gradients of sum(outputs * grad_outputs). "config" is
what the layer's own config() says.

Inputs, weights and gradients of outputs are multiples of 1/4, so that whatever has no
activation but ReLU or leaky ReLU of slope 1/4 is exact in either number type, and short.

Padding is added with F.pad in front of a convolution without any. "same" is Keras's
rule: the output is as long as the input over the stride, rounded up; an odd element
goes to the end. Where PyTorch knows "same" (stride 1) the two are checked to agree.

A transposed convolution is F.conv_transpose without padding, but with output padding;
then `before` rows are cut off at the start and `after` at the end. Where PyTorch takes
the padding itself (equal on both sides) the two are checked to agree. "same" is Keras's
rule again: the output is the input times the stride, so that of the (input - 1) stride
+ extent rows there are, extent - stride too many are cut off, the odd one at the end,
or stride - extent too few are added at the end. That is checked to be the gradient of
the "same" convolution that makes the input's size out of the output's, which is how
Keras and TensorFlow define it.
"""
import itertools

import numpy as np
import torch
import torch.nn.functional as F

from common import rng, write

torch.set_num_threads(1)
torch.set_default_dtype(torch.double)
CASES = []
NAMES = {2: "2d", 1: "1d"}


def activate(z, activation):
    return {
        "Linear": lambda: z * 1.0,
        "Relu": lambda: torch.relu(z),
        "LeakyRelu": lambda: F.leaky_relu(z, activation.get("slope", 0)),
        "Sigmoid": lambda: torch.sigmoid(z),
        "Tanh": lambda: torch.tanh(z),
        "Softmax": lambda: torch.softmax(z, -1),
        "Gelu": lambda: F.gelu(z),
        "GeluTanh": lambda: F.gelu(z, approximate="tanh"),
    }[activation["name"]]()


def extent(kernel, dilation):
    return (kernel - 1) * dilation + 1


def sides(config, lengths):
    """(before, after) along each axis, for a convolution."""
    padding = config["padding"]
    if isinstance(padding, list):
        return [tuple(p) for p in padding[2 - len(lengths):]]
    result = []
    for length, k, s, d in zip(lengths, config["kernel_size"], config["stride"], config["dilation"]):
        total = {
            "valid": 0,
            "causal": extent(k, d) - 1,
            "same": max((-(-length // s) - 1) * s + extent(k, d) - length, 0),
        }[padding]
        result.append((total, 0) if padding == "causal" else (total // 2, total - total // 2))
    return result


def flat(pairs):
    """As F.pad wants them: the last axis first."""
    return [n for pair in reversed(pairs) for n in pair]


def convolve(x, weight, bias, config, groups):
    """x channels last, weight as PyTorch has it."""
    conv = F.conv2d if weight.dim() == 4 else F.conv1d
    x = x.movedim(-1, 1)
    padded = F.pad(x, flat(sides(config, x.shape[2:])))
    y = conv(padded, weight, bias, config["stride"], 0, config["dilation"], groups)
    if config["padding"] == "same" and set(config["stride"]) == {1}:
        again = conv(x, weight, bias, 1, "same", config["dilation"], groups)
        torch.testing.assert_close(again, y, rtol=0, atol=1e-12)
    return y.movedim(1, -1)


def conv(x, p, config):
    weight = p["weight"].movedim((-1, -2), (0, 1)).contiguous()
    return activate(convolve(x, weight, p.get("bias"), config, config["groups"]), config["activation"])


def depthwise(x, p, config, at=""):
    weight = p[at + "weight"]
    weight = weight.movedim((-2, -1), (0, 1)).reshape(-1, 1, *weight.shape[:-2])
    return activate(convolve(x, weight, p.get(at + "bias"), config, x.shape[-1]), config["activation"])


def separable(x, p, config):
    between = depthwise(x, p, config["depthwise"], "depthwise.")
    point = {"weight": p["pointwise.weight"], "bias": p.get("pointwise.bias")}
    return conv(between, point, config["pointwise"])


def transposed(x, p, config):
    weight = p["weight"].movedim((-1, -2), (0, 1)).contiguous()
    bias, groups = p.get("bias"), config["groups"]
    stride, dilation, more = config["stride"], config["dilation"], config["output_padding"]
    run = F.conv_transpose2d if weight.dim() == 4 else F.conv_transpose1d
    x = x.movedim(-1, 1)
    if config["padding"] == "same":
        cut = []
        for k, s, d in zip(config["kernel_size"], stride, dilation):
            over = extent(k, d) - s
            # A negative number of rows to cut off at the end is one to add.
            cut.append((max(over, 0) // 2, over - max(over, 0) // 2))
        whole = run(x, weight, None, stride, 0, 0, groups, dilation)
        z = F.pad(whole, [-n for n in flat(cut)])
        check_same(x, weight, z, config)
        if bias is not None:
            z = z + bias.reshape(-1, *[1] * (z.dim() - 2))
    else:
        cut = sides(config, x.shape[2:])
        whole = run(x, weight, bias, stride, 0, more, groups, dilation)
        z = F.pad(whole, [-n for n in flat(cut)])
        if all(before == after for before, after in cut):
            padding = [before for before, _ in cut]
            again = run(x, weight, bias, stride, padding, more, groups, dilation)
            torch.testing.assert_close(again, z, rtol=0, atol=1e-12)
    return activate(z.movedim(1, -1), config["activation"])


def check_same(x, weight, z, config):
    """z is the gradient of the "same" convolution of a large image, for the gradient x of its output."""
    large = torch.zeros(z.shape, requires_grad=True)
    small = convolve(large.movedim(1, -1), weight.detach(), None, config, config["groups"]).movedim(-1, 1)
    assert small.shape == x.shape
    assert list(z.shape[2:]) == [n * s for n, s in zip(x.shape[2:], config["stride"])]
    (gradient,) = torch.autograd.grad(small, large, x.detach())
    torch.testing.assert_close(gradient, z.detach(), rtol=0, atol=1e-12)


# The cases.


def quarters(r, shape, most=4):
    return r.integers(-most, most + 1, size=shape) / 4


def short(x):
    """{"shape", "data"} with whole numbers as such."""
    x = x.detach().numpy()
    return {"shape": list(x.shape), "data": [int(v) if v == int(v) else v for v in x.ravel().tolist()]}


def case(name, kind, config, shape, params, f):
    r = rng(name)
    x = torch.tensor(quarters(r, shape)).requires_grad_()
    ps = {key: torch.tensor(quarters(r, size)).requires_grad_() for key, size in params.items()}
    y = f(x, ps, config)
    g = torch.tensor(quarters(r, tuple(y.shape), 2))
    dx, *dps = torch.autograd.grad(y, [x, *ps.values()], g)
    CASES.append({
        "name": name, "kind": kind, "config": config, "mode": "inference",
        "inputs": [short(x)], "params": {key: short(p) for key, p in ps.items()}, "state": {},
        "grad_outputs": [short(g)], "outputs": [short(y)], "input_grads": [short(dx)],
        "param_grads": {key: short(d) for key, d in zip(ps, dps)}, "state_after": {},
    })


def settings(axes, kernel, stride=1, dilation=1, padding="valid", activation="Linear", bias=True, **more):
    def each(v):
        return list(v) if isinstance(v, (tuple, list)) else [v] * axes

    if not isinstance(padding, str):
        # A number for all sides, one for each axis, or a pair for each axis; sequences have no height.
        padding = [[p, p] if isinstance(p, int) else list(p) for p in each(padding)]
        padding = [[0, 0]] * (2 - axes) + padding
    activation = {"name": activation} | ({"slope": 0.25} if activation == "LeakyRelu" else {})
    return {"kernel_size": each(kernel), "stride": each(stride), "dilation": each(dilation), "padding": padding,
            "activation": activation, "bias": bias, **more}


def words(config):
    def text(v):
        v = [v] if not isinstance(v, list) else v
        return "x".join("-".join(map(str, n)) if isinstance(n, list) else str(n) for n in v)

    said = [f"kernel {text(config['kernel_size'])}", f"stride {text(config['stride'])}",
            f"dilation {text(config['dilation'])}", f"padding {text(config['padding'])}"]
    for key in ["groups", "output_padding", "filters", "multiplier"]:
        if key in config:
            said.append(f"{key.replace('_', ' ')} {text(config[key])}")
    if config["activation"]["name"] != "Linear":
        said.append(config["activation"]["name"])
    return ", ".join(said) + ("" if config["bias"] else ", no bias")


def add_conv(shape, filters, kernel, groups=1, **more):
    axes = len(shape) - 2
    config = settings(axes, kernel, filters=filters, groups=groups, **more)
    params = {"weight": (*config["kernel_size"], shape[-1] // groups, filters)}
    if config["bias"]:
        params["bias"] = (filters,)
    name = "conv of %s: %s" % ("x".join(map(str, shape)), words(config))
    case(name, "Conv" + NAMES[axes], config, shape, params, conv)


def add_transposed(shape, filters, kernel, groups=1, output_padding=0, **more):
    axes = len(shape) - 2
    output_padding = [output_padding] * axes if isinstance(output_padding, int) else list(output_padding)
    config = settings(axes, kernel, filters=filters, groups=groups, output_padding=output_padding, **more)
    params = {"weight": (*config["kernel_size"], filters // groups, shape[-1])}
    if config["bias"]:
        params["bias"] = (filters,)
    name = "transposed conv of %s: %s" % ("x".join(map(str, shape)), words(config))
    case(name, "ConvTranspose" + NAMES[axes], config, shape, params, transposed)


def add_depthwise(shape, kernel, multiplier=1, **more):
    axes = len(shape) - 2
    config = settings(axes, kernel, multiplier=multiplier, **more)
    params = {"weight": (*config["kernel_size"], shape[-1], multiplier)}
    if config["bias"]:
        params["bias"] = (shape[-1] * multiplier,)
    name = "depthwise conv of %s: %s" % ("x".join(map(str, shape)), words(config))
    case(name, "DepthwiseConv" + NAMES[axes], config, shape, params, depthwise)


def add_separable(shape, filters, kernel, multiplier=1, activation="Linear", bias=True, **more):
    axes = len(shape) - 2
    first = settings(axes, kernel, multiplier=multiplier, bias=False, **more)
    second = settings(axes, 1, activation=activation, bias=bias, filters=filters, groups=1)
    config = {"depthwise": first, "pointwise": second}
    params = {"depthwise.weight": (*first["kernel_size"], shape[-1], multiplier),
              "pointwise.weight": (*[1] * axes, shape[-1] * multiplier, filters)}
    if bias:
        params["pointwise.bias"] = (filters,)
    name = "separable conv of %s: %s; %s" % ("x".join(map(str, shape)), words(first), words(second))
    case(name, "SeparableConv" + NAMES[axes], config, shape, params, separable)


PADDINGS_2D = ["valid", "same", 1, (2, 0), ((0, 1), (2, 0))]
PADDINGS_1D = ["valid", "same", "causal", 1, ((2, 1),)]
KERNELS = [1, 2, 3, 5, 7, (2, 3), (3, 1), (1, 5), (7, 2)]
ACTIVATIONS = ["Relu", "LeakyRelu", "Sigmoid", "Tanh", "Gelu", "GeluTanh", "Softmax"]


def conv2d_cases():
    turn = itertools.count()
    # Strides and dilations with every grouping; channels of 4 in 1, 2 and 4 groups.
    for stride, dilation, groups in itertools.product([1, 2, 3], [1, 2, 3], [1, 2, 4]):
        for kernel in [3, (2, 3)]:
            n = next(turn)
            add_conv((1 + n % 2, 7, 8, 4), 4 if n % 3 else 8, kernel, groups, stride=stride, dilation=dilation,
                     padding=PADDINGS_2D[n % 5], bias=n % 4 != 0)
    # Kernels with paddings of each kind; odd sizes, strides in turn, and other ones along the two axes.
    for number, (kernel, padding) in enumerate(itertools.product(KERNELS, PADDINGS_2D)):
        stride = [1, 2, (1, 2), 3, (3, 1)][(number + number // 5) % 5]
        add_conv((1 + number % 2, 7, 9, 1 + number % 3), 2 + number % 2, kernel, stride=stride, padding=padding,
                 bias=number % 2 == 0)
    for dilation, stride in [((1, 2), 1), ((3, 1), (2, 1)), ((2, 3), (1, 3))]:
        add_conv((1, 9, 9, 2), 3, (3, 2), dilation=dilation, stride=stride, padding="same")
    # Channels and filters that no register divides.
    for channels, filters, kernel in [(1, 1, 3), (1, 17, 2), (17, 1, 2), (5, 18, 2), (19, 7, 1), (3, 33, 2),
                                      (33, 3, 1), (9, 31, 1)]:
        add_conv((2, 3, 3, channels), filters, kernel, padding="same")
    add_conv((3, 1, 1, 5), 4, 1)
    add_conv((5, 2, 3, 3), 4, 2, stride=2, padding="same")
    add_conv((1, 2, 2, 1), 2, 5, padding="same")
    add_conv((1, 6, 6, 6), 9, 3, 3, padding="same")
    # An image that the windows do not reach the end of.
    add_conv((2, 6, 8, 2), 3, 2, stride=3)
    for number, activation in enumerate(ACTIVATIONS):
        add_conv((1, 4, 5, 2), 3, 3, activation=activation, stride=1 + number % 2, padding="same")
        add_conv((2, 3, 4, 4), 4, 2, 2, activation=activation, bias=False)


def conv1d_cases():
    turn = itertools.count()
    for stride, dilation, padding in itertools.product([1, 2, 3], [1, 2, 3], PADDINGS_1D):
        if padding == "causal" and stride > 1 and dilation > 1:
            continue  # which neither Keras nor we take
        n = next(turn)
        add_conv((1 + n % 2, 9, 4), 4, [3, 2, 1, 5, 3][n % 5] if dilation < 3 else 2 + n % 2, [1, 2, 4][n % 3],
                 stride=stride, dilation=dilation, padding=padding, bias=n % 4 != 0)
    add_conv((3, 11, 3), 5, 7, padding="same")
    add_conv((1, 11, 17), 3, 7, padding="causal")
    for activation in ACTIVATIONS:
        add_conv((2, 5, 3), 4, 3, activation=activation, padding="causal")


def transposed_cases():
    # Every output padding that there may be: below the stride or the dilation.
    turn = itertools.count()
    for stride, dilation in itertools.product([1, 2, 3], [1, 2, 3]):
        legal = range(max(stride, dilation))
        for groups, more in itertools.product([1, 2], legal):
            n = next(turn)
            add_transposed((1 + n % 2, 3, 4), 2, 2 + n % 2, groups, more, stride=stride, dilation=dilation,
                           padding=["valid", 1, ((0, 1),)][n % 3], bias=n % 4 != 0)
        for more in itertools.product(legal, legal):
            n = next(turn)
            groups = 1 + n % 2
            add_transposed((1, 2, 3, 2 * groups), 2, [2, (1, 2), 3][n % 3], groups, more, stride=stride,
                           dilation=dilation, padding=["valid", (0, 1), ((1, 0), (0, 1))][n // 3 % 3],
                           bias=n % 4 != 0)
    for more in itertools.product(range(3), range(2)):
        add_transposed((1, 2, 2, 4), 4, (3, 2), 4, more, stride=(3, 1), dilation=(1, 2), padding=((1, 0), (0, 1)))
    # Keras's "same".
    for number, (stride, kernel) in enumerate(itertools.product([1, 2, 3], [1, 2, 3, 4, 5])):
        add_transposed((1, 3, 2, 2), 3, kernel, stride=stride, padding="same", bias=number % 2 == 0)
        add_transposed((2, 3, 4), 2, kernel, 2, stride=stride, padding="same", dilation=1 + number % 3)
    add_transposed((1, 3, 3, 2), 2, (3, 2), stride=(1, 3), dilation=(2, 1), padding="same")
    for channels, filters in [(1, 17), (17, 1), (5, 18), (33, 2)]:
        add_transposed((2, 2, 2, channels), filters, 2, stride=2)
    add_transposed((3, 1, 1, 2), 3, 1)
    add_transposed((2, 3, 4, 3), 5, 1)
    for kernel in [5, 7, (1, 5), (7, 2)]:
        add_transposed((1, 3, 2, 2), 2, kernel, stride=2, padding="same")
    for activation in ACTIVATIONS:
        add_transposed((1, 2, 3, 2), 3, 3, stride=2, activation=activation, padding="same")
        add_transposed((2, 3, 2), 3, 2, stride=2, activation=activation, output_padding=1, bias=False)


def depthwise_cases():
    turn = itertools.count()
    for stride, dilation, multiplier in itertools.product([1, 2, 3], [1, 2, 3], [1, 2, 3]):
        n = next(turn)
        add_depthwise((1 + n % 2, 7, 6, 1 + (n // 2) % 4), [3, (2, 3), 2][n // 3 % 3], multiplier, stride=stride,
                      dilation=dilation, padding=PADDINGS_2D[n % 5], bias=n % 4 != 0)
    for kernel, multiplier in itertools.product([1, 5, 7, (1, 5), (3, 1)], [1, 2]):
        add_depthwise((1, 7, 7, 3), kernel, multiplier, padding="same", stride=multiplier)
    for channels, multiplier in [(17, 1), (31, 1), (40, 1), (17, 2), (1, 3)]:
        add_depthwise((2, 3, 3, channels), 2, multiplier, padding="same")
    for number, (padding, multiplier) in enumerate(itertools.product(PADDINGS_1D, [1, 2, 3])):
        add_depthwise((1 + number % 2, 9, 3), 2 + number % 3, multiplier, padding=padding,
                      stride=1 + number % 3 if padding != "causal" else 1, dilation=1 + number // 2 % 2)
    for number, activation in enumerate(ACTIVATIONS):
        add_depthwise((1, 4, 4, 3), 3, activation=activation, padding="same")
        add_depthwise((2, 5, 2), 3, 2, activation=activation, bias=False)


def separable_cases():
    turn = itertools.count()
    for stride, dilation, multiplier in itertools.product([1, 2], [1, 2], [1, 2, 3]):
        n = next(turn)
        add_separable((1 + n % 2, 6, 7, 2), 3, [3, (2, 3)][n // 3 % 2], multiplier, stride=stride, dilation=dilation,
                      padding=PADDINGS_2D[n % 5], bias=n % 4 != 0)
    for padding, multiplier in itertools.product(PADDINGS_1D, [1, 2]):
        add_separable((2, 8, 3), 4, 3, multiplier, padding=padding)
    for activation in ACTIVATIONS:
        add_separable((1, 4, 4, 2), 3, 3, 2, activation=activation, padding="same")
        add_separable((2, 5, 3), 2, 2, activation=activation, padding="causal")


for make in [conv2d_cases, conv1d_cases, transposed_cases, depthwise_cases, separable_cases]:
    make()
write("conv_torch.json", {"torch": torch.__version__.split("+")[0]}, CASES)
