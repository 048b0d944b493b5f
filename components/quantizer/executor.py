"""The Quantizer's work: convert, compare on the test split, decide, and write down all of it."""

import functools
import json
import logging
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.types.artifact import Artifact
from tfx.types.artifact_utils import get_single_instance
from tfx.utils import path_utils

from components.node_folder import checkpoint_folder
from components.quantizer import reading
from components.quantizer.candidates import Attempt, Judge, Maker, chosen, climb
from components.quantizer.compare import Truth
from components.quantizer.measure import measure
from components.quantizer.qat.tuner import Tuner
from components.quantizer.settings import TRAINED, QuantizerSettings, Recipe
from components.signatures import TRANSFORMED, signature_names
from lineage.outcome import InputError
from lineage.records import FLOAT, SAVED_MODEL, Measurement, QuantizationRecord

log = logging.getLogger("slipway.quantizer")

_ROWS = 64  # of the test split, with which is measured


class Executor(BaseExecutor):
    """Converts, compares and blesses; see `Quantizer`."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the outputs `tflite_model`, `blessing` and `metrics`."""
        settings = QuantizerSettings.model_validate_json(exec_properties["settings"])
        saved_model = path_utils.serving_model_path(get_single_instance(input_dict["model"]).uri)
        _check_signature(saved_model, reading.signature_of(input_dict, settings))
        tuned = checkpoint_folder(get_single_instance(output_dict["metrics"]).uri, input_dict, exec_properties)
        tuner = Tuner(input_dict, exec_properties, saved_model, tuned) if settings.trains else None
        if tuner and settings.recipes[0] in TRAINED:
            tuner.check()
        with tempfile.TemporaryDirectory(dir=self._get_tmp_dir()) as folder:
            data = reading.read(
                input_dict,
                task=exec_properties["task"],
                label=exec_properties["label"],
                weight=exec_properties.get("weight"),
                slices=json.loads(exec_properties["slices"]),
                settings=settings,
                folder=Path(folder),
            )
            maker = Maker(
                saved_model=saved_model,
                signature=data.signature,
                inputs=data.inputs,
                train=data.train,
                settings=settings,
                about=data.about,
                optional=data.optional,
                tuner=tuner,
            )
            judge = Judge(float_model=maker.float_model, test=data.test, truth=data.truth, settings=settings)
            tried = climb(settings.recipes, functools.partial(_attempt, maker, judge))
            record = _record(tried, len(maker.float_model), data.truth, settings)
            if settings.measure:
                record.measured = _measured(saved_model, maker.float_model, tried, data, Path(folder))
        _write(output_dict, tried, record)
        shutil.rmtree(tuned, ignore_errors=True)


def _attempt(maker: Maker, judge: Judge, recipe: Recipe) -> Attempt:
    tried = judge.judge(recipe, maker.make(recipe))
    return judge.with_control(tried, maker.control(recipe)) if recipe in TRAINED else tried


def _record(tried: list[Attempt], float_bytes: int, truth: Truth, settings: QuantizerSettings) -> QuantizationRecord:
    taken = chosen(tried)
    assert taken.model is not None and taken.found is not None
    found = taken.found
    reasons = [f"{one.recipe}: {reason}" for one in tried for reason in one.reasons]
    return QuantizationRecord(
        mode=taken.recipe,
        metric=found.metric,
        value=found.value,
        float_value=found.float_value,
        drop=found.drop,
        drop_interval=found.drop_interval,
        max_drop=settings.max_drop,
        max_slice_drop=settings.max_slice_drop,
        min_agreement=settings.min_agreement,
        agreement=found.agreement,
        slices=found.slices,
        bytes=len(taken.model),
        float_bytes=float_bytes,
        examples=len(truth.labels),
        weighted=truth.weights is not None,
        blessed=taken.blessed,
        reasons=[] if taken.blessed else taken.reasons if len(tried) == 1 else reasons,
        candidates=[one.recorded() for one in tried],
    )


def _measured(
    saved_model: str, float_model: bytes, tried: list[Attempt], data: reading.Data, folder: Path
) -> list[Measurement]:
    """Nothing where it fails, which says nothing against the files: they have answered the whole split."""
    files = {FLOAT: float_model} | {one.recipe: one.model for one in tried if one.model is not None}
    models = {name: folder / f"{name}.tflite" for name in files}
    for name, path in models.items():
        path.write_bytes(files[name])
    taken = data.test.take(np.arange(min(_ROWS, len(data.test)))).features
    rows = {name: column.numpy() for name, column in taken.items()}
    try:
        return measure({**models, SAVED_MODEL: Path(saved_model)}, rows, data.signature)
    except RuntimeError as error:
        log.warning("Nothing was measured: %s", error)
        return []


def _write(output_dict: dict[str, list[Artifact]], tried: list[Attempt], record: QuantizationRecord) -> None:
    """A refused file too, so that one can look at it; the Pusher obeys the blessing."""
    model = chosen(tried).model
    assert model is not None
    Path(get_single_instance(output_dict["tflite_model"]).uri, "model.tflite").write_bytes(model)
    record.save(get_single_instance(output_dict["metrics"]).uri)
    blessing = get_single_instance(output_dict["blessing"])
    blessing.blessed = int(record.blessed)
    Path(blessing.uri, "BLESSED" if record.blessed else "NOT_BLESSED").touch()


def _check_signature(saved_model: str, signature: str) -> None:
    there = signature_names(saved_model)
    if signature not in there:
        takes = "what the model itself takes" if signature == TRANSFORMED else "raw features"
        raise InputError(
            f"The model has no signature {signature!r}, which takes {takes}, by name, and is what becomes a TFLite "
            f"model; it has {', '.join(there)}. Export it in run_fn, or set quantizer.mode to none to push the "
            "SavedModel alone."
        )
