"""Reads the event files that tests/tensor_board.rs writes with TensorBoard's own reader, and compares what it finds.

    LAYERWISE_FILES=folder cargo test --test tensor_board
    python tests/reference/read_events.py folder

Prints what it finds as JSON.
"""
import io
import json
import pathlib
import struct
import sys
import tempfile

from PIL import Image
from tensorboard.backend.event_processing import event_file_loader, plugin_event_accumulator
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.util import tensor_util

folder = pathlib.Path(sys.argv[1]) / "events"
expected = json.loads((folder / "expected.json").read_text())


def size_of_png(png):
    assert png[:8] == b"\x89PNG\r\n\x1a\n" and png[12:16] == b"IHDR", png[:16]
    return list(struct.unpack(">II", png[16:24]))


def pixels(png):
    image = Image.open(io.BytesIO(png))
    return [image.mode, list(image.tobytes())]


def value(plugin, tensor):
    array = tensor_util.make_ndarray(tensor)
    if plugin == "scalars":
        return float(array)
    if plugin == "histograms":
        left, right, counts = array.T
        return {"least": float(left[0]), "most": float(right[-1]), "values": float(counts.sum())}
    if plugin == "images":
        width, height, png = array[0], array[1], array[2]
        assert size_of_png(png) == [int(width), int(height)]
        return {"width": int(width), "height": int(height), "pixels": pixels(png)}
    if plugin == "text":
        return array.ravel()[0].decode()
    if plugin == "graphs":
        nodes = GraphDef.FromString(array.ravel()[0]).node
        return [[node.name, node.op, list(node.input)] for node in nodes]
    raise AssertionError(f"nothing shows {plugin!r}")


def run(path):
    reader = plugin_event_accumulator.EventAccumulator(
        str(path), tensor_size_guidance={name: 0 for name in ["scalars", "histograms", "images", "text", "graphs"]}
    )
    reader.Reload()
    found = {}
    for tag in reader.Tags()["tensors"]:
        plugin = reader.SummaryMetadata(tag).plugin_data.plugin_name
        events = [[event.step, value(plugin, event.tensor_proto)] for event in reader.Tensors(tag)]
        found.setdefault(plugin, {})[tag] = events
    return found


def check_cut_files(path):
    """A file that ends anywhere, as a killed run leaves it, gives the events before its end."""
    whole = path.read_bytes()
    count = len(list(event_file_loader.RawEventFileLoader(str(path)).Load()))
    with tempfile.TemporaryDirectory() as folder:
        cut = pathlib.Path(folder) / path.name
        before = 0
        for length in range(0, len(whole), 7):
            cut.write_bytes(whole[:length])
            events = len(list(event_file_loader.RawEventFileLoader(str(cut)).Load()))
            assert before <= events <= count, (path, length)
            before = events


def agree(place, got, wanted):
    if isinstance(wanted, dict):
        assert sorted(got) == sorted(wanted), (place, sorted(got), sorted(wanted))
        for key in wanted:
            agree(f"{place}: {key}", got[key], wanted[key])
    elif isinstance(wanted, list):
        assert len(got) == len(wanted), (place, got, wanted)
        for number, (g, w) in enumerate(zip(got, wanted)):
            agree(f"{place}[{number}]", g, w)
    elif isinstance(wanted, float):
        assert abs(got - wanted) <= 1e-6 * abs(wanted), (place, got, wanted)
    elif wanted is not None:
        assert got == wanted, (place, got, wanted)


files = sorted(folder.rglob("*tfevents*"))
runs = {str(path.relative_to(folder)): run(path) for path in sorted({file.parent for file in files})}
print(json.dumps(runs, indent=1))
agree("runs", runs, expected)
for file in files:
    check_cut_files(file)
print(f"{len(runs)} runs in {len(files)} files are as expected", file=sys.stderr)
