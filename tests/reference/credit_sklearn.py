"""Writes credit_sklearn.json: what scikit-learn's perceptron loses on German credit, for examples/credit_risk.rs.

    python tests/reference/credit_sklearn.py

Columns, folds, network, training and the ways to decide are those of the example; the class to be found is `bad`. The
folds are not shuffled, so that both sides have the same ones: `rows` holds the sum of the row numbers of each test
fold. Numbers are means over the test fold of each run, then over the seeds. Made with scikit-learn 1.9.1.
"""

import csv
import warnings

import numpy as np
import sklearn
from common import HERE, write
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, PowerTransformer, StandardScaler

FOLDS, INNER_FOLDS, SEEDS = 5, 4, 10
HIDDEN, EPOCHS, BATCH, RATE = 16, 30, 32, 1e-3
REFUSED, LOST = 1.0, 5.0  # a good applicant refused, a bad one given credit

SKEWED = ["months", "amount", "age"]
COUNTS = ["installment_rate", "residence_since", "existing_credits", "dependants"]
EMPLOYED = ["unemployed", "below 1 year", "1 to 4 years", "4 to 7 years", "7 years or more"]


def load():
    """The cells, numbers as floats, which applicants are bad, and the transformer of the columns."""
    with open(HERE.parent.parent / "data" / "german_credit.csv", newline="", encoding="utf-8") as file:
        names, *rows = csv.reader(file)
    bad = np.array([row[-1] == "bad" for row in rows], dtype=int)
    table = np.array(rows, dtype=object)[:, :-1]
    at = lambda wanted: [names.index(name) for name in wanted]
    numbers = at(SKEWED + COUNTS)
    table[:, numbers] = table[:, numbers].astype(float)
    rest = [name for name in names[:-1] if name not in SKEWED + COUNTS + ["employed_since"]]
    transformer = ColumnTransformer(
        [
            ("skewed", PowerTransformer("box-cox"), at(SKEWED)),
            ("counts", StandardScaler(), at(COUNTS)),
            ("ordered", make_pipeline(OrdinalEncoder(categories=[EMPLOYED]), StandardScaler()), at(["employed_since"])),
            ("categories", OneHotEncoder(handle_unknown="ignore", sparse_output=False), at(rest)),
        ]
    )
    return table, bad, transformer


def cost(bad, refused):
    return float(np.mean(REFUSED * (refused & (bad == 0)) + LOST * (~refused & (bad == 1))))


def cheapest(bad, scores):
    """The threshold, one of the scores or one below all, above which refusing costs least; of several the highest."""
    thresholds = np.append(np.unique(scores)[::-1], -1.0)
    return thresholds[np.argmin([cost(bad, scores > threshold) for threshold in thresholds])]


def probabilities(data, train, test, weighted, seed):
    table, bad, transformer = data
    network = MLPClassifier(
        HIDDEN, batch_size=BATCH, learning_rate_init=RATE, alpha=0.0, max_iter=EPOCHS, tol=0.0,
        n_iter_no_change=EPOCHS, random_state=seed,
    )
    weights = np.where(bad[train] == 1, LOST, REFUSED) if weighted else None
    network.fit(transformer.fit_transform(table[train]), bad[train], sample_weight=weights)
    return network.predict_proba(transformer.transform(table[test]))[:, 1]


def run(data, train, test, seed):
    """AUC, and cost and accuracy of each way to decide."""
    bad = data[1]
    inner = np.zeros(len(train))
    for learn, held in StratifiedKFold(INNER_FOLDS).split(train, bad[train]):
        inner[held] = probabilities(data, train[learn], train[held], False, seed)
    scores = probabilities(data, train, test, False, seed)
    weighted = probabilities(data, train, test, True, seed)
    ways = {
        "plain": (scores, 0.5),
        "bayes": (scores, REFUSED / (REFUSED + LOST)),
        "chosen": (scores, cheapest(bad[train], inner)),
        "weighted": (weighted, 0.5),
    }
    result = {"auc": float(roc_auc_score(bad[test], scores))}
    for way, (scores, threshold) in ways.items():
        refused = scores > threshold
        result[way] = {"cost": cost(bad[test], refused), "accuracy": float(np.mean(refused == bad[test]))}
    return result


def mean(runs):
    """The mean of numbers that lie deep in dictionaries."""
    if isinstance(runs[0], dict):
        return {key: mean([run[key] for run in runs]) for key in runs[0]}
    return round(float(np.mean(runs)), 6)


def main():
    warnings.simplefilter("ignore", ConvergenceWarning)  # a number of epochs was asked for
    data = load()
    cases = []
    for fold, (train, test) in enumerate(StratifiedKFold(FOLDS).split(*data[:2])):
        runs = [run(data, train, test, seed) for seed in range(SEEDS)]
        cases.append({"name": f"fold {fold}", "kind": "fold", "rows": int(test.sum()), **mean(runs)})
    write("credit_sklearn.json", {"sklearn": sklearn.__version__}, cases)


if __name__ == "__main__":
    main()
