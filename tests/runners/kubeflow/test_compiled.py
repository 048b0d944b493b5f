"""Claims about what `slipway compile --to kubeflow` writes: KFP's own parsers read it, and its cache keys are right."""

import re
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from google.protobuf import json_format
from kfp import components
from kfp.kubernetes import kubernetes_executor_config_pb2
from kfp.pipeline_spec import pipeline_spec_pb2 as pb
from pyarrow import parquet

from lineage.outcome import InputError
from pipeline.compile import compile_pipeline
from pipeline.config import Config, load, loads
from pipeline.ir import edges, node_ids
from runners.kubeflow.check import check
from runners.kubeflow.task import localized
from runners.kubeflow.write import PIPELINE, write
from tests.runners.kubeflow.cluster import read

YAML = """
name: a_line
task: regression
data: {format: parquet, path: "*.parquet", label: y}
trainer: {warm_start: latest_blessed}
evaluator: {thresholds: {mean_absolute_error: {max: 0.1}}}
serving: {destination: /served/line}
nodes:
  all: {memory: 2GB}
  Trainer: {cpus: 4, memory: 8GB, gpus: 2, node_selector: {accelerator: t4}, timeout: 3600, retries: 1}
kubeflow: {image: "registry.example.com/line:1", volumes: {/served: models}}
"""
MODEL = """
def build_model(inputs_spec, hp): ...
def preprocessing_fn(inputs): return inputs
"""
VERTEX = (
    "kubeflow.dialect=vertex",
    "kubeflow.pipeline_root=gs://bucket/line",
    "kubeflow.volumes={}",
    "serving.destination=/gcs/bucket/line",
    "nodes.Trainer.node_selector={}",
    "nodes.Trainer.gpu=NVIDIA_TESLA_T4",
)


def make_project(folder: Path) -> Path:
    folder.mkdir(parents=True)
    parquet.write_table(pa.table({"x": [1.0], "y": [2.0]}), folder / "line.parquet")
    (folder / "pipeline.yaml").write_text(YAML)
    (folder / "model.py").write_text(MODEL)
    return folder


def compiled(project: Path, *overrides: str) -> Path:
    """The YAML of the pipeline."""
    config = load(str(project), overrides)
    check(config, project / "root")
    write(config, project / "root", project / "out")
    return project / "out" / PIPELINE


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("here") / "line")


@pytest.fixture(scope="module")
def package(project: Path) -> Path:
    return compiled(project)


@pytest.fixture(scope="module")
def spec(package: Path) -> pb.PipelineSpec:
    return read(package)


def containers(spec: pb.PipelineSpec) -> dict[str, Any]:
    executors = json_format.MessageToDict(spec.deployment_spec)["executors"]
    return {name: executors[component.executor_label]["container"] for name, component in spec.components.items()}


def parameters(spec: pb.PipelineSpec, task: str) -> dict[str, str]:
    return {name: str(one) for name, one in spec.root.dag.tasks[task].inputs.parameters.items()}


def test_kfps_parser_reads_it(package: Path) -> None:
    loaded = components.load_component_from_text(package.read_text())
    assert loaded.pipeline_spec == read(package)
    assert loaded.pipeline_spec.pipeline_info.name == "a-line", "Kubeflow allows no underscore"


def test_its_tasks_are_the_nodes_after_begin_and_all_of_them_are_containers(
    project: Path, spec: pb.PipelineSpec
) -> None:
    ir = compile_pipeline(load(str(project)), project / "root")
    tasks = spec.root.dag.tasks
    assert set(tasks) == {*node_ids(ir), "Begin"}
    waits = {(before, name) for name, task in tasks.items() for before in task.dependent_tasks}
    assert waits == {*edges(ir), ("Begin", "ExampleGen")}
    assert {container["image"] for container in containers(spec).values()} == {"registry.example.com/line:1"}


def test_the_same_is_written_wherever_one_compiles(package: Path, tmp_path: Path) -> None:
    assert compiled(make_project(tmp_path / "elsewhere" / "other name")).read_text() == package.read_text()


def test_an_edit_of_the_model_changes_what_the_trainer_is_cached_by_and_no_node_before_it(
    project: Path, spec: pb.PipelineSpec, tmp_path: Path
) -> None:
    edited = shutil.copytree(project, tmp_path / "edited")
    (edited / "model.py").write_text(MODEL.replace("inputs_spec, hp): ...", "inputs_spec, hp): return 1"))
    after = read(compiled(edited))
    changed = {task for task in spec.root.dag.tasks if parameters(after, task) != parameters(spec, task)}
    assert changed == {"Begin", "BaseModel", "Trainer"}


def test_the_data_are_in_the_cache_key_of_example_gen_as_they_are_in_the_run(spec: pb.PipelineSpec) -> None:
    given = spec.root.dag.tasks["ExampleGen"].inputs.parameters
    made = {name: one.task_output_parameter.producer_task for name, one in given.items()}
    assert {name for name, task in made.items() if task == "Begin"} == {"input_config", "input_fingerprint"}
    cached = {name: task.caching_options.enable_cache for name, task in spec.root.dag.tasks.items()}
    assert {name for name, enabled in cached.items() if not enabled} == {"Begin", "Pusher"}


def test_a_task_asks_for_what_the_config_says(package: Path, spec: pb.PipelineSpec) -> None:
    resources = {name: container["resources"] for name, container in containers(spec).items()}
    assert resources["Begin"] == resources["Evaluator"] == {"memoryLimit": 2.0, "memoryRequest": 2.0}
    assert resources["Trainer"] == {
        **{"cpuLimit": 4.0, "cpuRequest": 4.0, "memoryLimit": 8.0, "memoryRequest": 8.0},
        "accelerator": {"type": "nvidia.com/gpu", "count": "2"},
    }
    assert spec.root.dag.tasks["Trainer"].retry_policy.max_retry_count == 1
    [_, platform] = yaml.safe_load_all(package.read_text())
    said = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert set(said) == {component.executor_label for component in spec.components.values()}
    trainer = json_format.ParseDict(said["exec-Trainer"], kubernetes_executor_config_pb2.KubernetesExecutorConfig())
    assert dict(trainer.node_selector.labels) == {"accelerator": "t4"}
    assert trainer.active_deadline_seconds == 3600
    [mount] = trainer.pvc_mount
    assert (mount.constant, mount.mount_path) == ("models", "/served")
    assert mount.pvc_name_parameter.runtime_value.constant.string_value == "models"


def test_vertex_ai_is_told_nothing_of_kubernetes(project: Path) -> None:
    package = compiled(project, *VERTEX)
    [document] = yaml.safe_load_all(package.read_text())
    assert document["defaultPipelineRoot"] == "gs://bucket/line"
    assert containers(read(package))["Trainer"]["resources"]["accelerator"]["type"] == "NVIDIA_TESLA_T4"


def test_the_image_is_slipways_with_the_files_of_the_pipeline(project: Path, package: Path) -> None:
    dockerfile = (package.parent / "Dockerfile").read_text()
    assert f"docker build -t registry.example.com/line:1 -f {package.parent}/Dockerfile {project}" in dockerfile
    assert dockerfile.endswith("FROM ${SLIPWAY}\nCOPY . /pipeline\n")


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (
            ["kubeflow.image=null"],
            r"kubeflow\.image is missing: .* Set it to .* such as registry\.example\.com/digits:1",
        ),
        (
            ["serving.destination=served"],
            r"serving\.destination is .*/root/served, which a pod loses when it ends\. Give",
        ),
        (
            ["kubeflow.runs=/elsewhere/runs"],
            r"kubeflow\.runs is /elsewhere/runs, which a pod loses when it ends\. Give an absolute",
        ),
        (
            ["kubeflow.volumes={}"],
            r"below one of kubeflow\.volumes \(of which there is none yet, such as \{/data: my-cl",
        ),
        (
            ["data.path=/served/{SPAN}/*"],
            r"data\.path is /served/\{SPAN\}/\*: Kubeflow's tasks .* Compile for one span",
        ),
        (["data.path=/elsewhere/*"], r"data\.path is /elsewhere/\*, which no task finds: the image has only what is b"),
        (
            ["schema=../s.pbtxt"],
            r"schema is .*/s\.pbtxt, which no task finds: .* Move it there, or give an absolute pa",
        ),
        (
            [*VERTEX, "kubeflow.pipeline_root=minio://b"],
            r"pipeline_root: got minio://b, expected a folder in Cloud Sto",
        ),
        ([*VERTEX, "kubeflow.volumes={/data: a}"], r"volumes: Vertex AI has none\. Use buckets, which .* below /gcs/"),
        ([*VERTEX, "nodes.all.node_selector={a: b}"], r"nodes\.ExampleGen\.node_selector: Vertex AI chooses machines"),
        ([*VERTEX, "serving.destination=/served"], r"Give an absolute path below /gcs/, such as /gcs/bucket/folder"),
    ],
)
def test_what_a_pod_would_lack_is_said_before_anything_is_compiled(
    project: Path, overrides: list[str], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        check(load(str(project), tuple(overrides)), project / "root")


def test_what_the_docs_show_is_a_config(project: Path) -> None:
    docs = (Path(__file__).parents[3] / "docs" / "schedulers.md").read_text()
    [shown] = re.findall(r"```yaml\n(kubeflow:.*?)```", docs, re.DOTALL)
    own = yaml.safe_load(YAML)
    config = loads(yaml.safe_dump({**own, **yaml.safe_load(shown)}), project)
    check(config, project / "root")
    assert config.nodes.of("Trainer").memory == 16 * 2**30


def test_a_volume_serves_data_too(project: Path) -> None:
    config: Config = load(str(project), ("data.path=/served/data/*",))
    check(config, project / "root")


@pytest.mark.parametrize(
    ("address", "path"), [("gs://a/b", "gcs/a/b"), ("minio://a/b", "minio/a/b"), ("s3://a/b", "s3/a/b")]
)
def test_addresses_become_the_paths_to_which_kubeflow_copies(address: str, path: str, tmp_path: Path) -> None:
    given, types = pb.ExecutorInput(), pb.ComponentInputsSpec()
    types.artifacts["model"].artifact_type.instance_schema = "title: tfx.Model"
    given.inputs.artifacts["model"].artifacts.add(uri=address, name="7")
    given.inputs.artifacts["none"].artifacts.add(uri=address).metadata["absent"] = 1
    given.outputs.artifacts["made"].artifacts.add(uri=f"{address}/made").type.instance_schema = "title: tfx.Model"
    given.outputs.artifacts["executor-logs"].artifacts.add(uri=address).type.schema_title = "system.Artifact"
    local = localized(given, types, tmp_path)
    [model] = local.inputs.artifacts["model"].artifacts
    assert (model.uri, model.name) == (str(tmp_path / path), "7")
    assert model.type.instance_schema == "title: tfx.Model", "Kubeflow gives none"
    assert local.outputs.artifacts["made"].artifacts[0].uri == str(tmp_path / path / "made")
    assert "none" not in local.inputs.artifacts, "an artifact that stands for none"
    assert "executor-logs" not in local.outputs.artifacts, "Kubeflow's own"
