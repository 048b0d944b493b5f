"""The report shows what a run came to, whatever that is, in one file that refers to nothing outside."""

import dataclasses
import datetime
import html.parser
from pathlib import Path

import pytest
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd
from scipy import stats

from lineage.outcome import State
from lineage.recording import finish_run
from lineage.records import (
    ConfusionMatrix,
    Control,
    EvaluationRecord,
    Label,
    Latency,
    Measurement,
    QuantizationCandidate,
    Slice,
    SliceDrop,
    StepTimes,
    TrainingRecord,
)
from lineage.report import render
from lineage.report.candidates import size_against_metric
from lineage.report.metrics import wilson
from lineage.report.tables import SHOWN_SLICES, slice_table
from lineage.runs import Run, find_run
from lineage.summary import summarize
from tests.lineage.executions import begin, execute
from tests.lineage.recorded import EVALUATION, QUANTIZATION, TRAINING

VOID = {"meta", "br", "img", "link", "hr", "input"}


class Page(html.parser.HTMLParser):
    """Reads a page: its text, every address that an attribute names, and whether the tags are balanced."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "action")]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def page(run: Run, folder: Path) -> Page:
    """Renders the run and reads the page back."""
    out = folder / "report.html"
    render(run, out)
    assert [path.name for path in folder.glob("report.html*")] == ["report.html"]
    return Page(out.read_text(encoding="utf-8"))


def test_a_complete_run_shows_all_that_was_recorded(digits: Run, tmp_path: Path) -> None:
    shown = page(digits, tmp_path).text
    for expected in (
        "Pushed version 3",
        str(tmp_path / "serving" / "digits" / "3" / "model.tflite"),
        "96.00 %",  # accuracy
        "3.8 times smaller",  # 427,172 / 113,672
        "0.2 points worse than float",
        "0.2 points worse than float, where 0.5 points worse is allowed",
        "99.40 %",  # agreement
        "validation",
        "best: epoch 2",
        "true 1 taken for 0 (35)",  # most often mistaken
        "label:1",
        "not defined",  # its loss is NaN
        "payment_type",
        "32 requests",
        "name: digits",
    ):
        assert expected in shown


def test_a_run_that_found_everything_cached_does_not_claim_to_have_pushed(digits: Run, tmp_path: Path) -> None:
    nodes = tuple(dataclasses.replace(node, state=State.CACHED) for node in digits.nodes)
    shown = page(dataclasses.replace(digits, nodes=nodes), tmp_path).text
    assert "Unchanged: version 3" in shown
    assert "Pushed version" not in shown


def test_the_page_makes_no_external_request(digits: Run, tmp_path: Path) -> None:
    read = page(digits, tmp_path)
    assert all(address.startswith("#") for address in read.addresses)
    assert {"script", "link", "img", "iframe"}.isdisjoint(read.tags)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "http" not in text.replace("http-equiv", "")
    assert "@import" not in text


def test_a_failed_run_without_any_artifact_renders(store: MetadataStore, root: Path, tmp_path: Path) -> None:
    begin(store, root, "r1")
    execute(store, "r1", "Make", mlmd.Execution.FAILED)
    finish_run(store, "r1", State.FAILED, "Make: no file matches data/<split>/*")
    shown = page(find_run(store, root, "r1"), tmp_path).text
    assert "Failed in Make" in shown
    assert "no file matches data/<split>/*" in shown  # parsed back, so it was escaped
    assert "Nothing was pushed" in shown


@pytest.mark.parametrize(
    ("state", "reason", "expected"),
    [
        (State.REFUSED, "Quantizer refused: drop 0.02", "Refused by a gate"),
        (State.INTERRUPTED, "The process ended", "Interrupted"),
        (State.FAILED, "interrupted", "Interrupted, and given up"),
        (State.RUNNING, "", "Running"),
        (State.COMPLETE, "", "Complete, nothing was pushed"),
    ],
)
def test_every_state_has_its_verdict_even_without_nodes(
    tmp_path: Path, state: State, reason: str, expected: str
) -> None:
    now = datetime.datetime.now(datetime.UTC)
    run = Run("r1", "digits", state, now, None, reason, "", "", (), (), tmp_path)
    shown = page(run, tmp_path).text
    assert expected in shown
    assert reason in shown


def test_what_garbage_collection_removed_is_left_out(digits: Run, tmp_path: Path) -> None:
    for record in ("Trainer/training.json", "Evaluator/evaluation.json", "serving/digits/3/model.tflite"):
        (tmp_path / record).unlink()
    shown = page(digits, tmp_path).text
    assert "Pushed version 3" in shown
    assert "best: epoch" not in shown
    assert "Float against int8" in shown


def test_a_damaged_record_is_named_on_the_page(digits: Run, tmp_path: Path) -> None:
    (tmp_path / "Evaluator" / "evaluation.json").write_text("{", encoding="utf-8")
    assert "Evaluator/evaluation.json" in page(digits, tmp_path).text


def test_a_regression_is_shown_in_whole_numbers_and_its_drop_in_per_cent(digits: Run, tmp_path: Path) -> None:
    whole = Slice(
        name="",
        examples=1000,
        metrics={"mean_absolute_error": 135_905.3},
        changes={"mean_absolute_error": -1_234.5},
    )
    evaluation = {"slices": [whole], "confusion_matrix": None, "has_baseline": True}
    EVALUATION.model_copy(update=evaluation).save(str(tmp_path / "Evaluator"))
    errors = {"metric": "mean_absolute_error", "float_value": 135_905.3, "value": 137_128.4, "agreement": None}
    QUANTIZATION.model_copy(update={**errors, "drop": 0.009, "max_drop": 0.05}).save(str(tmp_path / "Quantizer"))
    shown = page(digits, tmp_path).text
    for expected in (
        "135,905",
        "137,128",
        "-1,234 against the blessed model",
        "0.9 % of the median's error worse than float, where 5 % of the median's error worse is allowed",
    ):
        assert expected in shown
    assert "e+0" not in shown
    assert "points" not in shown


def test_labels_of_a_multilabel_model_are_shown_one_by_one(digits: Run, tmp_path: Path) -> None:
    labels = [
        Label(name="round", positives=1_203, metrics={"binary_accuracy": 0.9125, "auc": 0.987}),
        Label(name="even", positives=0, metrics={"binary_accuracy": 1.0, "auc": float("nan")}),
    ]
    EVALUATION.model_copy(update={"labels": labels, "confusion_matrix": None}).save(str(tmp_path / "Evaluator"))
    shown = page(digits, tmp_path).text
    assert (
        "Label by label label examples that have it accuracy AUC round 1,203 91.25 % 0.987 even 0 100.00 % not def"
        in shown
    )


def test_weighted_metrics_say_so_and_have_no_binomial_interval(digits: Run, tmp_path: Path) -> None:
    assert "95 % interval" in page(digits, tmp_path).text
    EVALUATION.model_copy(update={"weight": "copies"}).save(str(tmp_path / "Evaluator"))
    QUANTIZATION.model_copy(update={"weighted": True}).save(str(tmp_path / "Quantizer"))
    shown = page(digits, tmp_path).text
    assert "Metrics weigh the examples by copies ; numbers of examples are counts." in shown
    assert "1,000 examples of the test split, weighted." in shown
    assert "95 % interval" not in shown
    found = slice_table(EVALUATION.model_copy(update={"weight": "copies"}))
    assert found is not None
    assert [(row.high - row.low, row.stands_out) for row in found.rows] == [(0, False), (0, False)]


def test_a_training_of_one_epoch_that_diverged_renders(digits: Run, tmp_path: Path) -> None:
    history = {"loss": [float("nan")], "val_loss": [float("inf")]}
    TrainingRecord(epochs=1, best_epoch=1, parameters=10, examples_per_second=1.0, history=history).save(
        str(tmp_path / "Trainer")
    )
    assert "1 epoch" in page(digits, tmp_path).text


def test_memory_is_shown_by_device_where_there_are_several(digits: Run, tmp_path: Path) -> None:
    heading = "Weights and optimizer slots by device"
    TRAINING.model_copy(update={"bytes_by_device": {"GPU:0": 1_500_000}}).save(str(tmp_path / "Trainer"))
    assert heading not in page(digits, tmp_path).text
    by_device = {"GPU:0": 1_500_000, "GPU:1": 2_000_000_000}
    TRAINING.model_copy(update={"bytes_by_device": by_device}).save(str(tmp_path / "Trainer"))
    assert f"{heading} GPU:0 1.5 MB GPU:1 2 GB" in page(digits, tmp_path).text


def test_what_the_training_began_with_is_shown(digits: Run, tmp_path: Path) -> None:
    assert "It began with" not in page(digits, tmp_path).text
    TRAINING.model_copy(update={"warm_start": "/models/3/Format-Serving"}).save(str(tmp_path / "Trainer"))
    assert "It began with the weights of /models/3/Format-Serving ." in page(digits, tmp_path).text


def test_where_the_time_of_a_step_goes_is_shown_in_shares(digits: Run, tmp_path: Path) -> None:
    times = StepTimes(first_step=10, last_step=19, input=0.001, compute=0.006, all_reduce=0.002, rest=0.001)
    TRAINING.model_copy(update={"step_times": times}).save(str(tmp_path / "Trainer"))
    shown = page(digits, tmp_path).text
    assert "Where the time of a step goes: 10 ms" in shown
    assert "input 1 ms, 10 % compute 6 ms, 60 % all-reduce 2 ms, 20 % rest 1 ms, 10 %" in shown
    assert "Means over the steps 10 to 19" in shown


def test_hundreds_of_classes_and_slices_stay_a_page(digits: Run, tmp_path: Path) -> None:
    labels = [f"class {i}" for i in range(200)]
    parts = [Slice(name=label, examples=50, metrics={"accuracy": i / 200}) for i, label in enumerate(labels)]
    whole = Slice(name="", examples=10_000, metrics={"accuracy": 0.5})
    matrix = ConfusionMatrix(labels=labels, counts=[[1] * 200] * 200)
    EVALUATION.model_copy(update={"slices": [whole, *parts], "confusion_matrix": matrix}).save(
        str(tmp_path / "Evaluator")
    )
    shown = page(digits, tmp_path).text
    assert "200 classes: too many" in shown
    assert f"{200 - SHOWN_SLICES} better slices are not shown" in shown
    assert "class 0" in shown
    assert "class 199" not in shown.replace("class 199 for", "").replace("for class 199", "")


@pytest.mark.parametrize(("right", "examples"), [(0, 10), (10, 10), (97, 100), (4873, 5000)])
def test_intervals_are_those_of_scipy(right: int, examples: int) -> None:
    expected = stats.binomtest(right, examples).proportion_ci(0.95, method="wilson")
    assert wilson(right / examples, examples) == pytest.approx((expected.low, expected.high), abs=1e-12)


def table(metric: str, values: dict[str, float]) -> list[str]:
    """The slices' names in the order of the table; the whole split has 0.5."""
    parts = [Slice(name=name, examples=1000, metrics={metric: value}) for name, value in values.items()]
    whole = Slice(name="", examples=5000, metrics={metric: 0.5})
    record = EvaluationRecord(
        split="test", slices=[whole, *parts], confusion_matrix=None, blessed=True, has_baseline=False, reasons=[]
    )
    found = slice_table(record)
    assert found is not None
    return [row.part.name for row in found.rows]


def test_the_worst_slice_comes_first_whichever_way_is_better() -> None:
    values = {"low": 0.1, "undefined": float("nan"), "high": 0.9}
    assert table("accuracy", values) == ["low", "high", "undefined"]
    assert table("mean_absolute_error", values) == ["high", "low", "undefined"]


def test_only_slices_that_differ_beyond_chance_stand_out() -> None:
    found = slice_table(EVALUATION)
    assert found is not None
    # 0.93 of 500 has the interval .904 to .949, which is below the overall .96; 0.99 has .977 to .996, above it.
    assert [(row.part.name, row.stands_out) for row in found.rows] == [("label:1", True), ("label:0", True)]
    near = EVALUATION.slices[1].model_copy(update={"metrics": {"sparse_categorical_accuracy": 0.955}})
    found = slice_table(EVALUATION.model_copy(update={"slices": [EVALUATION.slices[0], near]}))
    assert found is not None
    assert [row.stands_out for row in found.rows] == [False]


def test_the_curves_use_the_colours_and_the_font_of_the_page(digits: Run, tmp_path: Path) -> None:
    page(digits, tmp_path)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    figures = text[text.index('<svg class="figure"') : text.index("<h2>Evaluation")]
    assert figures.count('<svg class="figure"') == sum(not name.startswith("val_") for name in TRAINING.history)
    assert "var(--train)" in figures
    assert "#01" not in figures
    assert "DejaVu" not in figures


def test_what_the_quantizer_tried_is_a_table_and_a_picture_of_size_against_accuracy(
    digits: Run, tmp_path: Path
) -> None:
    worst = SliceDrop(name="label:3", examples=98, value=0.5, float_value=0.9, drop=0.4, interval=(0.3, 0.5))
    found = {"mode": "int8", "bytes": 100_000, "value": 0.91, "drop": 0.05, "agreement": 0.95, "worst_slice": worst}
    refused = QuantizationCandidate(**found, blessed=False, reasons=["accuracy is worse"], notes=["RELU stands alone"])
    taken = refused.model_copy(
        update={"mode": "dynamic", "value": 0.958, "drop": 0.002, "blessed": True, "reasons": [], "notes": []}
    )
    measured = [
        Measurement(
            model=name,
            bytes=size,
            memory=3 * size,
            latencies=[Latency(threads=1, median=seconds, p99=2 * seconds)],
            operations=None if name == "SavedModel" else 12,
            left_by_xnnpack=left,
        )
        for name, size, seconds, left in (
            ("float", 427_172, 30e-6, []),
            ("int8", 100_000, 14.2e-6, ["QUANTIZE", "SOFTMAX", "QUANTIZE"]),
            ("dynamic", 100_000, 1.25e-3, []),
            ("SavedModel", 2_000_000, 2.5, []),
        )
    ]
    record = QUANTIZATION.model_copy(update={"mode": "dynamic", "candidates": [refused, taken], "measured": measured})
    record.save(str(tmp_path / "Quantizer"))
    shown = page(digits, tmp_path)
    assert "Float against dynamic" in shown.text
    assert "int8 100 kB 91.00 % 0.0500 95.00 % label:3: 0.4000 of 98 examples refused : accuracy is worse" in shown.text
    assert "int8: RELU stands alone." in shown.text
    assert "float 427 kB 1.28 MB 30 µs 60 µs 12 of 12" in shown.text
    assert "int8 100 kB 300 kB 14.2 µs 28.4 µs 9 of 12, not 2 QUANTIZE, SOFTMAX" in shown.text
    assert "SavedModel 2 MB 6 MB 2.5 s 5 s" in shown.text
    assert "int8, 14.2 µs" in size_against_metric(record) and "dynamic, 1.25 ms" in size_against_metric(record)
    assert "size and accuracy" in size_against_metric(record)
    assert size_against_metric(QUANTIZATION.model_copy(update={"candidates": [taken]})) == ""


def test_a_file_that_was_fine_tuned_for_stands_beside_its_control(digits: Run, tmp_path: Path) -> None:
    found = {"mode": "int8_qat", "bytes": 100_000, "value": 0.95, "drop": 0.01, "agreement": 0.95, "worst_slice": None}
    control = Control(value=0.93, gain=0.02, interval=(0.012, 0.028))
    tried = QuantizationCandidate(**found, blessed=True, reasons=[], control=control)
    record = QUANTIZATION.model_copy(update={"mode": "int8_qat", "value": 0.95, "candidates": [tried]})
    record.save(str(tmp_path / "Quantizer"))
    said = "int8_qat is 2 points better than its control, the same fine-tuning without rounding, quantized when it had"
    assert f"{said} ended (accuracy 93.00 %; 95 % interval" in page(digits, tmp_path).text
    summary = summarize(digits).quantized
    assert summary is not None and summary.control == control
