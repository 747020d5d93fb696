"""Helpers shared by the scripts that write the reference values."""
import json
import pathlib
import zlib

import numpy as np

HERE = pathlib.Path(__file__).parent


def rng(name):
    """A generator seeded by the case's name: adding a case changes no other."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def tensor(x):
    """{"shape", "data" (flat, row-major)} in float64; None stays null."""
    if x is None:
        return None
    if hasattr(x, "detach"):
        x = x.detach().cpu().numpy()
    x = np.asarray(x, dtype=np.float64)
    return {"shape": list(x.shape), "data": x.ravel().tolist()}


def tensors(xs):
    """The same for a list or a dict of tensors."""
    if isinstance(xs, dict):
        return {k: tensor(v) for k, v in xs.items()}
    return [tensor(v) for v in xs]


def write(file, head, cases):
    """Writes {**head, "cases": [...]} with one case per line."""
    names = [c["name"] for c in cases]
    assert len(set(names)) == len(names), "two cases of one name"

    def line(x):
        return json.dumps(x, separators=(",", ":"), allow_nan=False)

    rows = ["%s:%s" % (line(k), line(v)) for k, v in head.items()]
    rows.append('"cases":[\n%s\n]' % ",\n".join(line(c) for c in cases))
    (HERE / file).write_text("{\n" + ",\n".join(rows) + "\n}\n")
    kinds = {}
    for c in cases:
        kinds[c["kind"]] = kinds.get(c["kind"], 0) + 1
    print(f"{file}: {len(cases)} cases", kinds)
