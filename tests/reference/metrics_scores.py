"""More metrics, from scikit-learn and Keras -> metrics_scores.json.

Run: python metrics_scores.py      Made with scikit-learn 1.9.1, Keras 3.15.1, numpy 2.4.6, Python 3.11.

Cases are those of metrics_sklearn.py: prediction, target, weights and value. null in a value is NaN: scikit-learn has
no number there, and warns. config.list: the value is a list that the metric gives beside its result. config.bins: the
scores are counted in bins; the value is scikit-learn's of scores rounded up to the end of their bin, or Keras's.
One-vs-one with weights, calibration errors with weights, and the maximum error are by hand, from scikit-learn's
pieces; a weight of 2 is a sample that comes twice where scikit-learn takes no weights.

"reports": texts of classification_report.
"""
import itertools
import os
import warnings

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
import sklearn
from sklearn import metrics
from sklearn.calibration import calibration_curve

from common import rng, tensor, write

warnings.simplefilter("ignore")
CASES = []


def plain(value):
    value = np.asarray(value, dtype=float).ravel().tolist()
    return [None if v != v else v for v in value]


def record(kind, name, config, prediction, target, w, value):
    CASES.append({"name": f"{kind} {name}", "kind": kind, "config": config, "prediction": tensor(prediction),
                  "target": tensor(target), "sample_weights": tensor(w), "value": plain(value)})


def weighings(name, n, whole=False):
    """Without weights, and with some, of which one is 0."""
    w = rng("weights " + name).uniform(0.2, 3, n).round(2)
    if whole:
        w = w.round() + 1.0
    if n > 1:
        w[n // 2] = 0.0
    return [(name, None), (name + " weighted", w)]


def decisions(name, classes, prediction, target):
    """Metrics of which class is predicted."""
    prediction, target = np.asarray(prediction, dtype=float), np.asarray(target)
    multi = prediction.ndim == 2
    got = prediction.argmax(-1) if multi else (prediction > 0.5).astype(int)
    every = list(range(classes))
    for tag, w in weighings(name, len(target)):
        def add(kind, value, **extra):
            label = tag + "".join(f" {k}={v}" for k, v in extra.items())
            config = {"task": "multiclass" if multi else "binary"} | extra
            record(kind, label, config, prediction, target, w, value)

        for beta in [0.0, 0.5, 2.0]:
            for average in ["micro", "macro", "weighted", None] if multi else ["binary"]:
                value = metrics.fbeta_score(target, got, beta=beta, labels=every, average=average, sample_weight=w,
                                            zero_division=0)
                add("FBeta", value, beta=beta, average=average, labels="all")
        for adjusted in [False, True]:
            value = metrics.balanced_accuracy_score(target, got, sample_weight=w, adjusted=adjusted)
            # Of one class alone, and never right, it is -1 / 0, which JSON does not have.
            if np.isfinite(value) or np.isnan(value):
                add("BalancedAccuracy", value, adjusted=adjusted)
        add("MatthewsCorrelation", metrics.matthews_corrcoef(target, got, sample_weight=w))
        for weights in [None, "linear", "quadratic"]:
            value = metrics.cohen_kappa_score(target, got, labels=every, weights=weights, sample_weight=w)
            add("CohenKappa", value, disagreement=weights)


def top_k(name, prediction, target, ks):
    """scikit-learn prefers the last of equal scores: with the columns reversed, the first."""
    prediction, target = np.asarray(prediction, dtype=float), np.asarray(target)
    classes = prediction.shape[1]
    for tag, w in weighings(name, len(target)):
        for k in ks:
            value = metrics.top_k_accuracy_score(classes - 1 - target, prediction[:, ::-1], k=k, sample_weight=w,
                                                 labels=range(classes))
            record("TopKAccuracy", f"{tag} k={k}", {"task": "multiclass", "k": k}, prediction, target, w, value)


def probabilities(name, classes, prediction, target):
    """Log loss and Brier score."""
    prediction, target = np.asarray(prediction, dtype=float), np.asarray(target)
    config = {"task": "multiclass" if prediction.ndim == 2 else "binary"}
    labels = list(range(classes))
    for tag, w in weighings(name, len(target)):
        record("LogLoss", tag, config, prediction, target, w,
               metrics.log_loss(target, prediction, sample_weight=w, labels=labels))
        brier = {"labels": labels} if prediction.ndim == 2 else {"pos_label": 1}
        record("BrierScore", tag, config, prediction, target, w,
               metrics.brier_score_loss(target, prediction, sample_weight=w, **brier))


def calibration(name, prediction, target, bins):
    prediction, target = np.asarray(prediction, dtype=float), np.asarray(target)
    multi = prediction.ndim == 2
    p = prediction.max(1) if multi else prediction
    came = (prediction.argmax(1) == target).astype(int) if multi else target
    task = "multiclass" if multi else "binary"
    for tag, w in weighings(name, len(target), whole=True):
        times = np.ones(len(p), int) if w is None else w.astype(int)
        p_all, came_all = np.repeat(p, times), np.repeat(came, times)
        for number in bins:
            frequency, mean = calibration_curve(came_all, p_all, n_bins=number)
            weight = np.bincount(np.searchsorted(np.linspace(0, 1, number + 1)[1:-1], p_all), minlength=number)
            weight = weight[weight > 0]
            gap = np.abs(frequency - mean)
            config = {"task": task, "bins": number}
            record("CalibrationError", f"{tag} {number} bins", config, prediction, target, w, (weight * gap).sum() / weight.sum())
            record("CalibrationError", f"{tag} {number} bins maximum", config | {"maximum": True}, prediction, target, w, gap.max())
            record("CalibrationError", f"{tag} {number} bins curve", config | {"list": True}, prediction, target, w,
                   [mean, frequency, weight])


def roc_auc(target, score, w):
    return metrics.roc_auc_score(target, score, sample_weight=w)


def one_vs_one(target, prediction, w, average):
    """Hand and Till, as scikit-learn has it, which takes no weights."""
    w = np.ones(len(target)) if w is None else w
    scores, shares = [], []
    for a, b in itertools.combinations(np.unique(target[w > 0]), 2):
        two = (target == a) | (target == b)
        areas = [roc_auc(target[two] == one, prediction[two, one], w[two]) for one in (a, b)]
        scores.append(np.mean(areas))
        shares.append(w[two].sum())
    return np.average(scores, weights=shares if average == "weighted" else None)


def ranking_binary(name, score, target, bins=()):
    score, target = np.asarray(score, dtype=float), np.asarray(target)
    for tag, w in weighings(name, len(target)):
        def add(kind, label, value, **extra):
            record(kind, tag + label, {"task": "binary"} | extra, score, target, w, value)

        keep = np.ones(len(target), bool) if w is None else w > 0
        add("RocAuc", "", roc_auc(target[keep], score[keep], None if w is None else w[keep]))
        add("AveragePrecision", "", metrics.average_precision_score(target, score, sample_weight=w))
        fpr, tpr, thresholds = metrics.roc_curve(target, score, sample_weight=w, drop_intermediate=False)
        add("RocAuc", " curve", np.concatenate([fpr, tpr, thresholds[1:]]), list="roc")
        precision, recall, thresholds = metrics.precision_recall_curve(target, score, sample_weight=w)
        add("AveragePrecision", " curve", np.concatenate([precision, recall, thresholds]), list="precision_recall")
        for number in bins:
            rounded = np.searchsorted(np.linspace(0, 1, number + 1)[1:-1], score)
            add("RocAuc", f" {number} bins", roc_auc(target, rounded, w), bins=number)
            value = metrics.average_precision_score(target, rounded, sample_weight=w)
            add("AveragePrecision", f" {number} bins", value, bins=number)
            area = keras.metrics.AUC(num_thresholds=number + 1, dtype="float64")
            area.update_state(target, score, sample_weight=w)
            add("RocAuc", f" {number} bins of Keras", float(area.result()), bins=number, tolerance=1e-6)


def ranking(name, prediction, target):
    prediction, target = np.asarray(prediction, dtype=float), np.asarray(target)
    classes = prediction.shape[1]
    one_hot = np.eye(classes)[target]
    for tag, w in weighings(name, len(target)):
        for average in ["macro", "micro", "weighted", None]:
            label = f"{tag} {average}"
            # Macro is the default.
            config = {"task": "multiclass"} | ({} if average == "macro" else {"average": average})
            record("RocAuc", label, config, prediction, target, w,
                   metrics.roc_auc_score(target, prediction, labels=range(classes), multi_class="ovr",
                                         average=average, sample_weight=w))
            record("AveragePrecision", label, config, prediction, target, w,
                   metrics.average_precision_score(one_hot, prediction, average=average, sample_weight=w))
        for average in ["macro", "weighted"]:
            value = one_vs_one(target, prediction, w, average)
            if w is None:
                theirs = metrics.roc_auc_score(target, prediction, labels=range(classes), multi_class="ovo",
                                               average=average)
                assert abs(theirs - value) < 1e-14
            config = {"task": "multiclass", "average": average, "one_vs_one": True}
            record("RocAuc", f"{tag} {average} one_vs_one", config, prediction, target, w, value)


def regression(name, prediction, target):
    prediction, target = np.asarray(prediction, dtype=float), np.asarray(target, dtype=float)
    wide = target.ndim > 1 and target.shape[1] > 1
    for tag, w in weighings(name, len(target)):
        for output in ["uniform_average"] + (["raw_values"] if wide else []):
            for kind, score in [("RootMeanSquaredError", metrics.root_mean_squared_error),
                                ("MeanAbsolutePercentageError", metrics.mean_absolute_percentage_error),
                                ("ExplainedVariance", metrics.explained_variance_score)]:
                record(kind, f"{tag} {output}", {"task": "regression", "multioutput": output}, prediction, target, w,
                       score(target, prediction, sample_weight=w, multioutput=output))
            # scikit-learn's has one output, and no weights.
            keep = np.ones(len(target), bool) if w is None else w > 0
            columns = [x.reshape(len(x), -1)[keep].T for x in (target, prediction)]
            largest = [metrics.max_error(t, y) for t, y in zip(*columns)]
            record("MaxError", f"{tag} {output}", {"task": "regression", "multioutput": output}, prediction, target, w,
                   np.mean(largest) if output == "uniform_average" else largest)


def rows(name, n, classes):
    """Random probability rows in thousandths."""
    p = rng(name).dirichlet(np.ones(classes), n).round(3)
    p[:, 0] = (1 - p[:, 1:].sum(1)).round(3)
    return p


r = rng("metrics scores")
three, of_three = rows("s3", 12, 3), r.integers(0, 3, 12)
decisions("3 classes", 3, three, of_three)
decisions("4 classes, 2 not in the targets", 4, rows("s4", 10, 4), [0, 1, 3, 3, 1, 0, 1, 1, 3, 1])
p = r.uniform(size=12).round(3)
two = r.integers(0, 2, 12)
decisions("binary", 2, p, two)
decisions("binary one class right", 2, [0.1, 0.2, 0.3], [0, 0, 0])
decisions("binary one class predicted", 2, [0.1, 0.2, 0.3], [0, 1, 0])
decisions("binary all wrong", 2, [0.9, 0.2, 0.8], [0, 1, 0])

top_k("3 classes", three, of_three, [1, 2, 3])
top_k("5 classes with ties", r.integers(0, 3, (14, 5)) / 4, r.integers(0, 5, 14), [1, 2, 3, 4])
for tag, w in weighings("7x3 uniform", 7):
    many, answers = r.uniform(size=(7, 3)).round(3), r.integers(0, 2, (7, 3))
    each = None if w is None else np.repeat(w, 3)
    value = metrics.accuracy_score(answers.ravel(), (many > 0.5).ravel(), sample_weight=each)
    record("BinaryAccuracy", tag, {"task": "labels"}, many, answers, w, value)

probabilities("3 classes", 3, three, of_three)
probabilities("3 classes, sure and wrong", 3, [[1, 0, 0], [0, 1, 0], [0.5, 0.5, 0]], [1, 1, 2])
probabilities("2 classes", 2, rows("s2", 9, 2), r.integers(0, 2, 9))
probabilities("binary", 2, p, two)
probabilities("binary at the ends", 2, [0.0, 1.0, 0.0, 1.0, 1e-20, 0.5], [0, 1, 1, 0, 1, 1])
calibration("3 classes", three, of_three, [15, 4])
calibration("binary", p, two, [5])
calibration("binary on the edges", [0.0, 0.1, 0.2, 0.3, 0.6, 0.7, 0.8, 0.9, 1.0], [0, 1, 0, 0, 1, 0, 1, 1, 1], [10, 1])

ranking("3 classes", three, of_three)
ranking("3 classes with ties", r.multinomial(5, [0.4, 0.3, 0.3], 12) / 5, of_three)
ranking("4 classes, 2 not in the targets", rows("s5", 10, 4), [0, 1, 3, 3, 1, 0, 1, 1, 3, 1])
ranking_binary("binary", p, two, [199, 4])
ranking_binary("binary with ties", p.round(1), two)
ranking_binary("binary logits", (10 * p - 4).round(1), two)
ranking_binary("binary all the same", [0.5] * 4, [0, 1, 1, 0])
ranking_binary("binary right", [0.1, 0.2, 0.8, 0.7], [0, 0, 1, 1])
ranking_binary("binary wrong", [0.8, 0.9, 0.2, 0.1], [0, 0, 1, 1])
ranking_binary("binary no positives", [0.8, 0.9, 0.2], [0, 0, 0])
ranking_binary("binary only positives", [0.8, 0.9, 0.2], [1, 1, 1])

for shape in [(9,), (7, 3)]:
    y = r.normal(size=shape).round(3)
    regression("x".join(map(str, shape)), (y + 0.5 * r.normal(size=shape)).round(3), y)
y = r.normal(size=7).round(2)
regression("biased", y + 4, y)
regression("far from zero", y * 3 + 1e3, y * 2 + 1e3)
regression("exact", y, y)
regression("constant target met", [2.0] * 4, [2.0] * 4)
regression("constant target missed", [2.0, 2.5, 1.0, 2.0], [2.0] * 4)
regression("a target of zero", [1e-3, 2.5, 1.0], [0.0, 2.0, -1.0])
regression("one sample", [1.0], [2.0])

reports = []
for names, prediction, target, digits in [
    (["cat", "dog", "a name longer than others"], three, of_three, 2),
    (["no", "yes"], np.stack([1 - p, p], 1), two, 4),
    (["a", "b", "c", "d"], rows("s6", 8, 4), r.integers(0, 4, 8), 3),
]:
    text = metrics.classification_report(target, prediction.argmax(1), labels=range(len(names)), target_names=names,
                                         digits=digits, zero_division=0)
    reports.append({"names": names, "prediction": tensor(prediction), "target": tensor(target), "digits": digits,
                    "text": text})
write("metrics_scores.json", {"sklearn": sklearn.__version__, "keras": keras.__version__, "reports": reports}, CASES)
