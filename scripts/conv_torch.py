"""Times single convolutions of ResNet-50 and MobileNetV2 in PyTorch, one JSON line each, as `conv_times` prints ours.

    pip install torch
    python scripts/conv_torch.py [--threads N] [--only NAME] [--seconds S] [--layout LAYOUT]

Each figure is the median over at least S seconds and 5 runs after 2 warm-ups, in microseconds: the output, the gradient
of the images, that of the weight, each by itself. PyTorch has two layouts for images: `nchw`, its own, and `nhwc`
(channels last), which is ours; `best`, the default, times both and takes the faster one for each figure.
"""

import argparse
import json
import pathlib
import statistics
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIST = json.loads((ROOT / "benches/conv_shapes/shapes.json").read_text())
FIGURES = ["forward_us", "input_us", "weight_us"]


def median(call, seconds):
    for _ in range(2):
        call()
    times, begun = [], time.perf_counter()
    while time.perf_counter() - begun < seconds or len(times) < 5:
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1e6)
    return statistics.median(times)


def in_layout(shape, layout, seconds):
    """The figures of one shape in one layout."""
    import torch

    torch.manual_seed(0)
    channels, filters, kernel, stride = (shape[key] for key in ["channels", "filters", "kernel", "stride"])
    groups, padding = channels if shape["depthwise"] else 1, kernel // 2
    order = {"nchw": torch.contiguous_format, "nhwc": torch.channels_last}[layout]

    def random(*sizes):
        return torch.randn(*sizes).contiguous(memory_format=order)

    x = random(LIST["batch"], channels, shape["size"], shape["size"])
    weight = random(filters, channels // groups, kernel, kernel)
    with torch.inference_mode():
        def forward():
            return torch.conv2d(x, weight, None, stride, padding, 1, groups)

        dy = random(*forward().shape)

        def backward(mask):
            return torch.ops.aten.convolution_backward(
                dy, x, weight, None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], groups, mask)

        calls = [forward, lambda: backward([True, False, False]), lambda: backward([False, True, False])]
        return [median(call, seconds) for call in calls]


def times(shape, threads, seconds, layout="best"):
    """One line, as a dictionary."""
    import torch

    torch.set_num_threads(threads)
    layouts = ["nchw", "nhwc"] if layout == "best" else [layout]
    found = [in_layout(shape, layout, seconds) for layout in layouts]
    line = {"peer": "torch", "threads": threads, "shape": shape["name"]}
    for figure, values in zip(FIGURES, zip(*found)):
        line[figure] = round(min(values), 1)
        line[figure.replace("_us", "_layout")] = layouts[values.index(min(values))]
    return line


def arguments(description):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--seconds", type=float, default=0.3)
    parser.add_argument("--layout", choices=["nchw", "nhwc", "best"], default="best")
    return parser


if __name__ == "__main__":
    options = arguments(__doc__).parse_args()
    for shape in LIST["shapes"]:
        if options.only in shape["name"]:
            print(json.dumps(times(shape, options.threads, options.seconds, options.layout)), flush=True)
