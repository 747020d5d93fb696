"""Times single convolutions in layerwise and in PyTorch in turn, and prints the ratio of their medians.

    pip install torch
    cargo build --release --example conv_times
    python scripts/compare_conv_torch.py [--threads N] [--only NAME] [--rounds R] [--seconds S] [--layout LAYOUT]

For each shape of `benches/conv_shapes/shapes.json`, each round runs both sides once, one after the other, so that what
else the machine does hits both; the medians over the rounds are printed, with our share of the peak of multiply-adds of
one core, and in the end in how many shapes ours is faster. Ours runs on one thread; PyTorch takes the faster of its two
layouts for each figure.
"""

import json
import statistics
import subprocess

from conv_torch import FIGURES, LIST, ROOT, arguments, times

LABELS = {"forward_us": "forward", "input_us": "input gradient", "weight_us": "weight gradient"}


def our_times(shape, seconds):
    command = [str(ROOT / "target/release/examples/conv_times"), "--only", shape["name"], "--seconds", str(seconds)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    faster, all_faster, count = {figure: 0 for figure in FIGURES}, 0, 0
    for shape in LIST["shapes"]:
        if options.only not in shape["name"]:
            continue
        ours, theirs = [], []
        for _ in range(options.rounds):
            ours.append(our_times(shape, options.seconds))
            theirs.append(times(shape, options.threads, options.seconds, options.layout))
        ratios = []
        for figure in FIGURES:
            a, b = (statistics.median(line[figure] for line in side) for side in (ours, theirs))
            share = statistics.median(line[figure.replace("_us", "_peak")] for line in ours)
            ratios.append(b / a)
            faster[figure] += b > a
            print(f"{shape['name']:<42} {LABELS[figure]:<15} layerwise {a:>9.1f} us {share:5.1f} % of the peak   "
                  f"torch {b:>9.1f} us   {b / a:6.2f} times", flush=True)
        count += 1
        all_faster += min(ratios) > 1
    for figure in FIGURES:
        print(f"{LABELS[figure]}: layerwise is faster in {faster[figure]} of {count} shapes")
    print(f"all three: {all_faster} of {count}; each counted: {sum(faster.values())} of {3 * count}")


main()
