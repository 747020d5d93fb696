"""Images shifted, turned, zoomed and changed in contrast -> augmentation_torch.json.

Run: python augmentation_torch.py      Made with torch 2.15.0, scipy 1.17.1, numpy 2.4.6, Python 3.11.

Images are (batch, height, width, channels). Shift, rotation and zoom are PyTorch's affine_grid and grid_sample in
bilinear mode with align_corners=False; the result is asserted to agree with scipy.ndimage (shift, rotate, affine_transform
with order 1). Fill modes and their names there:
  constant  padding_mode "zeros" of the image less the constant, which is added afterwards; "grid-constant"
  nearest   "border"; "nearest"
  reflect   "reflection"; "reflect"
config.factor is that of Keras's layers: shares of the height and width (below, to the right), of a full turn
(counter-clockwise), what is shown beyond the picture (above 0 zooms out). Contrast is Keras's formula in NumPy:
mean + (1 + factor) (x - mean), the mean being that of a channel over one image, held to 0..1.
"""
import numpy as np
import scipy.ndimage as ndi
import torch
import torch.nn.functional as F

from common import rng, tensor, write

torch.set_num_threads(1)
CASES = []
TORCH_FILL = {"constant": "zeros", "nearest": "border", "reflect": "reflection"}
SCIPY_FILL = {"constant": "grid-constant", "nearest": "nearest", "reflect": "reflect"}


def warp(x, theta, fill, value):
    """theta in normalised coordinates (x, y), each from -1 to 1."""
    image = torch.tensor(x - value if fill == "constant" else x).permute(0, 3, 1, 2)
    theta = torch.tensor(np.asarray(theta, dtype=float)).expand(len(x), 2, 3)
    grid = F.affine_grid(theta, image.shape, align_corners=False)
    y = F.grid_sample(image, grid, mode="bilinear", padding_mode=TORCH_FILL[fill], align_corners=False)
    y = y.permute(0, 2, 3, 1).numpy()
    return y + value if fill == "constant" else y


def each(x, f):
    """f of every channel of every image."""
    return np.stack([np.stack([f(x[n, :, :, c]) for c in range(x.shape[3])], -1) for n in range(len(x))])


def case(name, kind, config, x, y):
    CASES.append({"name": name, "kind": kind, "config": config, "input": tensor(x), "output": tensor(y)})


def agree(ours, theirs, name):
    assert np.abs(ours - theirs).max() < 1e-9, (name, np.abs(ours - theirs).max())


SHAPES = [(2, 8, 8, 1), (1, 7, 5, 3), (1, 4, 9, 2), (1, 1, 6, 1)]
FILLS = [("constant", 0.0), ("constant", 0.7), ("nearest", 0.0), ("reflect", 0.0)]

for shape in SHAPES:
    n, h, w, c = shape
    for fill, value in FILLS:
        config = {"fill": fill, "value": value}
        mode = {"mode": SCIPY_FILL[fill], "cval": value, "order": 1}
        tag = f"{h}x{w}x{c} {fill} {value}"

        for dy, dx in [(0.0, 0.0), (0.25, -0.4), (-1.0, 0.13), (2 / h if h > 1 else 0.5, -1 / w)]:
            name = f"translation {dy:.3f} {dx:.3f} {tag}"
            x = rng(name).uniform(size=shape)
            y = warp(x, [[1, 0, -2 * dx], [0, 1, -2 * dy]], fill, value)
            agree(y, each(x, lambda i: ndi.shift(i, (dy * h, dx * w), **mode)), name)
            case(name, "RandomTranslation", {**config, "factor": [dy, dx]}, x, y)

        for turn in [0.0, 0.03, -0.11, 0.25, 0.5]:
            name = f"rotation {turn} {tag}"
            x = rng(name).uniform(size=shape)
            cos, sin = np.cos(2 * np.pi * turn), np.sin(2 * np.pi * turn)
            y = warp(x, [[cos, -sin * h / w, 0], [sin * w / h, cos, 0]], fill, value)
            agree(y, each(x, lambda i: ndi.rotate(i, 360 * turn, reshape=False, **mode)), name)
            case(name, "RandomRotation", {**config, "factor": [turn]}, x, y)

        for zy, zx in [(0.0, 0.0), (0.3, 0.3), (-0.45, -0.45), (1.0, -0.6)]:
            name = f"zoom {zy} {zx} {tag}"
            x = rng(name).uniform(size=shape)
            y = warp(x, [[1 + zx, 0, 0], [0, 1 + zy, 0]], fill, value)
            centre = np.array([(h - 1) / 2, (w - 1) / 2])
            scale = np.array([1 + zy, 1 + zx])
            agree(y, each(x, lambda i: ndi.affine_transform(i, scale, offset=centre - scale * centre, **mode)), name)
            case(name, "RandomZoom", {**config, "factor": [zy, zx]}, x, y)

    for factor in [0.0, 0.4, -0.4, 1.0, -1.0]:
        name = f"contrast {factor} {h}x{w}x{c}"
        x = rng(name).uniform(size=shape)
        mean = x.mean(axis=(1, 2), keepdims=True)
        y = np.clip(mean + (1 + factor) * (x - mean), 0, 1)
        case(name, "RandomContrast", {"factor": [factor]}, x, y)

write("augmentation_torch.json", {"torch": torch.__version__.split("+")[0]}, CASES)
