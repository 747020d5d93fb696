"""Writes preprocessing_sklearn.json: what scikit-learn makes of the cases of tests/preprocessing.rs.

    python tests/reference/preprocessing_sklearn.py

NaN is written as null. Outliers are NumPy's and SciPy's. Made with scikit-learn 1.9.1, SciPy and NumPy 2.4.6.
"""

import csv
import itertools
import json
import math
import warnings
from pathlib import Path

import numpy as np
from scipy import stats
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction import FeatureHasher
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight

HERE = Path(__file__).resolve().parent
# One more than a power of two: so NumPy's quantiles of equal numbers are those numbers, without rounding.
ROWS = 17
nan = math.nan
rng = np.random.default_rng(6)

# Features: normal, with NaN, constant, with a heavy tail, ties, far from zero, zeros with NaN.
X = np.column_stack(
    [
        rng.normal(size=ROWS).round(4),
        rng.normal(2, 3, size=ROWS).round(3),
        np.full(ROWS, 7.0),
        np.exp(2 * rng.normal(size=ROWS)).round(4),
        rng.integers(0, 4, size=ROWS).astype(float),
        1e6 + rng.integers(0, 1000, size=ROWS),
        np.zeros(ROWS),
    ]
)
X[[2, 9], 1] = nan
X[5, 6] = nan
NEW = np.array(
    [
        [0.0, nan, 9.0, 0.001, 2.0, 1e6, 1.0],
        [-7.5, 100.0, 7.0, 1e4, 5.0, 1000500.25, 0.0],
        [X[0, 0], X[0, 1], 7.0, X[0, 3], X[0, 4], X[0, 5], nan],
        [X[:, 0].max(), -0.5, 6.999, 1.0, 1.5, X[:, 5].min(), -2.0],
    ]
)
# Without NaN and zeros, for what refuses them.
WHOLE = np.delete(X, [1, 6], axis=1)
WHOLE_NEW = np.delete(NEW, [1, 6], axis=1)
# Without the feature far from zero: its likelihood differs by less than rounding between most powers.
NEAR = np.delete(X, 5, axis=1)
NEAR_NEW = np.delete(NEW, 5, axis=1)
POSITIVE = np.column_stack([X[:, 3], X[:, 4] + 1])
POSITIVE_NEW = np.column_stack([NEW[:, 3], NEW[:, 4] + 1])
WEIGHTS = rng.uniform(0, 3, size=ROWS).round(3)
WEIGHTS[3] = 0
EMPLOYED = ["unemployed", "below 1 year", "1 to 4 years", "4 to 7 years", "7 years or more"]


def plain(value):
    """As lists of numbers, with null for NaN."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def case(kind, settings, transformer, data="x", inverse=True, fit={}):
    x, new = {
        "x": (X, NEW),
        "whole": (WHOLE, WHOLE_NEW),
        "near": (NEAR, NEAR_NEW),
        "positive": (POSITIVE, POSITIVE_NEW),
    }[data]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        transformer.fit(x, **fit)
        out = {"fitted": transformer.transform(x), "new": transformer.transform(new)}
        if inverse:
            out["inverse"] = transformer.inverse_transform(out["new"])
    made = {name: plain(np.asarray(array, dtype=float)) for name, array in out.items()}
    return {"kind": kind, "data": data, **settings, **made}


def scalers():
    yield case("MaxAbsScaler", {}, MaxAbsScaler())
    for center, scale in itertools.product([True, False], repeat=2):
        settings = {"with_centering": center, "with_scaling": scale, "low": 25, "high": 75, "unit_variance": False}
        yield case("RobustScaler", settings, RobustScaler(with_centering=center, with_scaling=scale))
    for low, high, unit in [(10, 90, False), (25, 75, True), (5, 80, True), (0, 100, False)]:
        settings = {"with_centering": True, "with_scaling": True, "low": low, "high": high, "unit_variance": unit}
        yield case("RobustScaler", settings, RobustScaler(quantile_range=(low, high), unit_variance=unit))
    for mean, std in itertools.product([True, False], repeat=2):
        settings = {"with_mean": mean, "with_std": std}
        scaler = StandardScaler(with_mean=mean, with_std=std)
        made = case("weighted", settings, scaler, fit={"sample_weight": WEIGHTS})
        yield made | ({"mean": scaler.mean_.tolist(), "var": scaler.var_.tolist()} if mean and std else {})


def distributions():
    for count, output in itertools.product([1000, 5, 2], ["uniform", "normal"]):
        settings = {"quantiles": count, "output": output}
        transformer = QuantileTransformer(n_quantiles=count, output_distribution=output, subsample=None)
        yield case("QuantileTransformer", settings, transformer)
    for method, standardize in itertools.product(["yeo-johnson", "box-cox"], [True, False]):
        transformer = PowerTransformer(method=method, standardize=standardize)
        data = "near" if method == "yeo-johnson" else "positive"
        made = case("PowerTransformer", {"method": method, "standardize": standardize}, transformer, data)
        yield made | {"lambdas": transformer.lambdas_.tolist()}


def bins():
    for count, strategy, encode in itertools.product([2, 3, 5], ["uniform", "quantile"], ["ordinal", "onehot-dense"]):
        # The constant feature has no middle in scikit-learn.
        discretizer = KBinsDiscretizer(count, strategy=strategy, encode=encode, subsample=None)
        settings = {"bins": count, "strategy": strategy, "encode": encode}
        yield case("KBinsDiscretizer", settings, discretizer, "whole")


def weighted_bins():
    for count, strategy in itertools.product([2, 4], ["uniform", "quantile"]):
        discretizer = KBinsDiscretizer(count, strategy=strategy, encode="ordinal", subsample=None)
        settings = {"bins": count, "strategy": strategy, "encode": "ordinal"}
        made = case("weighted bins", settings, discretizer, "whole", False, {"sample_weight": WEIGHTS})
        # The constant feature has no edges in scikit-learn.
        yield made | {"edges": [edges.tolist() for edges in discretizer.bin_edges_ if np.isfinite(edges).all()]}


def polynomials():
    names = ["a", "b", "c"]
    x = WHOLE[:4, :3]
    for degree, only, bias in [(1, False, True), (2, False, False), (3, False, True), (2, True, True), (5, True, False)]:
        made = PolynomialFeatures(degree, interaction_only=only, include_bias=bias).fit(x)
        yield {
            "degree": degree,
            "interaction_only": only,
            "include_bias": bias,
            "x": x.tolist(),
            "out": made.transform(x).tolist(),
            "names": made.get_feature_names_out(names).tolist(),
        }


def outliers():
    x = X[:, [0, 1, 3, 4, 5]]
    for factor in (1.0, 1.5, 3.0):
        z = stats.zscore(x, axis=0, nan_policy="omit")
        mean, std = np.nanmean(x, axis=0), np.nanstd(x, axis=0)
        q1, q3 = np.nanpercentile(x, [25, 75], axis=0)
        iqr = stats.iqr(x, axis=0, nan_policy="omit")
        for rule, low, high in [
            ("z_score", mean - factor * std, mean + factor * std),
            ("interquartile_range", q1 - factor * iqr, q3 + factor * iqr),
        ]:
            outside = abs(z) > factor if rule == "z_score" else (x < low) | (x > high)
            yield {
                "rule": rule,
                "factor": factor,
                "x": plain(x),
                "clipped": plain(np.clip(x, low, high)),
                "rows": np.flatnonzero(~outside.any(axis=1)).tolist(),
            }


def ordinals():
    rows = [["m", "S"], ["s", "C"], ["l", nan], ["m", "Q"]]
    new = [["s", "Q"], ["x", "S"], ["l", "é"]]
    unknown = {"handle_unknown": "use_encoded_value", "unknown_value": -1}
    size = OrdinalEncoder(categories=[["s", "m", "l"]], **unknown)
    port = OrdinalEncoder(**unknown)
    encoder = ColumnTransformer([("size", size, [0]), ("port", port, [1])]).fit(np.array(rows, dtype=object))
    made = lambda rows: plain(encoder.transform(np.array(rows, dtype=object)))
    return {"rows": plain(rows), "new": new, "fitted": made(rows), "transformed": made(new)}


def hashes():
    cells = ["Berne", "Paris", "", "Zürich, Kreis 3", "x" * 33, "東京"]
    numbers = [3.0, -2.5, 0.0, 1e3, 0.1, 7.0]
    rows = [{"city": cell, "rooms": number} for cell, number in zip(cells, numbers)]
    # An empty cell would be missing in a table.
    rows = [row for row in rows if row["city"]]
    cases = []
    for features, sign in [(8, True), (8, False), (1, True), (1000, True)]:
        hasher = FeatureHasher(features, input_type="dict", alternate_sign=sign)
        made = hasher.transform(rows).tocoo()
        places = sorted(zip(made.row.tolist(), made.col.tolist(), made.data.tolist()))
        cases.append({"features": features, "alternate_sign": sign, "nonzero": [list(place) for place in places]})
    return {"cities": [row["city"] for row in rows], "rooms": [row["rooms"] for row in rows], "cases": cases}


def class_weights():
    for labels in ([0, 0, 0, 1], [2, 1, 0, 2, 2, 2, 1], [0] * 5, [1, 0] * 3):
        classes = np.unique(labels)
        yield {
            "labels": labels,
            "classes": compute_class_weight("balanced", classes=classes, y=labels).tolist(),
            "samples": compute_sample_weight("balanced", labels).tolist(),
        }


def columns():
    """German credit through a column transformer: the first and the last row, and the sum of each column."""
    with open(HERE.parent.parent / "data" / "german_credit.csv", newline="", encoding="utf-8") as file:
        names, *rows = csv.reader(file)
    table = np.array(rows, dtype=object)
    # Missing cells, of numbers and of text.
    for row in range(0, 1000, 7):
        table[row, names.index("months")] = nan
    for row in range(3, 1000, 11):
        table[row, names.index("housing")] = None
    at = lambda *wanted: [names.index(name) for name in wanted]
    numbers = table.copy()
    for name in ("months", "amount", "age", "installment_rate", "existing_credits"):
        numbers[:, names.index(name)] = numbers[:, names.index(name)].astype(float)
    transformer = ColumnTransformer(
        [
            ("scaled", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), at("months", "age")),
            ("power", make_pipeline(PowerTransformer("box-cox"), MinMaxScaler()), at("amount")),
            ("plain", "passthrough", at("installment_rate")),
            (
                "one hot",
                make_pipeline(
                    SimpleImputer(strategy="most_frequent", missing_values=None), OneHotEncoder(sparse_output=False)
                ),
                at("housing", "purpose"),
            ),
            (
                "ordered",
                make_pipeline(
                    OrdinalEncoder(categories=[EMPLOYED]),
                    MaxAbsScaler(),
                ),
                at("employed_since"),
            ),
        ]
    )
    out = np.asarray(transformer.fit_transform(numbers), dtype=float)
    return {"first": out[0].tolist(), "last": out[-1].tolist(), "sums": out.sum(axis=0).tolist()}


def main():
    reference = {
        "x": plain(X),
        "new": plain(NEW),
        "whole": plain(WHOLE),
        "whole_new": plain(WHOLE_NEW),
        "near": plain(NEAR),
        "near_new": plain(NEAR_NEW),
        "positive": plain(POSITIVE),
        "positive_new": plain(POSITIVE_NEW),
        "weights": WEIGHTS.tolist(),
        "cases": [*scalers(), *distributions(), *bins()],
        "weighted_bins": list(weighted_bins()),
        "polynomials": list(polynomials()),
        "outliers": list(outliers()),
        "ordinals": ordinals(),
        "hashes": hashes(),
        "class_weights": list(class_weights()),
        "columns": columns(),
    }
    path = Path(__file__).with_suffix(".json")
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in reference.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
