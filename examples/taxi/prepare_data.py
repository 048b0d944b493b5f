"""Writes the Chicago taxi trips that the tfx package ships as data/taxi.csv, without the column that gives the label
away (`tips`).
"""

from importlib.resources import files
from pathlib import Path

from pyarrow import csv


def main() -> None:
    """15,002 trips; `big_tipper` is 1 where the tip was over a fifth of the fare."""
    source = files("tfx") / "examples/chicago_taxi_pipeline/data/big_tipper_label/data.csv"
    target = Path(__file__).parent / "data" / "taxi.csv"
    target.parent.mkdir(exist_ok=True)
    partial = target.with_suffix(".partial")
    csv.write_csv(csv.read_csv(str(source)).drop_columns("tips"), partial)
    partial.rename(target)


if __name__ == "__main__":
    main()
