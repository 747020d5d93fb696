"""Trains the network of `examples/mnist_cnn.rs` in PyTorch, for its time and its accuracy beside ours.

    pip install torch
    scripts/get-data.sh mnist
    cargo run --release --example mnist_cnn -- EPOCHS
    python scripts/mnist_cnn_torch.py [EPOCHS] [--threads N]

The same epochs, batches, optimizer and schedule, and the test set after each epoch; eager, from the same files.
"""

import argparse
import pathlib
import struct
import time

import torch
import torch.nn.functional as F

from torch_networks import mnist_cnn

DATA = pathlib.Path(__file__).resolve().parent.parent / "data/downloads/mnist"
BATCH = 128


def idx(name):
    """An IDX file of bytes."""
    content = (DATA / name).read_bytes()
    rank = content[3]
    shape = struct.unpack(f">{rank}I", content[4:4 + 4 * rank])
    return torch.frombuffer(bytearray(content[4 + 4 * rank:]), dtype=torch.uint8).reshape(shape)


def part(name):
    images = idx(f"{name}-images-idx3-ubyte").unsqueeze(1).float() / 255
    return images, idx(f"{name}-labels-idx1-ubyte").long()


def accuracy(model, images, labels):
    model.eval()
    with torch.inference_mode():
        right = [(model(x).argmax(1) == y).sum() for x, y in zip(images.split(1000), labels.split(1000))]
    model.train()
    return float(sum(right)) / len(labels)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("epochs", type=int, nargs="?", default=15)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    images, labels = part("train")
    test = part("t10k")
    model = mnist_cnn()
    rule = torch.optim.Adam(model.parameters(), lr=2e-3)
    steps = options.epochs * -(-len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(rule, steps)
    begun = time.perf_counter()
    for epoch in range(1, options.epochs + 1):
        total = 0.0
        for rows in torch.randperm(len(images)).split(BATCH):
            rule.zero_grad()
            loss = F.cross_entropy(model(images[rows]), labels[rows])
            loss.backward()
            rule.step()
            schedule.step()
            total += float(loss) * len(rows)
        right = accuracy(model, *test)
        print(f"epoch {epoch}  loss {total / len(images):.4f}  val_accuracy {right:.4f}", flush=True)
    print(f"Test accuracy: {right:.4f} after {options.epochs} epochs in {time.perf_counter() - begun:.0f} s")


main()
