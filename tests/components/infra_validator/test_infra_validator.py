"""The InfraValidator against real MLMD and real server processes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tfx.types.standard_artifacts import Examples, Model

from components.infra_validator.check import DirectModel, check_serving
from components.infra_validator.component import InfraValidator
from components.infra_validator.requests import NotServableError, to_requests
from lineage.outcome import InputError
from lineage.records import InfraRecord
from tests.serving.small_model import RAW, example, export_small_model, raw_inputs
from tests.tfx_harness import Given, Ran, run_component

ROWS = [([0.5 * i, 1.0, -2.0, 3.0], i, [b"w"] * (i % 3)) for i in range(12)]


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Given:
    """Twelve raw examples in the split `test`, none in `eval`."""
    folder = tmp_path_factory.mktemp("examples")
    for split, rows in (("test", ROWS), ("eval", [])):
        (folder / f"Split-{split}").mkdir()
        name = str(folder / f"Split-{split}" / "data_tfrecord-00000-of-00001.gz")
        with tf.io.TFRecordWriter(name, options="GZIP") as writer:
            for row in rows:
                writer.write(example(*row, label=1))
    return Given(Examples, str(folder), properties={"split_names": '["eval", "test"]'})


def model_artifact(folder: Path, spoil: Callable[[tf.Tensor], tf.Tensor] | None = None) -> Given:
    """A Model artifact as TFX lays it out."""
    export_small_model(folder / "Format-Serving", **({"spoil": spoil} if spoil else {}))
    return Given(Model, str(folder))


def validate(root: Path, model: Given, examples: Given, **arguments: object) -> Ran:
    return run_component(
        root, lambda **channels: InfraValidator(**channels, **arguments), {"model": model, "examples": examples}
    )


def check(tmp_path: Path, saved_model: Path) -> InfraRecord:
    """The check itself, without TFX around it."""
    (tmp_path / "work").mkdir()
    return check_serving(
        saved_model=saved_model,
        examples=[example(*row) for row in ROWS],
        requests=3,
        work=tmp_path / "work",
        log_file=tmp_path / "server.log",
    )


def servers_of(root: Path) -> list[str]:
    """Command lines of the server processes that still serve something under `root`."""
    lines = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(entry.read_text().replace("\0", " "))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return [line for line in lines if "serving.server" in line and str(root) in line]


def test_model_that_serves_as_it_predicts_is_blessed(tmp_path: Path, examples: Given) -> None:
    ran = validate(tmp_path, model_artifact(tmp_path / "model"), examples, requests=5)
    [blessing] = ran.outputs["blessing"]
    assert blessing.custom_properties["blessed"].int_value == 1
    assert (Path(blessing.uri) / "INFRA_BLESSED").exists()
    record = InfraRecord.load(blessing.uri)
    assert record is not None
    assert (record.requests, record.blessed, record.reasons) == (5, True, [])
    assert record.max_difference <= 1e-6
    assert "Serving model, version 1" in (Path(blessing.uri) / "server.log").read_text()
    assert not servers_of(tmp_path)


def test_model_whose_signatures_disagree_is_not_blessed(tmp_path: Path, examples: Given) -> None:
    """serving_default is 0.01 above serve_examples; predictions are at most 24, so each is over the tolerance of 1e-4.

    The first example's second prediction is 0, where the difference counts as it is.
    """
    model = model_artifact(tmp_path / "model", lambda predictions: predictions + 0.01)
    ran = validate(tmp_path, model, examples)
    [blessing] = ran.outputs["blessing"]
    assert blessing.custom_properties["blessed"].int_value == 0
    assert (Path(blessing.uri) / "INFRA_NOT_BLESSED").exists()
    record = InfraRecord.load(blessing.uri)
    assert record is not None
    assert record.requests == len(ROWS), "asked for 16, the split has 12"
    assert record.reasons[0].startswith("12 of 12 answers of the server differ from the model called directly")
    assert record.max_difference == pytest.approx(0.01, rel=1e-5)


def test_corrupt_saved_model_is_not_blessed(tmp_path: Path, examples: Given) -> None:
    model = model_artifact(tmp_path / "model")
    saved_model = tmp_path / "model" / "Format-Serving" / "saved_model.pb"
    saved_model.write_bytes(saved_model.read_bytes()[:1000])
    [blessing] = validate(tmp_path, model, examples).outputs["blessing"]
    record = InfraRecord.load(blessing.uri)
    assert record is not None
    assert blessing.custom_properties["blessed"].int_value == 0
    assert "The server ended with exit code 1" in record.reasons[0]
    assert "saved_model.pb" in record.reasons[0]
    assert not servers_of(tmp_path)


def test_server_that_crashes_on_a_request_is_not_blessed(tmp_path: Path) -> None:
    def abort(predictions: tf.Tensor) -> tf.Tensor:
        with tf.control_dependencies([tf.raw_ops.Abort(error_msg="crash")]):
            return tf.identity(predictions)

    export_small_model(tmp_path / "model", spoil=abort)
    record = check(tmp_path, tmp_path / "model")
    assert not record.blessed
    assert record.requests == 0
    assert "killed by signal 6" in record.reasons[0] or "UNAVAILABLE" in record.reasons[0]
    assert not servers_of(tmp_path)


def test_error_of_the_graph_is_the_reason(tmp_path: Path) -> None:
    export_small_model(tmp_path / "model", spoil=lambda p: tf.debugging.check_numerics(p / 0.0, "divided by zero"))
    record = check(tmp_path, tmp_path / "model")
    assert not record.blessed
    assert "INVALID_ARGUMENT" in record.reasons[0]
    assert "divided by zero" in record.reasons[0]


def test_prediction_that_is_no_number_is_not_blessed(tmp_path: Path) -> None:
    export_small_model(tmp_path / "model", weight=float("nan"))
    record = check(tmp_path, tmp_path / "model")
    assert record.reasons == ["Request 1: the model predicts NaN or infinity."]


def test_answer_of_another_shape_is_not_blessed(tmp_path: Path) -> None:
    export_small_model(tmp_path / "model", spoil=lambda predictions: predictions[:, :1])
    [reason] = check(tmp_path, tmp_path / "model").reasons
    assert "answered {'predictions': [1, 1]}, the model called directly {'predictions': [1, 2]}" in reason


def test_failure_of_the_direct_call_is_a_reason(tmp_path: Path) -> None:
    export_small_model(tmp_path / "model")
    with pytest.raises(NotServableError, match="serve_examples fails on the same example"):
        DirectModel(tmp_path / "model").predict(b"not an example")


def test_model_without_the_signatures_is_told_so(tmp_path: Path) -> None:
    tf.saved_model.save(tf.Module(), str(tmp_path / "model"))
    with pytest.raises(NotServableError, match=r"No signature of .* takes serialized tf.Examples, .*; it has none"):
        DirectModel(tmp_path / "model")


@pytest.mark.parametrize(
    ("split", "message"),
    [("train", "no split 'train'; choose one of: eval, test"), ("eval", "'eval' has no examples")],
)
def test_split_that_cannot_be_used_is_wrong_input(tmp_path: Path, examples: Given, split: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        validate(tmp_path, Given(Model, str(tmp_path)), examples, split=split)


def test_zero_requests_are_refused_when_the_component_is_made(tmp_path: Path, examples: Given) -> None:
    with pytest.raises(ValueError, match="requests=0: expected at least 1"):
        validate(tmp_path, Given(Model, str(tmp_path)), examples, requests=0)


def test_example_becomes_the_tensors_that_the_signature_names() -> None:
    row = ([1.0, 2.0, 3.0, 4.0], 7, [b"a", b"b", b"c"])
    [request] = to_requests([example(*row, label=3)], RAW, count=1)
    expected = raw_inputs(*row)
    assert request.inputs.keys() == expected.keys()
    for name, array in expected.items():
        assert request.inputs[name].dtype == array.dtype
        np.testing.assert_array_equal(request.inputs[name], array)


def test_numbers_take_the_dtype_and_the_fixed_shape_of_the_signature() -> None:
    specs = {
        "pixels": tf.TensorSpec([None, 2, 2, 1], tf.float64),
        "count": tf.TensorSpec([None], tf.uint8),
        "words": tf.TensorSpec([None, None], tf.string),
    }
    [request] = to_requests([example([1.0, 2.0, 3.0, 4.0], 255, [])], specs, count=1)
    np.testing.assert_array_equal(request.inputs["pixels"], np.float64([[[[1], [2]], [[3], [4]]]]))
    np.testing.assert_array_equal(request.inputs["count"], np.uint8([255]))
    assert request.inputs["words"].shape == (1, 0)


def test_example_that_lacks_a_fixed_input_is_passed_over() -> None:
    complete = ([1.0, 2.0, 3.0, 4.0], 7, [b"a"])
    requests = to_requests([example([], 6, []), example(*complete)], RAW, count=5)
    assert [request.example for request in requests] == [example(*complete)]
    with pytest.raises(NotServableError, match=r"missing: \['pixels'\]"):
        to_requests([example([], 6, [])], RAW, count=5)


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        ({"words": tf.TensorSpec([None, None], tf.float32)}, "words holds bytes values; the signature takes float32"),
        ({"count": tf.TensorSpec([None, None], tf.string)}, "count holds int values; the signature takes string"),
        ({"pixels": tf.TensorSpec([None, 5], tf.float32)}, r"pixels has 4 values; the signature takes float32"),
    ],
)
def test_example_that_does_not_fit_the_signature_is_a_reason(specs: dict[str, tf.TensorSpec], message: str) -> None:
    with pytest.raises(NotServableError, match=message):
        to_requests([example([1.0, 2.0, 3.0, 4.0], 7, [b"a"])], specs, count=1)
