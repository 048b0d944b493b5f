"""From a signature of a SavedModel, `transformed` unless said, to TFLite files, one function a recipe; none is judged.

The same SavedModel and the same representative examples give the same bytes. The batch is dynamic. Only TFLite's own
operations are used: those that it lacks need the Flex delegate, which no Python package has had since TensorFlow 2.20
(github.com/google-ai-edge/LiteRT/issues/6458), so that nobody could tell here what such a file answers.
"""

import contextlib
import io
from collections.abc import Iterator, Mapping

import tensorflow as tf
from ai_edge_quantizer import quantizer as ai_edge
from ai_edge_quantizer import recipe as ai_edge_recipes
from tensorflow.lite.python.convert_phase import ConverterError

from components.quantizer.describe import without_runtime_version
from components.quantizer.representative import Representative
from components.signatures import TRANSFORMED
from lineage.outcome import InputError

_DO_WITHOUT = "do without the TFLite model (quantizer: {mode: none})"
_SELECT = "TF Select ops: "  # where the converter lists what TFLite lacks
_IN_TRANSFORM = "transform_features_layer"  # in the converter's words for where an operation is
_IO = {"uint8": tf.uint8, "int8": tf.int8, "float32": tf.float32}


def to_float(saved_model: str, signature: str = TRANSFORMED) -> bytes:
    """The float32 TFLite model: what the quantized one is compared with.

    Args:
      saved_model: Folder of a SavedModel.
      signature: What becomes the file.
    """
    return _converter(saved_model, signature).convert()


def to_float16(saved_model: str, signature: str = TRANSFORMED) -> bytes:
    """Weights float16, everything else float32."""
    converter = _converter(saved_model, signature)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    return converter.convert()


def to_dynamic(saved_model: str, signature: str = TRANSFORMED) -> bytes:
    """Weights int8; activations are float32 and quantized on the way into an op that computes in integers."""
    converter = _converter(saved_model, signature)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return converter.convert()


def to_int8(
    saved_model: str, representative: Representative, io_type: str = "uint8", signature: str = TRANSFORMED
) -> bytes:
    """The full-integer TFLite model: int8 weights and activations.

    Args:
      saved_model: Folder of a SavedModel.
      representative: Yields single examples, from which the ranges of the activations are taken.
      io_type: uint8, int8 or float32: what it takes for float inputs, and what it gives.
      signature: What becomes the file.
    """
    converter = _converter(saved_model, signature)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = _IO[io_type]
    converter.inference_output_type = _IO[io_type]
    return converter.convert()


def to_int4(float_model: bytes) -> bytes:
    """Weights int4, a scale a channel, unpacked to float32 at run time: the smallest file, and a slow one."""
    engine = ai_edge.Quantizer(float_model, ai_edge_recipes.weight_only_wi4_afp32())
    with contextlib.redirect_stderr(io.StringIO()):  # it draws a progress bar whatever it is told
        made = bytes(engine.quantize(enable_progress_bar=False, enable_progress_report=False).quantized_model)
    return without_runtime_version(made)  # it leaves that of the float model


def _converter(saved_model: str, signature: str) -> tf.lite.TFLiteConverter:
    return tf.lite.TFLiteConverter.from_saved_model(saved_model, signature_keys=[signature])


@contextlib.contextmanager
def told_in_a_sentence(inputs: Mapping[str, tf.TensorSpec]) -> Iterator[None]:
    """While entered, a failure of the converter is an InputError, as is a model that it cannot quantize anyway.

    Args:
      inputs: What the model takes, `[batch, ...]`.
    """
    text = sorted(name for name, spec in inputs.items() if spec.dtype == tf.string)
    if text:
        raise InputError(
            f"The model takes text, {', '.join(text)}, expected numbers: a quantized TFLite model takes nothing else. "
            f"Make numbers of text in preprocessing_fn (tft.compute_and_apply_vocabulary), or {_DO_WITHOUT}."
        )
    try:
        yield
    except (ConverterError, RuntimeError, ValueError) as error:
        raise InputError(f"TFLite cannot convert the model: {_reason(error)}. {_advice(error, inputs)}.") from error


def _reason(error: Exception) -> str:
    """Of `<unknown>:0: error: loc(callsite(...)): 'tf.Op' op requires ...` and many more lines: which op, what."""
    if select := _select_ops(error):
        return f"TFLite has no {select}"
    first = next(iter(str(error).splitlines()), type(error).__name__)
    return first.rsplit("): ", 1)[-1].rstrip(".")


def _select_ops(error: Exception) -> str:
    return next((line.split(_SELECT)[1].strip() for line in str(error).splitlines() if _SELECT in line), "")


def _advice(error: Exception, inputs: Mapping[str, tf.TensorSpec]) -> str:
    if _IN_TRANSFORM in str(error):
        return (
            "It is of preprocessing_fn: compute it otherwise there (comparisons instead of tft.bucketize), or set "
            "quantizer.include_preprocessing to false, so that what calls the file computes the model's inputs"
        )
    if _select_ops(error):
        return (
            "A file with TensorFlow's own op (Flex) cannot be run here, nor be compared: compute it otherwise in the "
            f"layer, or in preprocessing_fn, or {_DO_WITHOUT}"
        )
    change = "Change the layer"
    if "TensorList" in str(error):
        change = "Give the recurrent layer unroll=True, for which the number of its steps has to be fixed"
    lists = sorted(name for name, spec in inputs.items() if not spec.shape[1:].is_fully_defined())
    if not lists:
        return f"{change}, or {_DO_WITHOUT}"
    return (
        f"Examples have any number of values of {', '.join(lists)}; for some layers, such as LSTM, TFLite needs to "
        f"know how many: pad to a fixed number in preprocessing_fn. {change}, or {_DO_WITHOUT}"
    )
