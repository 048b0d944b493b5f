"""Tries a kernel for GPUs on the GPU at hand, before anything is computed with it: what is wrong there must not train.

Kernels for GPUs are compiled wherever there is CUDA's compiler; not every GPU, driver and cuBLAS has been tried before.
"""

import concurrent.futures
import logging
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

DEVICE = "GPU:0"

# Of what, the tensor that the kernel computed, what it should be, and the error allowed relative to the largest number.
Results = Iterator[tuple[str, Any, Any, float]]


def passes(kernel: str, results: Callable[[], Results]) -> bool:
    """Whether all results are what they should be on this GPU; False after one warning that says which is not."""
    # A thread has no graph, scope or strategy: there all is computed at once, wherever the call came from.
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        wrong = thread.submit(_first_wrong, results).result()
    if wrong:
        logging.getLogger("slipway").warning(
            "custom_ops: %s is not used on this GPU, since %s; plain TensorFlow runs instead.", kernel, wrong
        )
    return wrong is None


def _first_wrong(results: Callable[[], Results]) -> str | None:
    try:
        with tf.device(DEVICE):
            for what, found, expected, tolerance in results():
                if not found.device.endswith(DEVICE):
                    return f"TensorFlow ran it on {found.device}"
                if not _equal(tf.cast(found, tf.float64).numpy(), tf.cast(expected, tf.float64).numpy(), tolerance):
                    return f"it is wrong for {what}"
    except tf.errors.OpError as error:
        return f"it failed ({error.message})"
    return None


def _equal(found: Any, expected: Any, tolerance: float) -> bool:
    """NaN where NaN is expected, and nowhere else."""
    allowed = tolerance * np.fmax.reduce(np.abs(expected), axis=None, initial=1.0)
    return found.shape == expected.shape and np.allclose(found, expected, rtol=0, atol=allowed, equal_nan=True)
