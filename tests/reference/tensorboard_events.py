"""Writes tensorboard_events.json: an event file as TensorBoard's own classes write it, in hexadecimal bytes.

    python tensorboard_events.py

Summaries are those of PyTorch's SummaryWriter, the frame around them is that of TensorBoard's RecordWriter, histograms
are counted by NumPy. All events are of one time.
"""
import io
import json
import math

import numpy as np
import tensorboard
import torch
from tensorboard.compat.proto.attr_value_pb2 import AttrValue
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.node_def_pb2 import NodeDef
from tensorboard.compat.proto.versions_pb2 import VersionDef
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard import _proto_graph, summary

from common import HERE

TIME = 1_700_000_000.25
file = io.BytesIO()
records = RecordWriter(file)


def add(step=0, **what):
    event = Event(wall_time=TIME, step=step, **what)
    records.write(event.SerializeToString(deterministic=True))


def histogram(tag, values):
    values = np.asarray(values, dtype=np.float64)
    counts, edges = np.histogram(values, bins=30)
    return summary.histogram_raw(
        tag, values.min(), values.max(), len(values), values.sum(), values.dot(values), edges[1:].tolist(), counts.tolist()
    )


def node(name, op, inputs, shape=None, config=None, parameters=0):
    """As PyTorch's node_proto, with attributes of our own."""
    attr = {}
    if shape is not None:
        attr.update(_proto_graph.attr_value_proto(None, [-1, *shape], None))
    if config is not None:
        attr["config"] = AttrValue(s=config.encode())
    if parameters:
        attr["parameters"] = AttrValue(i=parameters)
    return NodeDef(name=name, op=op, input=inputs, attr=attr)


def graph(nodes):
    return GraphDef(node=nodes, versions=VersionDef(producer=22)).SerializeToString(deterministic=True)


add(file_version="brain.Event:2")
add(1, summary=summary.scalar("train/loss", np.array(0.7)))
add(2, summary=summary.scalar("zero", np.array(0.0)))
add(2**40, summary=summary.scalar("not a number", np.array(math.nan)))
add(3, summary=histogram("weights", [((i * i) % 101) / 8 - 5 for i in range(1000)]))
add(4, summary=histogram("all alike", [2.0, 2.0, 2.0]))
add(5, summary=histogram("around nothing", [0.0, -0.5, 0.5]))
add(6, summary=summary.text("notes", "Some **bold** text, with an ä."))
twice = ("Twice", '{"factor":2}')
add(
    graph_def=graph(
        [
            node("input", "Input", [], [4]),
            node("0_Twice", twice[0], ["input"], [4], twice[1]),
            node("1_Residual/body/0_Twice", twice[0], ["0_Twice"], [4], twice[1]),
            node("1_Residual/body/1_Twice", twice[0], ["1_Residual/body/0_Twice"], [4], twice[1]),
            node("1_Residual/projection", twice[0], ["0_Twice"], [4], twice[1]),
            node("1_Residual/sum", "Add", ["1_Residual/body/1_Twice", "1_Residual/projection"]),
        ]
    )
)
add(
    graph_def=graph(
        [
            node("input", "Input", []),
            node("input_1", "Input", []),
            node("tower", twice[0], ["input"], None, twice[1]),
            node("tower_1", twice[0], ["input_1"], None, twice[1]),
            node("1_Sum", "Sum", ["tower", "tower_1"]),
        ]
    )
)
made_by = {"tensorboard": tensorboard.__version__, "torch": torch.__version__, "numpy": np.__version__}
(HERE / "tensorboard_events.json").write_text(json.dumps({**made_by, "file": file.getvalue().hex()}, indent=0) + "\n")
