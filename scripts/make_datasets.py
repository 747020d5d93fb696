"""Makes the bundled sets in data/ from the files inside the PyPI package scikit-learn.

    python scripts/make_datasets.py

The same package data gives the same bytes: no download, no randomness, one way of writing a number (a column of whole
numbers without decimals, any other as Python's shortest repr). Made with scikit-learn 1.9.1.
"""

import csv
from pathlib import Path

from sklearn import datasets

DATA = Path(__file__).resolve().parent.parent / "data"


def column(values):
    """The cells of one feature."""
    if all(float(value).is_integer() for value in values):
        return [str(int(value)) for value in values]
    return [repr(float(value)) for value in values]


def write(name, features, feature_names, label_name, labels):
    columns = [column(values) for values in features.T] + [labels]
    with open(DATA / name, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*feature_names, label_name])
        writer.writerows(zip(*columns))


def names_of(bunch):
    return [str(bunch.target_names[label]) for label in bunch.target]


def main():
    DATA.mkdir(exist_ok=True)

    iris = datasets.load_iris()
    measures = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
    assert [name.replace(" (cm)", "").replace(" ", "_") for name in iris.feature_names] == measures
    write("iris.csv", iris.data, measures, "species", names_of(iris))

    wine = datasets.load_wine()
    write("wine.csv", wine.data, wine.feature_names, "class", names_of(wine))

    cancer = datasets.load_breast_cancer()
    measures = [str(name).replace(" ", "_") for name in cancer.feature_names]
    write("breast_cancer.csv", cancer.data, measures, "diagnosis", names_of(cancer))

    digits = datasets.load_digits()
    write("digits.csv", digits.data, [f"p{pixel}" for pixel in range(64)], "digit", names_of(digits))


if __name__ == "__main__":
    main()
