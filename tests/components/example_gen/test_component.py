"""ColumnarExampleGen in a real pipeline, against TFX's own CsvExampleGen and against what its splits should be."""

import collections
import csv
import functools
import math
import os
from collections.abc import Callable, Collection
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet
import pytest
import tensorflow as tf
import tfx.examples.chicago_taxi_pipeline
from tfx.components import CsvExampleGen
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.proto import example_gen_pb2

from components.example_gen.component import ColumnarExampleGen, RecordExampleGen
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
    options = {"task": "regression"} | options
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
    content = (TAXI / "data.csv").read_bytes()
    expected = f"num_files:1,total_bytes:{len(content)},sha256:"
    assert expected in properties["input_fingerprint"].string_value
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


def test_a_row_without_a_label_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,0\n2,\n")
    with pytest.raises(InputError, match=r"a\.csv, line 3: the label 'y' is missing; 1 of 2 rows"):
        generate(tmp_path / "run", tmp_path, "y", input_config=patterns(all="*.csv"))
    assert not [*tmp_path.rglob("data_tfrecord*")]


def write_csv(path: Path, label: int) -> None:
    path.write_text("x,y\n" + "".join(f"{number},{label}\n" for number in range(20)))


def write_records(path: Path, label: int) -> None:
    with tf.io.TFRecordWriter(str(path)) as writer:
        for number in range(20):
            feature = {
                name: tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
                for name, value in {"x": number, "y": label}.items()
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())


@pytest.mark.parametrize(
    ("make", "write"),
    [
        (functools.partial(ColumnarExampleGen, label="y", task="regression"), write_csv),
        (RecordExampleGen, write_records),
    ],
    ids=["columnar", "records"],
)
def test_a_cache_goes_by_content_not_by_time_and_size(
    make: Callable[..., BaseComponent], write: Callable[[Path, int], None], tmp_path: Path
) -> None:
    file = tmp_path / "data" / "a"
    file.parent.mkdir()

    def executed() -> str:
        return run_component(tmp_path, lambda: make(input_base=str(file.parent)), {}, cache=True).uri("examples")

    write(file, 0)
    first, before = executed(), file.stat()
    os.utime(file, (before.st_atime, before.st_mtime + 1000))
    assert executed() == first
    write(file, 1)
    os.utime(file, (before.st_atime, before.st_mtime + 1000))
    assert file.stat().st_size == before.st_size
    assert executed() != first


def test_label_columns_become_one_feature_in_the_order_of_the_config(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("round,x,even,much\n1,5,0,2.5\n0,6,1,0\n")
    (tmp_path / "data" / "b.csv").write_text("round,x,even,much\n1,7,1.0,1\n")  # which makes `even` float32
    options = {"label": ["even", "round"], "task": "multilabel", "weight": "much"}
    ran = generate(tmp_path / "run", tmp_path / "data", input_config=patterns(a="a.csv", b="b.csv"), **options)
    assert rows(ran.uri("examples"), "a") == [
        (("label", (0.0, 1.0)), ("much", (2.5,)), ("x", (5,))),
        (("label", (1.0, 0.0)), ("much", (0.0,)), ("x", (6,))),
    ]
    assert rows(ran.uri("examples"), "b") == [(("label", (1.0, 1.0)), ("much", (1.0,)), ("x", (7,)))]
    [examples] = ran.outputs["examples"]
    assert examples.custom_properties["label_names"].string_value == '["even", "round"]'


def test_arguments_are_checked_when_given() -> None:
    with pytest.raises(ValueError, match="data_format is 'json'"):
        ColumnarExampleGen(input_base="data", label="y", task="binary", data_format="json")
    both = {"input_config": patterns(a="a/*", b="b/*"), "output_config": output(SHARES)}
    with pytest.raises(ValueError, match="input_config has 2 splits and output_config asks to split by hash"):
        ColumnarExampleGen(input_base="data", label="y", task="binary", **both)
    with pytest.raises(ValueError, match="expected at least 1"):
        ColumnarExampleGen(input_base="data", label="y", task="binary", output_config=output({"train": 1, "eval": 0}))
    with pytest.raises(ValueError, match="'int32' is not a valid ColumnType"):
        ColumnarExampleGen(input_base="data", label="y", task="binary", column_types={"x": "int32"})
