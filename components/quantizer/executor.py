"""The Quantizer's work: convert twice, compare on the test split, decide."""

import logging
import tempfile
from pathlib import Path
from typing import Any

import tensorflow as tf
from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.types.artifact import Artifact
from tfx.types.artifact_utils import get_single_instance
from tfx.utils import path_utils

from components import dataset
from components.quantizer import compare, convert
from components.quantizer.interpreter import TFLite
from components.signatures import signature_names
from lineage.outcome import InputError

log = logging.getLogger("slipway.quantizer")

_SHARE = 4  # of the available memory that a split may take; beyond that it is on disk


class Executor(BaseExecutor):
    """Converts, compares and blesses; see `Quantizer`."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the outputs `tflite_model`, `blessing` and `metrics`."""
        saved_model = path_utils.serving_model_path(get_single_instance(input_dict["model"]).uri)
        _check_signature(saved_model)
        with tempfile.TemporaryDirectory(dir=self._get_tmp_dir()) as folder:  # its files are read on when it has gone
            label, weight = exec_properties["label"], exec_properties.get("weight")
            inputs, train, test = _read(input_dict, label, weight, Path(folder))
        with convert.told_in_a_sentence(inputs):
            representative = convert.representative(
                train, exec_properties["representative_examples"], exec_properties["seed"]
            )
            quantized = convert.to_int8(saved_model, representative)
            float_model = convert.to_float(saved_model)

        record = compare.compare(
            TFLite(float_model),
            TFLite(quantized),
            test,
            task=exec_properties["task"],
            mode=exec_properties["mode"],
            max_drop=exec_properties["max_drop"],
        )
        log.info("%s %.4f, float %.4f; %d bytes, float %d", record.metric, record.value, record.float_value,
                 record.bytes, record.float_bytes)  # fmt: skip
        Path(get_single_instance(output_dict["tflite_model"]).uri, "model.tflite").write_bytes(quantized)
        record.save(get_single_instance(output_dict["metrics"]).uri)
        blessing = get_single_instance(output_dict["blessing"])
        blessing.blessed = int(record.blessed)
        Path(blessing.uri, "BLESSED" if record.blessed else "NOT_BLESSED").touch()


def _check_signature(saved_model: str) -> None:
    there = signature_names(saved_model)
    if convert.SIGNATURE not in there:
        raise InputError(
            f"The model has no signature {convert.SIGNATURE!r}, which takes what the model itself takes, by name, and "
            f"is what becomes a TFLite model; it has {', '.join(there)}. Export it in run_fn, or set quantizer.mode to "
            "none to push the SavedModel alone."
        )


def _read(
    input_dict: dict[str, list[Artifact]], label: str, weight: str | None, folder: Path
) -> tuple[dict[str, tf.TensorSpec], dataset.AnySplit, dataset.AnySplit]:
    """The model's inputs, and the splits train and test."""
    schema = dataset.read_schema(get_single_instance(input_dict["schema"]))
    examples = input_dict["examples"]
    spec = dataset.model_spec(schema, dataset.read_transform(input_dict.get("transform_graph")))
    spec = dataset.with_image_sizes(spec, examples)
    cache = dataset.Cache(folder, dataset.available_memory() // _SHARE)
    train, test = (dataset.read_split(examples, split, spec, label, weight, cache) for split in ("train", "test"))
    return dataset.input_specs(spec, label, weight), train, test
