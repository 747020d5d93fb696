"""Times layerwise and PyTorch in turn, in one go, and prints the ratio of their medians.

    pip install torch
    cargo build --release --example step_times
    python scripts/compare_torch.py [--threads N] [--only NAME] [--rounds R] [--seconds S]

Each round runs both programs once for S seconds a figure, one after the other, so that what else the machine does hits
both; the median over the rounds is printed with the smallest and the largest. The PyTorch side runs the networks of
`torch_networks.py` eagerly: cross-entropy, Adam, random targets that change from step to step. Both programs are held to
as many cores as they have threads.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORKLOADS = ["iris_mlp_b32", "mnist_mlp_b128", "mnist_cnn_b128", "cifar_resnet8_b64"]
FIGURES = {"step_us": "training step", "infer1_us": "prediction, 1 row", "inferB_us": "prediction, batch"}


def torch_line(name, threads, seconds):
    """One JSON line of PyTorch's times, as `step_times` prints ours."""
    import torch
    import torch.nn.functional as F

    from torch_networks import NETWORKS

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    network, shape, classes, batch = NETWORKS[name]
    model = network()
    rule = torch.optim.Adam(model.parameters(), lr=1e-3)
    x = torch.randn(batch, *shape)
    targets = [torch.randint(0, classes, (batch,)) for _ in range(8)]
    count = [0]

    def step():
        target = targets[count[0] % len(targets)]
        count[0] += 1
        rule.zero_grad()
        F.cross_entropy(model(x), target).backward()
        rule.step()

    def median(call):
        for _ in range(3):
            call()
        times, begun = [], time.perf_counter()
        while time.perf_counter() - begun < seconds or len(times) < 7:
            start = time.perf_counter()
            call()
            times.append((time.perf_counter() - start) * 1e6)
        return statistics.median(times)

    result = {"peer": "torch", "threads": threads, "work": name, "step_us": median(step)}
    model.eval()
    one = x[:1].clone()
    with torch.inference_mode():
        result["infer1_us"] = median(lambda: model(one))
        result["inferB_us"] = median(lambda: model(x))
    print(json.dumps(result))


def run(command, threads):
    def hold():
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])

    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, preexec_fn=hold).stdout)


def compare(name, options):
    settings = ["--threads", str(options.threads), "--only", name, "--seconds", str(options.seconds)]
    ours_command = [str(ROOT / "target/release/examples/step_times"), *settings]
    theirs_command = [sys.executable, __file__, "--torch", *settings]
    ours, theirs = [], []
    for _ in range(options.rounds):
        ours.append(run(ours_command, options.threads))
        theirs.append(run(theirs_command, options.threads))
    for figure, label in FIGURES.items():
        a, b = [r[figure] for r in ours], [r[figure] for r in theirs]
        ratio = statistics.median(b) / statistics.median(a)
        spread = lambda v: f"{statistics.median(v):>10.2f} ({min(v):.2f} to {max(v):.2f})"
        print(f"{name:<16} {label:<18} layerwise {spread(a):<34} torch {spread(b):<36} {ratio:5.1f} times", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--torch", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    for name in WORKLOADS:
        if options.only in name:
            if options.torch:
                torch_line(name, options.threads, options.seconds)
            else:
                compare(name, options)


main()
