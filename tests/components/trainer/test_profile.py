"""Claims about profiled steps: which of them are in the trace, and how their time is divided."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from components.trainer.profile import StepProfile
from components.trainer.settings import TrainerSettings
from components.trainer.step_times import step_times
from components.trainer.train import train
from lineage.records import StepTimes, TrainingRecord
from tests.components.trainer.profiled import training
from tests.forked import Forked

MS = 10**9  # picoseconds


@pytest.fixture(scope="module")
def profiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("profiled")
    done = Forked("tests.components.trainer.profiled", str(folder), output=folder / "output.txt")
    assert done.wait() == 0, done.output.read_text()
    return folder


@pytest.fixture(scope="module")
def times(profiled: Path) -> StepTimes:
    record = TrainingRecord.load(str(profiled))
    assert record is not None
    assert record.step_times is not None
    return record.step_times


def host_events(folder: Path) -> list[tuple[str, int, int]]:
    """Name, begin and end (ps) of the events on the CPU in the only trace where TensorBoard looks for traces."""
    [trace] = (folder / "tensorboard" / "plugins" / "profile").glob("*/*.xplane.pb")
    space = xplane_pb2.XSpace.FromString(trace.read_bytes())
    [plane] = [plane for plane in space.planes if plane.name == "/host:CPU"]
    events = []
    for line in plane.lines:
        for event in line.events:
            begin = line.timestamp_ns * 1000 + event.offset_ps
            events.append((plane.event_metadata[event.metadata_id].name, begin, begin + event.duration_ps))
    return events


def test_exactly_the_steps_that_were_asked_for_are_in_the_trace(profiled: Path, times: StepTimes) -> None:
    assert (times.first_step, times.last_step) == (3, 7)
    events = host_events(profiled)
    steps = [(begin, end) for name, begin, end in events if name == "train"]
    assert len(steps) == 5
    passes = [begin for name, begin, _ in events if name.rpartition(":")[2] in ("Softmax", "_MklSoftmax")]
    trained = [time for time in passes if any(begin <= time < end for begin, end in steps)]
    assert len(trained) == 5 * 2, "a forward pass for each step and replica"
    assert len(passes) - len(trained) == 4 * 2, "and those of the validation in between"


def test_the_parts_of_a_step_sum_to_its_time(profiled: Path, times: StepTimes) -> None:
    seconds = np.mean([end - begin for name, begin, end in host_events(profiled) if name == "train"]) / 1e12
    assert sum(times.parts.values()) == pytest.approx(seconds, rel=1e-6)
    assert times.compute > 0 and times.all_reduce > 0
    assert min(times.parts.values()) >= 0, "none may be left for input and the rest where the others overlap"


def test_a_resumed_training_keeps_what_was_profiled(tmp_path: Path) -> None:
    class Fail(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch == 1:
                raise RuntimeError("killed")

    def run(**hooks: Any) -> TrainingRecord:
        settings = TrainerSettings(epochs=2, batch_size=16, profile=(2, 3))
        return train(training(settings, **hooks), tf.distribute.get_strategy(), tmp_path / "c", str(tmp_path))[1]

    with pytest.raises(RuntimeError, match="killed"):
        run(callbacks=lambda hp: [Fail()])
    found = run().step_times
    assert found is not None
    assert (found.first_step, found.last_step, found.all_reduce) == (2, 3, 0)


def test_a_training_that_ends_early_keeps_its_trace_and_one_that_fails_none(tmp_path: Path) -> None:
    for folder, raised in ((tmp_path / "early", None), (tmp_path / "failed", ValueError)):
        profile = StepProfile((1, 9), folder)
        try:
            with profile:
                for done in range(2):
                    with profile.around(done):
                        tf.reduce_sum(tf.ones([2, 2]))
                if raised:
                    raise raised
        except ValueError:
            assert profile.times is None
            assert not list(folder.rglob("*.xplane.pb"))
        else:
            assert profile.times is not None
            assert (profile.times.first_step, profile.times.last_step) == (1, 2)


def test_steps_are_cut_alike_in_processes_that_do_not_trace() -> None:
    for profile in (StepProfile((4, 6), Path("folder")), StepProfile((4, 6), None)):
        assert [profile.most_steps(done) for done in (0, 1, 2, 3, 5)] == [3, 2, 1, 1, 1]
        assert profile.most_steps(6) > 10**6
    with StepProfile((1, 1), None) as profile, profile.around(0):
        pass
    assert profile.times is None


def write(folder: Path, planes: dict[str, dict[str, list[tuple[str, float, float]]]]) -> Path:
    """A trace in the profiler's format: planes of threads of events (name, begin, end), in ms."""
    space = xplane_pb2.XSpace()
    for plane_name, threads in planes.items():
        plane = space.planes.add(name=plane_name)
        plane.stat_metadata[1].CopyFrom(xplane_pb2.XStatMetadata(id=1, name="step_num"))
        for thread, events in threads.items():
            line = plane.lines.add(name=thread)
            for number, (name, begin, end) in enumerate(events):
                key = len(plane.event_metadata) + 1
                plane.event_metadata[key].CopyFrom(xplane_pb2.XEventMetadata(id=key, name=name))
                event = line.events.add(metadata_id=key, offset_ps=int(begin * MS), duration_ps=int((end - begin) * MS))
                event.stats.add(metadata_id=1, int64_value=10 + number)
    path = folder / "trace.xplane.pb"
    path.write_bytes(space.SerializeToString())
    return path


def test_every_moment_counts_once_as_compute_before_all_reduce_before_input(tmp_path: Path) -> None:
    trace = write(
        tmp_path,
        {
            "/host:CPU": {
                "python": [("train", 0, 10), ("train", 20, 30)],
                "tf_Compute/1": [
                    ("while/dense/MatMul:MatMul", 2, 4),  # 0-1 rest, 1-2 input, 2-5 compute
                    ("while/dense/MatMul:MatMul", 22, 24),
                    ("MatMul:MatMul", 12, 18),  # of no step
                    ("while/body:While", 0, 30),
                ],
                "tf_Compute/2": [("while/dense/Relu:Relu", 3, 5)],
                "collective_ops/3": [("while/CollectiveReduceV2:CollectiveReduceV2", 4, 8)],  # 5-8 all-reduce
                "tf_data_iterator_get_next/4": [("IteratorGetNextOp::DoCompute", 1, 2.5)],
                "tf_data_private_threadpool/5": [("GatherV2:GatherV2", 0, 30)],
            }
        },
    )
    found = step_times(trace)
    assert (found.first_step, found.last_step) == (10, 11)
    # Means over the two steps: 3 + 2 ms of compute, 3 of all-reduce, 1 of input, of 20 ms.
    expected = {"input": 0.5, "compute": 2.5, "all-reduce": 1.5, "rest": 5.5}
    assert {name: 1000 * seconds for name, seconds in found.parts.items()} == pytest.approx(expected)


def test_where_there_is_a_gpu_compute_is_what_it_does(tmp_path: Path) -> None:
    trace = write(
        tmp_path,
        {
            "/host:CPU": {"python": [("train", 0, 10)], "tf_Compute/1": [("while/dense/MatMul:MatMul", 0, 9)]},
            "/device:GPU:0": {
                "Stream #1(Compute)": [("sm80_gemm", 1, 3), ("ncclDevKernel_AllReduce", 3, 7)],
                "Stream #2(MemcpyH2D)": [("MemcpyH2D", 7, 8)],
            },
            "/device:GPU:1": {"Stream #1(Compute)": [("sm80_gemm", 2, 4)]},
        },
    )
    expected = {"input": 0.0, "compute": 3.0, "all-reduce": 3.0, "rest": 4.0}
    assert {name: 1000 * seconds for name, seconds in step_times(trace).parts.items()} == pytest.approx(expected)
