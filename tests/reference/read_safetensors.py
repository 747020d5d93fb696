"""Reads files of layerwise with Python's safetensors and compares every byte.

    LAYERWISE_FILES=folder cargo test --test io files_for_python_are_written
    pip install numpy safetensors
    python read_safetensors.py folder

Beside each .safetensors file stands a .json file with the metadata, and the name, number
type, shape and bytes (hexadecimal) of each tensor.
"""
import json
import pathlib
import sys

from safetensors import safe_open
from safetensors.numpy import load_file

files = sorted(pathlib.Path(sys.argv[1]).glob("*.safetensors"))
count = 0
for path in files:
    expected = json.loads(path.with_suffix(".json").read_text())
    found = load_file(path)
    with safe_open(path, framework="numpy") as file:
        assert file.metadata() == expected["metadata"], (path, file.metadata())
    assert set(found) == {t["name"] for t in expected["tensors"]}, (path, set(found))
    for t in expected["tensors"]:
        got = found[t["name"]]
        assert str(got.dtype) == t["dtype"] and list(got.shape) == t["shape"], (path, t["name"], got.dtype, got.shape)
        assert got.tobytes().hex() == t["bytes"], (path, t["name"], got)
        count += 1
assert len(files) > 1 and count > 50, "too few files: was the folder written?"
print(f"{len(files)} files with {count} tensors are read by safetensors")
