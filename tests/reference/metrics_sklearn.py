"""Metrics, from scikit-learn -> metrics_sklearn.json.

Run: python metrics_sklearn.py      Made with scikit-learn 1.9.1, numpy 2.4.6, Python 3.11.

"prediction" is what a network gives: for config.task "multiclass" one row of
probabilities per sample (the class is the largest; no ties), for "binary" one
probability (class 1 above config.threshold; none is equal to it), for
"regression" the values. Class targets are class numbers as floats.

config.average: "binary" (of class 1), "micro", "macro", "weighted" or null, per class.
config.labels: "all", every class 0..classes counts in an average, or "present",
scikit-learn's default, only those in the targets or the predictions; a per-class
list and the confusion matrix always have every class. 0/0 is 0 (zero_division=0).
A confusion matrix has true classes as rows and adds up the sample weights.
R2 of a constant target is 1 if met exactly, else 0 (scikit-learn's force_finite).
config.multioutput "uniform_average": the mean over outputs; "raw_values": each.
"""
import warnings

import numpy as np
import sklearn
from sklearn import metrics

from common import rng, tensor, write

warnings.simplefilter("error")
CASES = []
SCORES = {"Precision": metrics.precision_score, "Recall": metrics.recall_score, "F1": metrics.f1_score}


def record(name, kind, config, prediction, target, w, value):
    value = np.asarray(value, dtype=float).tolist()
    CASES.append({"name": f"{kind} {name}", "kind": kind, "config": config, "prediction": tensor(prediction),
                  "target": tensor(target), "sample_weights": tensor(w), "value": value})


def classification(name, task, classes, prediction, target):
    prediction, target = np.asarray(prediction, dtype=float), np.asarray(target)
    base = {"task": task, "classes": classes}
    if task == "binary":
        base["threshold"] = 0.5
        got = (prediction.ravel() > 0.5).astype(int)
    else:
        got = prediction.argmax(-1)
    n = len(target)
    every = list(range(classes))
    for w in [None, rng("weights " + name).uniform(0.2, 3, n).round(3)]:
        tag = name + ("" if w is None else " weighted")

        def add(kind, value, **extra):
            label = tag + "".join(f" {k}={v}" for k, v in extra.items())
            record(label, kind, base | extra, prediction, target, w, value)

        add("Accuracy", metrics.accuracy_score(target, got, sample_weight=w))
        add("ConfusionMatrix", metrics.confusion_matrix(target, got, labels=every, sample_weight=w))
        for kind, score in SCORES.items():
            if task == "binary":
                add(kind, score(target, got, labels=every, average="binary", sample_weight=w, zero_division=0), average="binary")
            for average in ["micro", "macro", "weighted", None]:
                add(kind, score(target, got, labels=every, average=average, sample_weight=w, zero_division=0), average=average, labels="all")
            if set(target) | set(got) != set(every):
                add(kind, score(target, got, average="macro", sample_weight=w, zero_division=0), average="macro", labels="present")


def rows(name, n, classes, never=()):
    """Random probability rows in thousandths; the classes in `never` are never largest."""
    p = rng(name).dirichlet(np.ones(classes), n)
    p[:, list(never)] *= 0.001
    p = (p / p.sum(1, keepdims=True)).round(3)
    p[:, 0] = (1 - p[:, 1:].sum(1)).round(3)
    top = np.sort(p, 1)
    assert (top[:, -1] > top[:, -2]).all(), "a tie"
    return p


def regression(name, prediction, target):
    prediction, target = np.asarray(prediction, dtype=float), np.asarray(target, dtype=float)
    for w in [None, rng("weights " + name).uniform(0.2, 3, len(target)).round(3)]:
        for output in ["uniform_average"] + (["raw_values"] if target.ndim > 1 and target.shape[1] > 1 else []):
            for kind, score in [("MeanSquaredError", metrics.mean_squared_error),
                                ("MeanAbsoluteError", metrics.mean_absolute_error), ("R2", metrics.r2_score)]:
                label = f"{name}{'' if w is None else ' weighted'} {output}"
                record(label, kind, {"task": "regression", "multioutput": output}, prediction, target, w,
                       score(target, prediction, sample_weight=w, multioutput=output))


r = rng("metrics")
classification("3 classes", "multiclass", 3, rows("3", 13, 3), r.integers(0, 3, 13))
classification("4 classes, 1 never predicted", "multiclass", 4, rows("4a", 11, 4, [1]), [0, 1, 2, 3, 1, 0, 2, 2, 3, 1, 0])
classification("4 classes, 2 not in the targets", "multiclass", 4, rows("4b", 11, 4), [0, 1, 3, 3, 1, 0, 1, 1, 3, 1, 0])
classification("5 classes, 0 and 4 absent", "multiclass", 5, rows("5", 9, 5, [0, 4]), [1, 2, 3, 1, 1, 2, 3, 3, 2])
classification("one sample", "multiclass", 3, [[0.2, 0.7, 0.1]], [1])
classification("all right, a single class", "multiclass", 3, rows("6", 5, 3, [0, 1]), [2] * 5)
classification("all wrong", "multiclass", 3, rows("7", 5, 3, [0]), [0] * 5)
p = r.uniform(size=12).round(3)
assert (p != 0.5).all()
classification("binary", "binary", 2, p, r.integers(0, 2, 12))
classification("binary column", "binary", 2, p[:, None], r.integers(0, 2, 12))
classification("binary near the threshold", "binary", 2, [0.5 + 1e-12, 0.5 - 1e-12, 0.0, 1.0], [1, 0, 0, 0])
classification("binary none predicted", "binary", 2, [0.1, 0.3, 0.2, 0.4], [1, 0, 0, 1])
classification("binary no positives", "binary", 2, [0.1, 0.7, 0.2, 0.4], [0, 0, 0, 0])
classification("binary only negatives", "binary", 2, [0.1, 0.3, 0.2, 0.4], [0, 0, 0, 0])
classification("binary only positives", "binary", 2, [0.9, 0.8, 0.6], [1, 1, 1])

for shape in [(9,), (7, 1), (7, 3)]:
    y = r.normal(size=shape).round(4)
    regression("x".join(map(str, shape)), (y + 0.5 * r.normal(size=shape)).round(4), y)
y = r.normal(size=7).round(4)
regression("worse than the mean", -2 * y, y)
regression("exact", y, y)
regression("constant target met", [2.0] * 4, [2.0] * 4)
regression("constant target missed", [2.0, 2.5, 1.0, 2.0], [2.0] * 4)
regression("one constant output of 3", [[1.0, 2.0, 0.5], [2.0, 2.5, 0.1], [4.0, 2.0, 0.2], [3.5, 2.0, 0.9]],
           [[1.5, 2.0, 0.4], [2.0, 2.0, 0.2], [3.0, 2.0, 0.1], [4.0, 2.0, 1.0]])

write("metrics_sklearn.json", {"sklearn": sklearn.__version__}, CASES)
