"""Reads the files that tests/npy.rs writes with NumPy, and compares them with what they should hold.

    LAYERWISE_FILES=folder cargo test --test npy
    python tests/reference/read_npy.py folder
"""
import json
import pathlib
import sys

import numpy as np

folder = pathlib.Path(sys.argv[1]) / "npy"
expected = json.loads((folder / "expected.json").read_text())


def check(place, x, expected):
    assert x.dtype.str == expected["type"], (place, x.dtype.str)
    assert list(x.shape) == expected["shape"], (place, x.shape)
    assert x.flags.c_contiguous, place
    wanted = np.array(expected["elements"]).astype(x.dtype) if x.size else x.ravel()
    np.testing.assert_array_equal(x.ravel(), wanted, place)


arrays = 0
for name, held in expected.items():
    path = folder / name
    # Neither pickles nor anything else that could run.
    file = np.load(path, allow_pickle=False)
    if path.suffix == ".npz":
        assert sorted(file.files) == sorted(held), (name, file.files)
        assert file.zip.testzip() is None, name
        for array, each in held.items():
            check(f"{name}: {array}", file[array], each)
        arrays += len(held)
    else:
        check(name, file, held)
        arrays += 1
print(f"{arrays} arrays in {len(expected)} files read by NumPy {np.__version__}")
assert arrays > 10
