"""Writes npy_numpy.json: files of NumPy, as hexadecimal bytes, and what they hold.

    python npy_numpy.py

Elements are texts, because JSON has neither NaN nor all whole numbers. `exact` says whether f64 holds each of them.
"""
import io
import zipfile

import numpy as np

from common import write

# Archives depend on their content alone.
zipfile.time.localtime = lambda *_: (1980, 1, 1, 0, 0, 0, 0, 0, 0)


class Stream(io.BytesIO):
    """Cannot be turned back, so that sizes stand behind the entries."""

    def seekable(self):
        return False

    def seek(self, *_):
        raise io.UnsupportedOperation("seek")

    def tell(self):
        raise io.UnsupportedOperation("tell")


def text(value):
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, np.floating):
        value = np.float32(value) if value.dtype == "f2" else value
        return np.format_float_positional(value, trim="0") if np.isfinite(value) else str(value).replace("nan", "NaN")
    return str(value)


def elements(x):
    """In row-major order."""
    return [text(value) for value in x.ravel(order="C")]


def values(dtype, count):
    """A few of every sort, the extremes among them."""
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return ((np.arange(count) - 3) / 8).astype(dtype)
    if dtype.kind == "b":
        return np.arange(count) % 3 == 0
    x = (np.arange(count) % 5).astype(dtype)
    x[0], x[-1] = np.iinfo(dtype).min, np.iinfo(dtype).max
    return x


def saved(x, version=(1, 0)):
    file = io.BytesIO()
    np.lib.format.write_array(file, x, version=version)
    return file.getvalue()


def npy(name, x, version=(1, 0)):
    exact = x.dtype.kind in "fb" or x.size == 0 or all(int(v) == int(float(v)) <= 2**53 for v in x.ravel())
    ours = version == (1, 0) and x.dtype.str[0] != ">" and x.dtype.str[1:] != "f2" and x.flags.c_contiguous
    return {
        "name": name,
        "kind": "npy",
        "file": saved(x, version).hex(),
        "type": x.dtype.str[1:],
        "shape": list(x.shape),
        "elements": elements(x),
        "exact": exact and not (x.dtype.kind == "i" and x.size and int(x.min()) < -(2**53)),
        "ours": bool(ours),
    }


TYPES = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"]


def arrays():
    for kind in TYPES:
        for order in "<" if np.dtype(kind).itemsize == 1 else "<>":
            dtype = np.dtype(order + kind)
            x = values(dtype, 6).astype(dtype).reshape(2, 3)
            yield npy(f"{order}{kind} row-major", x)
            yield npy(f"{order}{kind} column-major", np.asfortranarray(x))
    for shape in [(), (1,), (7,), (0,), (0, 3), (2, 0, 4), (1, 1, 1, 1), (2, 3, 4), (3, 1, 2, 2)]:
        x = np.arange(np.prod(shape, dtype=int), dtype="<f4").reshape(shape)
        yield npy(f"shape {shape}", x)
        yield npy(f"shape {shape} column-major", np.asfortranarray(x))
    # Longer than a chunk of the reader.
    yield npy("long", np.arange(1100, dtype="<f8") / 4)
    for version in [(2, 0), (3, 0)]:
        yield npy(f"version {version[0]}", np.arange(3, dtype="<i4"), version)
    for kind in ["f2", "f4", "f8"]:
        yield npy(f"{kind} specials", np.array([np.nan, np.inf, -np.inf, -0.0, np.finfo(kind).tiny], dtype=kind))


def archives():
    held = {
        "x": np.arange(6, dtype="<f4").reshape(2, 3) / 8,
        "labels": np.array([3, -1, 2**53 + 1]),
        "folder/größe": np.array(2.5),
        "none": np.zeros((0, 4), dtype="<f8"),
        "long": np.tile(np.arange(50, dtype="u1"), 10),
    }
    writers = {"savez": np.savez, "savez_compressed": np.savez_compressed}
    for name, save in writers.items():
        file = io.BytesIO()
        save(file, **held)
        yield name, file.getvalue(), held
    stream = Stream()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, x in held.items():
            archive.writestr(f"{name}.npy", saved(x))
        archive.writestr("readme.txt", "not an array")
        archive.comment = b"written in one go"
    yield "streamed", stream.getvalue(), held


def refused():
    yield "complex", np.zeros(2, dtype="<c8")
    yield "text", np.array(["a", "bc"])
    yield "bytes", np.array([b"a", b"bc"])
    yield "date", np.array(["2024-01-01"], dtype="datetime64[D]")
    yield "fields", np.zeros(2, dtype=[("a", "<f4"), ("b", "<i4")])
    yield "objects", np.array([None])


cases = list(arrays())
for name, file, held in archives():
    described = {k: {"type": x.dtype.str[1:], "shape": list(x.shape), "elements": elements(x)} for k, x in held.items()}
    cases.append({"name": name, "kind": "npz", "file": file.hex(), "arrays": described})
cases += [{"name": name, "kind": "refused", "file": saved(x).hex()} for name, x in refused()]
write("npy_numpy.json", {"numpy": np.__version__}, cases)
