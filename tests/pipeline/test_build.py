"""Claims about the graph that a config becomes, on its compiled form."""

from pathlib import Path

import pytest
import tensorflow as tf
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.proto.orchestration import executable_spec_pb2, pipeline_pb2
from tfx.utils.import_utils import import_class_by_path

from lineage.outcome import InputError
from pipeline.compile import compile_pipeline
from pipeline.config import load
from pipeline.ir import edges, node_ids

MODEL_NODES = ["Trainer", "Baseline", "Evaluator", "Quantizer", "InfraValidator", "Pusher"]
DATA_NODES = {"ExampleGen", "StatisticsGen", "ExampleValidator", "DataGate"}


def project(folder: Path, data: str, model: str = "", more: str = "") -> Path:
    thresholds = "evaluator: {thresholds: {auc: {min: 0.5}}}"
    (folder / "pipeline.yaml").write_text(f"name: small\ntask: binary\ndata: {data}\n{thresholds}\n{more}\n")
    (folder / "model.py").write_text(model + "\ndef build_model(inputs_spec, hp): ...\n")
    return folder


def compiled(folder: Path) -> pipeline_pb2.Pipeline:
    return compile_pipeline(load(str(folder)), folder / "root")


def upstream(ir: pipeline_pb2.Pipeline, node: str) -> set[str]:
    """Everything that a node waits for, directly or not."""
    direct = {before for before, after in edges(ir) if after == node}
    return direct | {far for near in direct for far in upstream(ir, near)}


CSV = "{format: csv, path: a.csv, label: y}"


def test_without_a_schema_and_preprocessing_there_is_neither_import_nor_transform(tmp_path: Path) -> None:
    assert set(node_ids(compiled(project(tmp_path, CSV)))) == DATA_NODES | {"SchemaGen"} | set(MODEL_NODES)


def test_a_preprocessing_fn_adds_transform_and_a_schema_its_import(tmp_path: Path) -> None:
    (tmp_path / "s.pbtxt").write_text('feature { name: "y" type: INT }\n')
    ir = compiled(project(tmp_path, CSV, model="def preprocessing_fn(inputs): ...", more="schema: s.pbtxt"))
    assert set(node_ids(ir)) == DATA_NODES | {"SchemaImporter", "Transform"} | set(MODEL_NODES)
    assert "DataGate" in upstream(ir, "Transform")


def test_each_gate_stands_before_all_that_follows_it(tmp_path: Path) -> None:
    ir = compiled(project(tmp_path, CSV))
    for gate, below in [
        ("DataGate", "Trainer"),
        ("Evaluator", "Quantizer"),
        ("Quantizer", "InfraValidator"),
        ("InfraValidator", "Pusher"),
    ]:
        assert gate in upstream(ir, below)


def parameters(ir: pipeline_pb2.Pipeline, node: str) -> dict[str, str]:
    [found] = [one.pipeline_node for one in ir.nodes if one.pipeline_node.node_info.id == node]
    return {name: value.field_value.string_value for name, value in found.parameters.parameters.items()}


def test_the_latest_blessed_model_is_resolved_before_the_trainer(tmp_path: Path) -> None:
    ir = compiled(project(tmp_path, CSV, more="trainer: {warm_start: latest_blessed}"))
    assert "BaseModel" in upstream(ir, "Trainer")
    assert "warm_start_fingerprint" not in parameters(ir, "Trainer")


def test_the_trainer_knows_weights_at_a_path_by_their_contents(tmp_path: Path) -> None:
    def found(contents: bytes) -> dict[str, str]:
        (tmp_path / "a.weights.h5").write_bytes(contents)
        return parameters(compiled(project(tmp_path, CSV, more="trainer: {warm_start: a.weights.h5}")), "Trainer")

    first, second = found(b"1"), found(b"2")
    assert str(tmp_path / "a.weights.h5") in first["settings"]
    assert first["settings"] == second["settings"]
    assert first["warm_start_fingerprint"] != second["warm_start_fingerprint"]
    assert found(b"1") == first


def test_the_quantizer_depends_on_code_and_training_only_where_it_trains(tmp_path: Path) -> None:
    def found(mode: str, rate: float) -> dict[str, str]:
        model = f"def optimizer(hp): return {rate}"
        return parameters(compiled(project(tmp_path, CSV, model, f"quantizer: {{mode: {mode}}}")), "Quantizer")

    assert found("int8", 0.1) == found("int8", 0.2)
    first, second = found("int8_qat", 0.1), found("int8_qat", 0.2)
    assert first.pop("module_fingerprint") != second.pop("module_fingerprint")
    assert first == second and '"epochs":10' in first["trainer"]


def test_without_a_quantizer_the_evaluator_is_the_gate_before_the_serving_check(tmp_path: Path) -> None:
    ir = compiled(project(tmp_path, CSV, more="quantizer: {mode: none}"))
    assert "Quantizer" not in node_ids(ir)
    assert ("Evaluator", "InfraValidator") in edges(ir)
    [pusher] = [node.pipeline_node for node in ir.nodes if node.pipeline_node.node_info.id == "Pusher"]
    assert set(pusher.inputs.inputs) >= {"model", "model_blessing", "infra_blessing"}
    assert not {"tflite_model", "quantization_blessing"} & set(pusher.inputs.inputs)


def test_data_that_is_split_already_keeps_its_splits(tmp_path: Path) -> None:
    splits = "{train: 'train/*', eval: 'eval/*', test: 'test/*'}"
    ir = compiled(project(tmp_path, f"{{format: csv, path: d, label: y, splits: {splits}}}"))
    [gen] = [node.pipeline_node for node in ir.nodes if node.pipeline_node.node_info.id == "ExampleGen"]
    parameters = gen.parameters.parameters
    assert parameters["input_base"].field_value.string_value == str(tmp_path / "d")
    assert "eval/*" in parameters["input_config"].field_value.string_value
    assert "hash_buckets" not in parameters["output_config"].field_value.string_value


def beam_args(ir: pipeline_pb2.Pipeline) -> dict[str, list[str]]:
    """The arguments of each node whose executor is one of Beam's."""
    deployment, found = pipeline_pb2.IntermediateDeploymentConfig(), {}
    ir.deployment_config.Unpack(deployment)
    for node_id, packed in deployment.executor_specs.items():
        plain, beam = executable_spec_pb2.PythonClassExecutableSpec(), executable_spec_pb2.BeamExecutableSpec()
        if packed.Unpack(beam):
            plain = beam.python_executor_spec
        else:
            packed.Unpack(plain)
        if issubclass(import_class_by_path(plain.class_path), BaseBeamExecutor):
            found[node_id] = [given.value.string_value for given in beam.beam_pipeline_args_placeholders]
    return found


@pytest.mark.parametrize("data", [CSV, "{format: tfrecord, path: a.tfrecord, label: y}"])
def test_beam_args_reach_every_node_whose_executor_is_of_beam(tmp_path: Path, data: str) -> None:
    example = tf.train.Example()
    example.features.feature["y"].int64_list.value.append(1)
    with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord")) as writer:
        writer.write(example.SerializeToString())
    given = ["--runner=PortableRunner", "--job_endpoint=localhost:1"]
    ir = compiled(project(tmp_path, data, "def preprocessing_fn(inputs): ...", f"beam: {{args: {given}}}"))
    assert beam_args(ir) == dict.fromkeys(("ExampleGen", "StatisticsGen", "Transform", "Evaluator"), given)


def test_beam_args_without_a_runner_follow_those_of_this_machine(tmp_path: Path) -> None:
    ir = compiled(project(tmp_path, CSV, more="beam: {args: [--direct_runner_bundle_repeat=1]}"))
    runner, *_, last = beam_args(ir)["StatisticsGen"]
    assert runner.endswith("FnApiRunner")
    assert last == "--direct_runner_bundle_repeat=1"


def test_a_file_that_cannot_be_imported_is_said_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"model\.py cannot be imported: ModuleNotFoundError.*line 1"):
        compiled(project(tmp_path, CSV, model="import no_such_module"))


def test_records_without_the_label_are_refused_before_anything_runs(tmp_path: Path) -> None:
    example = tf.train.Example()
    example.features.feature["x"].float_list.value.append(1)
    with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord")) as writer:
        writer.write(example.SerializeToString())
    project(tmp_path, "{format: tfrecord, path: a.tfrecord, label: y}")
    with pytest.raises(InputError, match=r"'y' is not a column .* x"):
        compiled(tmp_path)


def test_images_are_looked_for_where_the_schema_is_inferred_and_the_first_record_has_one(tmp_path: Path) -> None:
    def statistics(picture: bytes, more: str = "") -> str:
        example = tf.train.Example()
        example.features.feature["y"].int64_list.value.append(1)
        example.features.feature["picture"].bytes_list.value.append(picture)
        with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord")) as writer:
            writer.write(example.SerializeToString())
        ir = compiled(project(tmp_path, "{format: tfrecord, path: a.tfrecord, label: y}", more=more))
        [node] = [node.pipeline_node for node in ir.nodes if node.pipeline_node.node_info.id == "StatisticsGen"]
        return node.parameters.parameters["stats_options_json"].field_value.string_value

    png = tf.io.encode_png(tf.zeros([2, 2, 1], tf.uint8)).numpy()
    assert "semantic" in statistics(png)
    assert statistics(b"a text") == ""
    (tmp_path / "s.pbtxt").write_text(
        'feature { name: "y" type: INT } feature { name: "picture" type: BYTES image_domain {} }'
    )
    assert statistics(png, "schema: s.pbtxt") == ""
