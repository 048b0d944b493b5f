"""ColumnarExampleGen in a real pipeline, against TFX's own CsvExampleGen and against what its splits should be."""

import collections
import csv
import math
from collections.abc import Collection
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet
import pytest
import tfx.examples.chicago_taxi_pipeline
from tfx.components import CsvExampleGen
from tfx.proto import example_gen_pb2

from components.example_gen.component import ColumnarExampleGen
from lineage.outcome import InputError
from tests.components.example_gen.reading import Row, rows
from tests.tfx_harness import Ran, run_component

TAXI = Path(tfx.examples.chicago_taxi_pipeline.__path__[0]) / "data" / "simple"
SHARES = {"train": 8, "eval": 1, "test": 1}


def output(shares: dict[str, int]) -> example_gen_pb2.Output:
    splits = [example_gen_pb2.SplitConfig.Split(name=name, hash_buckets=share) for name, share in shares.items()]
    return example_gen_pb2.Output(split_config=example_gen_pb2.SplitConfig(splits=splits))


def patterns(**by_split: str) -> example_gen_pb2.Input:
    return example_gen_pb2.Input(
        splits=[example_gen_pb2.Input.Split(name=name, pattern=pattern) for name, pattern in by_split.items()]
    )


def generate(root: Path, base: Path, label: str = "tips", **options: object) -> Ran:
    return run_component(root, lambda: ColumnarExampleGen(input_base=str(base), label=label, **options), {})


def by_split(ran: Ran, splits: Collection[str] = tuple(SHARES)) -> dict[str, list[Row]]:
    return {split: rows(ran.uri("examples"), split) for split in splits}


@pytest.fixture(scope="module")
def taxi(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return generate(tmp_path_factory.mktemp("taxi"), TAXI, output_config=output(SHARES))


@pytest.fixture(scope="module")
def taxi_rows(taxi: Ran) -> dict[str, list[Row]]:
    return by_split(taxi)


def test_examples_are_those_of_csv_example_gen(taxi_rows: dict[str, list[Row]], tmp_path: Path) -> None:
    stock = run_component(tmp_path, lambda: CsvExampleGen(input_base=str(TAXI)), {}).uri("examples")
    expected = collections.Counter(rows(stock, "train") + rows(stock, "eval"))
    assert expected.total() == 15_002
    assert collections.Counter(row for some in taxi_rows.values() for row in some) == expected


def test_splits_have_about_the_sizes_of_the_config(taxi_rows: dict[str, list[Row]]) -> None:
    for split, found in taxi_rows.items():
        share = SHARES[split] / 10
        assert abs(len(found) - 15_002 * share) < 5 * math.sqrt(15_002 * share * (1 - share))


def test_a_row_is_in_one_split_only(taxi_rows: dict[str, list[Row]]) -> None:
    splits = [set(found) for found in taxi_rows.values()]
    assert sum(map(len, splits)) == len(set.union(*splits))


def test_the_artifact_says_what_tfx_says_of_examples(taxi: Ran) -> None:
    [examples] = taxi.outputs["examples"]
    properties = examples.custom_properties
    assert examples.properties["split_names"].string_value == '["train", "eval", "test"]'
    assert properties["payload_format"].string_value == "FORMAT_TF_EXAMPLE"
    assert properties["file_format"].string_value == "tfrecords_gzip"
    assert properties["span"].int_value == 0
    assert "num_files:1" in properties["input_fingerprint"].string_value
    assert sorted(path.name for path in Path(examples.uri).iterdir()) == ["Split-eval", "Split-test", "Split-train"]


def test_twice_the_same_examples_in_the_same_order_however_the_files_are_cut(
    taxi_rows: dict[str, list[Row]], tmp_path: Path
) -> None:
    with (TAXI / "data.csv").open(newline="") as file:
        header, *records = csv.reader(file)
    for number, start in enumerate((0, 4000, 4001)):
        with (tmp_path / f"part-{number}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([header, *records[start : (4000, 4001, None)[number]]])
    cut = generate(tmp_path / "run", tmp_path, output_config=output(SHARES), input_config=patterns(all="part-*.csv"))
    assert by_split(cut) == taxi_rows
    assert len([*(Path(cut.uri("examples")) / "Split-train").glob("data_tfrecord-*-of-00003.gz")]) == 3


def test_parquet_gives_the_examples_of_the_same_csv(taxi_rows: dict[str, list[Row]], tmp_path: Path) -> None:
    table = pyarrow.csv.read_csv(
        TAXI / "data.csv", convert_options=pyarrow.csv.ConvertOptions(strings_can_be_null=True, null_values=[""])
    )
    pyarrow.parquet.write_table(table, tmp_path / "taxi.parquet")
    ran = generate(tmp_path / "run", tmp_path, data_format="parquet", output_config=output(SHARES))
    assert by_split(ran) == taxi_rows


def test_folders_split_beforehand_keep_their_splits_and_share_their_types(tmp_path: Path) -> None:
    for split, text in {"train": "x,y\n1,0\n2,1\n", "test": "x,y\n1.5,1\n"}.items():
        (tmp_path / split).mkdir()
        (tmp_path / split / "a.csv").write_text(text)
    ran = generate(tmp_path / "run", tmp_path, "y", input_config=patterns(train="train/*", test="test/*"))
    assert by_split(ran, ("train", "test")) == {
        "train": [(("x", (1.0,)), ("y", (0,))), (("x", (2.0,)), ("y", (1,)))],
        "test": [(("x", (1.5,)), ("y", (1,)))],
    }


def test_a_split_without_a_row_is_refused_with_counts_and_ratios(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n" + "1,0\n" * 20)  # one content: one split has all
    with pytest.raises(
        InputError, match=r"has no example: 20 rows were split by the ratios train 1, eval 1 into "
    ) as raised:
        generate(
            tmp_path / "run",
            tmp_path,
            "y",
            output_config=output({"train": 1, "eval": 1}),
            input_config=patterns(all="*.csv"),
        )
    assert {"train 20", "train 0"} & {str(raised.value).split("into ")[1].split(",")[0]}


def test_what_is_wrong_with_the_data_comes_out_as_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,0\n2\n")
    with pytest.raises(InputError, match=r"a\.csv, line 3: 1 cells, expected 2"):
        generate(tmp_path / "run", tmp_path, "y", input_config=patterns(all="*.csv"))


def test_the_same_data_is_cached_and_an_edited_file_is_not(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.csv").write_text("x,y\n" + "".join(f"{number},0\n" for number in range(20)))

    def make() -> ColumnarExampleGen:
        return ColumnarExampleGen(input_base=str(data), label="y")

    first, second = (run_component(tmp_path, make, {}, cache=True) for _ in range(2))
    (data / "a.csv").write_text("x,y\n" + "".join(f"{number},1\n" for number in range(30)))
    third = run_component(tmp_path, make, {}, cache=True)
    assert second.uri("examples") == first.uri("examples") != third.uri("examples")


def test_arguments_are_checked_when_given() -> None:
    with pytest.raises(ValueError, match="data_format is 'json'"):
        ColumnarExampleGen(input_base="data", label="y", data_format="json")
    with pytest.raises(ValueError, match="input_config has 2 splits and output_config asks to split by hash"):
        ColumnarExampleGen(
            input_base="data", label="y", input_config=patterns(a="a/*", b="b/*"), output_config=output(SHARES)
        )
    with pytest.raises(ValueError, match="expected at least 1"):
        ColumnarExampleGen(input_base="data", label="y", output_config=output({"train": 1, "eval": 0}))
    with pytest.raises(ValueError, match="'int32' is not a valid ColumnType"):
        ColumnarExampleGen(input_base="data", label="y", column_types={"x": "int32"})
