"""The Pusher against real MLMD, real SavedModels and a real server."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tfx.types.standard_artifacts import InfraBlessing, Model, ModelBlessing

from components.artifacts import QuantizationBlessing, TFLiteModel
from components.pusher.component import Pusher
from components.pusher.gate import check_blessings
from lineage.outcome import GateRefused
from lineage.records import InfraRecord
from serving.process import ServerProcess
from serving.publish import ModelFiles, publish
from serving.versions import find_versions
from tests.serving.small_model import export_small_model, raw_inputs
from tests.tfx_harness import Given, Ran, run_component

ONES = raw_inputs([1.0, 1.0, 1.0, 1.0], 1, [])  # predictions of weight w: [4 w, w]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[float, Path]:
    """Two Model artifacts' folders by weight."""
    folders = {weight: tmp_path_factory.mktemp("model") for weight in (1.0, 2.0)}
    for weight, folder in folders.items():
        export_small_model(folder / "Format-Serving", weight=weight)
    return folders


def blessing(root: Path, kind: type, blessed: int) -> Given:
    root.mkdir(parents=True, exist_ok=True)
    value = {"blessed": blessed}
    if kind is QuantizationBlessing:
        return Given(kind, str(root), properties=value)
    return Given(kind, str(root), custom_properties=value)


def push(root: Path, given: dict[str, Given], keep: int = 3) -> Ran:
    def make(**channels: object) -> Pusher:
        return Pusher(**channels, destination=str(root / "served"), keep=keep)

    return run_component(root, make, given)


def predict(version: Path) -> list[list[float]]:
    signature = tf.saved_model.load(str(version)).signatures["serving_default"]
    outputs = signature(**{name: tf.constant(array) for name, array in ONES.items()})
    return outputs["predictions"].numpy().tolist()


def test_blessed_model_becomes_the_next_version(tmp_path: Path, exported: dict[float, Path]) -> None:
    (tmp_path / "tflite").mkdir()
    (tmp_path / "tflite" / "model.tflite").write_bytes(b"quantized")
    ran = push(
        tmp_path,
        {
            "model": Given(Model, str(exported[2.0])),
            "tflite_model": Given(TFLiteModel, str(tmp_path / "tflite")),
            "model_blessing": blessing(tmp_path / "b1", ModelBlessing, 1),
            "quantization_blessing": blessing(tmp_path / "b2", QuantizationBlessing, 1),
            "infra_blessing": blessing(tmp_path / "b3", InfraBlessing, 1),
        },
    )
    [pushed] = ran.outputs["pushed_model"]
    folder = tmp_path / "served" / "1"
    assert pushed.custom_properties["pushed"].int_value == 1
    assert pushed.custom_properties["pushed_destination"].string_value == str(folder)
    assert pushed.custom_properties["pushed_version"].string_value == "1"
    assert (folder / "model.tflite").read_bytes() == b"quantized"
    assert predict(folder) == [[8.0, 2.0]]


@pytest.mark.parametrize(
    ("key", "kind", "judge"),
    [
        ("model_blessing", ModelBlessing, "the Evaluator did not bless"),
        ("quantization_blessing", QuantizationBlessing, "the Quantizer did not bless"),
        ("infra_blessing", InfraBlessing, "the InfraValidator did not bless the model: It crashed."),
    ],
)
def test_one_refusal_stops_the_push_before_anything_is_copied(
    tmp_path: Path, exported: dict[float, Path], key: str, kind: type, judge: str
) -> None:
    given = {
        "model": Given(Model, str(exported[2.0])),
        "model_blessing": blessing(tmp_path / "b1", ModelBlessing, 1),
        key: blessing(tmp_path / "refused", kind, 0),
    }
    InfraRecord(requests=0, max_difference=0, blessed=False, reasons=["It crashed."]).save(str(tmp_path / "refused"))
    with pytest.raises(GateRefused, match=judge):
        push(tmp_path, given)
    assert not (tmp_path / "served").exists()


def test_verdict_that_was_never_given_stops_the_push() -> None:
    with pytest.raises(GateRefused, match="the Quantizer gave no verdict"):
        check_blessings({"quantization_blessing": []})


def test_second_execution_on_the_same_model_artifact_adds_no_version(
    tmp_path: Path, exported: dict[float, Path]
) -> None:
    """The state after a kill between the rename and the metadata: the version is there, the execution runs again."""
    given = {"model": Given(Model, str(exported[2.0]))}
    first, second = push(tmp_path, given), push(tmp_path, given)
    assert first.execution.id != second.execution.id
    assert second.outputs["pushed_model"][0].custom_properties["pushed_version"].string_value == "1"
    assert list(find_versions(tmp_path / "served")) == [1]
    other = push(tmp_path, {"model": Given(Model, str(exported[1.0]))})
    assert other.outputs["pushed_model"][0].custom_properties["pushed_version"].string_value == "2"


@pytest.mark.parametrize(("destination", "keep", "message"), [("", 1, "destination=''"), ("served", 0, "keep=0")])
def test_wrong_arguments_are_refused_when_the_component_is_made(
    tmp_path: Path, exported: dict[float, Path], destination: str, keep: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        run_component(
            tmp_path,
            lambda **channels: Pusher(**channels, destination=destination, keep=keep),
            {"model": Given(Model, str(exported[2.0]))},
        )


def test_reader_that_loads_the_newest_version_meets_whole_models_only(
    tmp_path: Path, exported: dict[float, Path]
) -> None:
    """Odd versions have weight 1, even ones 2: a mixture, or a missing file, would show in the predictions or fail."""
    served = tmp_path / "served"
    failures: list[str] = []
    loaded: set[int] = set()

    def read() -> None:
        while len(loaded) < 8 and not failures:
            number, folder = max(find_versions(served).items())
            try:
                weight = 2.0 if number % 2 == 0 else 1.0
                assert predict(folder) == [[4 * weight, weight]]
            except Exception as error:
                if folder.exists():  # else it was pruned while it was loaded
                    failures.append(f"version {number}: {error}")
            else:
                loaded.add(number)

    push_weight(served, exported, 1)
    reader = threading.Thread(target=read)
    reader.start()
    number = 1
    while reader.is_alive():
        number += 1
        push_weight(served, exported, number)
    assert not failures


def push_weight(served: Path, exported: dict[float, Path], number: int) -> None:
    saved_model = exported[2.0 if number % 2 == 0 else 1.0] / "Format-Serving"
    assert publish(files=ModelFiles(saved_model, f"model {number}"), destination=served, keep=5).number == number


def test_kill_in_the_middle_of_a_push_leaves_the_old_version_served(
    tmp_path: Path, exported: dict[float, Path]
) -> None:
    """A push of a large model is killed while it copies; a server starts on what is there, and the next push works."""
    served, large = tmp_path / "served", tmp_path / "large"
    push(tmp_path, {"model": Given(Model, str(exported[1.0]))})
    shutil.copytree(exported[2.0], large)
    with (large / "Format-Serving" / "variables" / "padding").open("wb") as file:
        file.truncate(2**28)
    code = textwrap.dedent(f"""
        from pathlib import Path
        from serving.publish import ModelFiles, publish
        files = ModelFiles(Path({str(large / "Format-Serving")!r}), "model 2")
        publish(files=files, destination=Path({str(served)!r}), keep=1)
    """)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment)
    while not list((served / ".push").glob("work-*/staged/*/*")):
        assert process.poll() is None
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL

    with (
        ServerProcess(name="small", base_path=served, log_file=tmp_path / "server.log") as server,
        server.connect(timeout=60) as client,
    ):
        np.testing.assert_array_equal(client.predict(ONES)["predictions"], [[4.0, 1.0]])
        ran = push(tmp_path, {"model": Given(Model, str(exported[2.0]))})
        np.testing.assert_array_equal(client.predict(ONES)["predictions"], [[4.0, 1.0]])
    assert ran.outputs["pushed_model"][0].custom_properties["pushed_version"].string_value == "2"
    assert predict(served / "2") == [[8.0, 2.0]]
    assert not list((served / ".push").glob("work-*"))
