"""Changes that River's drift detectors tell of on known streams -> drift_river.json.

Run: python drift_river.py      Made with river 0.26.1, Python 3.11.

"streams" has whole numbers by name, to be multiplied with "unit". "docs" is the stream of River's documentation, of which
it says that PageHinkley finds the change at 1006 and ADWIN at 1023. In a case, "changes" are the indices at which the
detector tells of one: for "PageHinkley" each time with what it does then, which is to begin anew; for "Adwin", which
begins anew in River's class, as well those of the window inside it ("kept"), which goes on with the new part as in the
paper; "windows" are [index, width, mean, variance] of that at every 97th number.
"""
import random

from river import drift
from river._river_rust.drift import AdaptiveWindowing

from common import write

UNIT = 1 / 64
CASES = []


def bits(rng, parts):
    """Ones with a chance, for each (count, chance)."""
    return [64 * int(rng.random() < chance) for count, chance in parts for _ in range(count)]


def streams():
    rng = random.Random(12345)
    docs = [64 * x for x in rng.choices([0, 1], k=1000) + rng.choices(range(4, 8), k=1000)]
    rng = random.Random(7)
    gauss = [round(64 * rng.gauss(mean, 0.5)) for mean in (0.0, 1.0, 1.0, -1.0) for _ in range(500)]
    ramp = [64 * int(rng.random() < 0.1 + 0.3 * min(max(t - 1000, 0), 600) / 600) for t in range(2500)]
    return {
        "docs": docs,
        "errors": bits(rng, [(800, 0.1), (800, 0.45), (800, 0.1), (400, 0.9)]),
        "stationary": bits(rng, [(3000, 0.3)]),
        "gauss": gauss,
        "ramp": ramp,
        "steps": [64 * (t // 300 % 2) for t in range(1500)],
        "still": [32] * 400 + [40] * 400,
    }


STREAMS = streams()


def page_hinkley(name, stream, **settings):
    changes = {}
    for mode in ("up", "both"):
        detector = drift.PageHinkley(mode=mode, **settings)
        changes[mode] = []
        for at, value in enumerate(STREAMS[stream]):
            detector.update(value * UNIT)
            if detector.drift_detected:
                changes[mode].append(at)
    CASES.append({"kind": "PageHinkley", "name": name, "stream": stream, "settings": settings, "changes": changes})


def adwin(name, stream, **settings):
    detector, window = drift.ADWIN(**settings), AdaptiveWindowing(**settings)
    changes, kept, windows = [], [], []
    for at, value in enumerate(STREAMS[stream]):
        detector.update(value * UNIT)
        if detector.drift_detected:
            changes.append(at)
        if window.update(value * UNIT):
            kept.append(at)
        if at % 97 == 96:
            width = window.get_width()
            windows.append([at, width, window.get_total() / width, window.variance_in_window])
    CASES.append({
        "kind": "Adwin", "name": name, "stream": stream, "settings": settings,
        "changes": changes, "kept": kept, "windows": windows,
    })


for stream in STREAMS:
    page_hinkley(f"page-hinkley {stream}", stream)
    page_hinkley(f"page-hinkley {stream} soon", stream, threshold=8.0, delta=0.02, min_instances=10)
    page_hinkley(f"page-hinkley {stream} forgetful", stream, threshold=4.0, alpha=0.98, min_instances=60)
    adwin(f"adwin {stream}", stream)
    adwin(f"adwin {stream} often", stream, clock=1, delta=0.05)
    adwin(f"adwin {stream} coarse", stream, clock=10, max_buckets=2, min_window_length=20, grace_period=100, delta=0.2)

write("drift_river.json", {"unit": UNIT, "streams": STREAMS}, CASES)
