"""Writes data_sklearn.json: what scikit-learn makes of the cases that tests/data.rs puts to this crate.

    python tests/reference/data_sklearn.py

NaN is written as null. Made with scikit-learn 1.9.1 and numpy 2.4.6.
"""

import json
import math
import warnings
from pathlib import Path

import numpy as np
from sklearn import datasets
from sklearn.impute import SimpleImputer
from sklearn.model_selection import KFold, StratifiedKFold, StratifiedShuffleSplit, train_test_split
from sklearn.preprocessing import LabelEncoder, MinMaxScaler, OneHotEncoder, StandardScaler

nan = math.nan

# Features: plain, with NaN, constant, constant with NaN, large with little spread, all but constant, repeated values.
X = np.array(
    [
        [1.5, 3.0, 7.0, nan, 1e9 + 1, 0.1, 2.0],
        [-2.25, nan, 7.0, -4.0, 1e9 + 2, 0.1, 1.0],
        [0.5, 10.0, 7.0, -4.0, 1e9 + 4, 0.1 + 2e-17, 2.0],
        [8.0, -1.0, 7.0, nan, 1e9 + 8, 0.1, 1.0],
        [3.125, 0.25, 7.0, -4.0, 1e9 + 16, 0.1, nan],
    ]
)
NEW = np.array([[0.0, nan, 9.0, -5.0, 1e9, 0.3, 40.0], [-7.5, 100.0, 7.0, nan, 2e9, -0.1, nan]])


def plain(value):
    """As lists of numbers, with null for NaN."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def scaler(scaler, attributes):
    z = scaler.fit_transform(X)
    new = scaler.transform(NEW)
    case = {"fitted": plain(z), "new": plain(new), "inverse": plain(scaler.inverse_transform(new))}
    return case | {name.strip("_"): plain(getattr(scaler, name)) for name in attributes}


def standard():
    settings = [(mean, std) for mean in (True, False) for std in (True, False)]
    made = lambda mean, std: scaler(
        StandardScaler(with_mean=mean, with_std=std), ["mean_", "var_", "scale_"] if mean and std else []
    )
    return [{"with_mean": mean, "with_std": std} | made(mean, std) for mean, std in settings]


def min_max():
    settings = [((0, 1), False), ((0, 1), True), ((-1, 1), False), ((-2.5, 0.75), True)]
    made = lambda extent, clip: scaler(MinMaxScaler(feature_range=extent, clip=clip), ["data_min_", "data_max_"])
    return [{"feature_range": extent, "clip": clip} | made(extent, clip) for extent, clip in settings]


def imputers():
    settings = [("mean", None), ("median", None), ("most_frequent", None), ("constant", -1.5)]
    cases = []
    for strategy, fill in settings:
        imputer = SimpleImputer(strategy=strategy, fill_value=fill).fit(X)
        cases.append(
            {
                "strategy": strategy,
                "statistics": plain(imputer.statistics_),
                "fitted": plain(imputer.transform(X)),
                "new": plain(imputer.transform(NEW)),
            }
        )
    return cases


def labels():
    text = ["pear", "apple", "Zebra", "apple", "éclair", "pear", "banana split"]
    encoder = LabelEncoder().fit(text)
    return {"labels": text, "classes": encoder.classes_.tolist(), "numbers": encoder.transform(text).tolist()}


def one_hot():
    rows = [["f", "S"], ["m", "C"], ["m", "Q"], ["f", "S"]]
    new = [["m", "S"], ["x", "Q"]]
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(rows)
    return {
        "rows": rows,
        "new": new,
        "fitted": encoder.transform(rows).tolist(),
        "transformed": encoder.transform(new).tolist(),
        "names": encoder.get_feature_names_out(["sex", "port"]).tolist(),
    }


LABELS = {
    "sorted": [0] * 50 + [1] * 30 + [2] * 20,
    "mixed": [(7 * i * i + 3 * i) % 11 % 4 for i in range(97)],
    "late first": [3, 3, 1, 0, 1, 3, 0, 0, 1, 3, 3, 0, 1, 1, 2, 2, 2],
    "small class": [0] * 11 + [1] * 9 + [2] * 2,
}


def counts(labels, rows):
    return np.bincount(np.asarray(labels)[rows], minlength=max(labels) + 1).tolist()


def k_folds():
    return [
        {"samples": n, "n_splits": k, "tests": [test.tolist() for _, test in KFold(k).split(np.zeros(n))]}
        for n, k in [(2, 2), (7, 3), (10, 5), (23, 4), (100, 7)]
    ]


def stratified_k_folds():
    cases = []
    for name, labels in LABELS.items():
        for k in (2, 3, 5, 7):
            if k > max(np.bincount(labels)):
                continue
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                tests = [test for _, test in StratifiedKFold(k).split(np.zeros(len(labels)), labels)]
            cases.append(
                {
                    "name": name,
                    "labels": labels,
                    "n_splits": k,
                    "tests": [test.tolist() for test in tests],
                    "counts": [counts(labels, test) for test in tests],
                    "warned": len(caught) > 0,
                }
            )
    return cases


def stratified_splits():
    """Class counts of either side, for the cases in which they are the same whatever the seed (no ties)."""
    cases = []
    for name, labels in LABELS.items():
        for fraction in (0.2, 0.25, 0.33, 0.4, 0.5, 0.61):
            sides = set()
            for seed in range(25):
                split = StratifiedShuffleSplit(1, test_size=fraction, random_state=seed)
                try:
                    train, test = next(split.split(np.zeros(len(labels)), labels))
                except ValueError:
                    break
                sides.add((tuple(counts(labels, train)), tuple(counts(labels, test))))
            error = not sides
            if len(sides) > 1:
                continue
            train, test = ([], []) if error else map(list, sides.pop())
            cases.append(
                {"name": name, "labels": labels, "fraction": fraction, "error": error, "train": train, "test": test}
            )
    return cases


def sizes():
    cases = []
    for n in (2, 3, 5, 10, 17, 150, 1797):
        for fraction in (0.05, 0.1, 0.2, 0.25, 0.3, 1 / 3, 0.5, 0.9, 0.99):
            try:
                train, test = train_test_split(np.arange(n), test_size=fraction)
                cases.append({"samples": n, "fraction": fraction, "train": len(train), "test": len(test)})
            except ValueError:
                cases.append({"samples": n, "fraction": fraction, "train": 0, "test": 0})
    return cases


def bundled():
    """Of each bundled set the sum of every feature and the class name of every row."""
    loaders = {
        "iris.csv": datasets.load_iris,
        "wine.csv": datasets.load_wine,
        "breast_cancer.csv": datasets.load_breast_cancer,
        "digits.csv": datasets.load_digits,
    }
    cases = []
    for name, load in loaders.items():
        bunch = load()
        classes = [str(bunch.target_names[label]) for label in bunch.target]
        cases.append({"name": name, "sums": bunch.data.sum(axis=0).tolist(), "classes": " ".join(classes)})
    return cases


def main():
    reference = {
        "x": plain(X),
        "new": plain(NEW),
        "standard": standard(),
        "min_max": min_max(),
        "imputers": imputers(),
        "labels": labels(),
        "one_hot": one_hot(),
        "k_folds": k_folds(),
        "stratified_k_folds": stratified_k_folds(),
        "stratified_splits": stratified_splits(),
        "sizes": sizes(),
        "bundled": bundled(),
    }
    path = Path(__file__).with_suffix(".json")
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in reference.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
