"""Imports what Beam's workers import, in the order and alone as they do, and prints one line on what it found."""

# isort: off
# First and without tfx, which would hide a missing tfx_bsl.arrow.sql_util behind a mock.
import tensorflow_data_validation

import tensorflow
import tensorflow_model_analysis
import tensorflow_transform
import tfx_bsl

import custom_ops

versions = {
    "TensorFlow": tensorflow,
    "TFDV": tensorflow_data_validation,
    "TFT": tensorflow_transform,
    "TFMA": tensorflow_model_analysis,
    "TFX-BSL": tfx_bsl,
}
print(
    "workers can import",
    ", ".join(f"{name} {module.__version__}" for name, module in versions.items()) + ";",
    "custom ops built" if custom_ops.available() else "custom ops not in use, plain TensorFlow instead",
)
