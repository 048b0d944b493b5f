"""Finds and loads the library of compiled ops, and decides between an op and its composite twin. No maths."""

import contextlib
import functools
import json
import logging
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf

FOLDER = Path(__file__).parent

_lock = threading.Lock()
_open_scopes = 0


def available() -> bool:
    """Whether the compiled ops are loaded and fit this machine's devices; False: every call runs its composite.

    Where TensorFlow sees a GPU and the ops were built without a CUDA compiler, the composites run, on the GPU.
    """
    return load() is not None and _fits_devices()


def why_unavailable() -> str | None:
    """Why every call would run its composite here, as half a sentence; None where the compiled ops run."""
    _, reason = _loaded()
    if reason is None and not _fits_devices():
        return "TensorFlow sees a GPU, and the compiled ops were built without CUDA's compiler"
    return reason


def ops_to_call() -> Any | None:
    """The compiled ops, when a call made now should run one; None when it should run its composite."""
    return load() if _open_scopes == 0 and available() else None


@contextlib.contextmanager
def composite() -> Iterator[None]:
    """While the scope is open every call in the process, on any thread, runs its composite in plain TensorFlow.

    Needed around tracing what will be exported. A `tf.function` traced before keeps the op.

    Example:
        with custom_ops.composite():
            tf.saved_model.save(module, folder)  # loads without the library of compiled ops
    """
    global _open_scopes
    with _lock:
        _open_scopes += 1
    try:
        yield
    finally:
        with _lock:
            _open_scopes -= 1


@functools.cache
def load() -> Any | None:
    """The compiled ops as TensorFlow's module of functions; None, after one warning that says why, without them."""
    ops, reason = _loaded()
    if reason is not None:
        logging.getLogger("slipway").warning(
            "custom_ops: %s; plain TensorFlow runs instead, with the same results. `make setup` builds them.", reason
        )
    return ops


@functools.cache
def _loaded() -> tuple[Any | None, str | None]:
    """The compiled ops, or why there are none."""
    reason = _why_not()
    if reason is not None:
        return None, reason
    try:
        return tf.load_op_library(str(_path())), None
    except tf.errors.OpError as error:
        return None, f"{_path().name} does not load ({error.message})"


def _fits_devices() -> bool:
    return _built_with_cuda() or not tf.config.get_visible_devices("GPU")


@functools.cache
def _built_with_cuda() -> bool:
    """Asked at every call: a path would be made anew for each."""
    return bool(_record(_path())["cuda"])


def _path() -> Path:
    return FOLDER / f"_ops-tf{tf.__version__}.so"


def _why_not() -> str | None:
    """Why the library is not loaded: TensorFlow's ABI is that of one version, and with another one may crash."""
    if _path().exists():
        built_for = _record(_path())["tensorflow"]
        return (
            None
            if built_for == tf.__version__
            else f"the compiled ops are for TensorFlow {built_for}, not {tf.__version__}"
        )
    others = sorted(found.name for found in FOLDER.glob("_ops-tf*.so"))
    if others:
        return f"the compiled ops are for another TensorFlow than {tf.__version__} ({', '.join(others)})"
    return "the compiled ops were not built"


@functools.cache
def _record(library: Path) -> dict[str, Any]:
    """What setup.py wrote into a library, read without loading it: `tensorflow`, a version; `cuda`, whether built."""
    found = re.search(rb"slipway-ops (\{.*?\})\0", library.read_bytes())
    record: dict[str, Any] = json.loads(found[1]) if found else {"tensorflow": "unknown", "cuda": False}
    return record
