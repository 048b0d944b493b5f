"""What can be wrong with a pipeline before any work: config against code, schema and the head of the data.

Each check is a small function that raises an InputError; none imports TensorFlow or TFX, so all take well under a
second.
"""

import glob
import gzip
import importlib.metadata
import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path

from tensorflow_metadata.proto.v0 import schema_pb2

from components import user_code
from components.data_gate.allowed import check_allowed
from components.evaluator.metrics import check_bounds
from components.example_gen import sources
from components.example_gen.columns import ColumnType
from components.schema_importer import curated
from components.trainer import weights_file
from components.trainer.cluster import of_chief
from components.trainer.settings import FOR_RUN_FN
from lineage.outcome import InputError
from pipeline.config import Config
from pipeline.data import Data, any_span


def check_code(config: Config) -> None:
    """The Python file can be parsed and defines `build_model`, or TFX's `run_fn`."""
    path = _model_file(config)
    defined = user_code.functions(str(path))
    if not {"build_model", user_code.RUN_FN} & defined:
        names = ", ".join(sorted(defined)) or "nothing"
        raise InputError(
            f"{path} defines {names}, but not build_model(inputs_spec, hp) -> keras.Model, nor TFX's run_fn(fn_args)."
        )


def check_run_fn(config: Config) -> None:
    """Where a `run_fn` trains, the config has no setting that it cannot know of."""
    if not _has_run_fn(config):
        return
    ignored = sorted(config.trainer.model_fields_set - {*FOR_RUN_FN})
    if ignored:
        raise InputError(
            f"{config.model} defines run_fn, which trains by itself: trainer.{', trainer.'.join(ignored)} would have "
            f"no effect; it is told of {', '.join(FOR_RUN_FN)}. Leave out the rest, or define build_model instead."
        )


def check_qat(config: Config) -> None:
    """Where the Quantizer is to train, there is a `build_model`, whose layers it can see."""
    if config.quantizer.trains and _has_run_fn(config):
        raise InputError(
            f"{config.model} defines run_fn, and quantization-aware training goes on with what build_model returns. "
            "Set quantizer.mode to int8 or dynamic, or auto without qat, which train nothing; or define build_model "
            "instead."
        )


def check_schema(config: Config) -> None:
    """The curated schema is there, can be parsed, and has no sparse features."""
    schema = _curated_schema(config)
    sparse = [feature.name for feature in schema.sparse_feature] if schema else []
    if sparse:
        raise InputError(
            f"{config.schema_file} has the sparse_feature {', '.join(sparse)}; expected tensors and lists of values. "
            "Leave the sparse_feature out; preprocessing_fn can make a tensor of its lists."
        )


def check_label(config: Config) -> None:
    """The curated schema has the label, and the weight if there is one."""
    schema = _curated_schema(config)
    if schema:
        features = [feature.name for feature in schema.feature]
        sources.check_column("label", config.data.label_feature, features)
        if config.data.weight:
            sources.check_column("weight", config.data.weight, features)


def check_thresholds(config: Config) -> None:
    """There is a bound, without which the Evaluator blesses nothing."""
    if not config.evaluator.thresholds:
        raise InputError(
            "evaluator.thresholds is empty, so no model could ever be blessed. Bound at least one metric, such as "
            f"{_EXAMPLE_BOUND[config.task]}."
        )


def check_metrics(config: Config) -> None:
    """Every bounded metric is one that is computed."""
    check_bounds(config.task, config.evaluator.metrics, config.evaluator.thresholds)


def check_data_gate(config: Config) -> None:
    """The allowed anomalies are kinds that TFDV knows."""
    check_allowed(config.data_gate.allow)


def check_cluster(config: Config) -> None:
    """The processes of `multi_worker` are known, and this one is their chief."""
    if config.trainer.strategy == "multi_worker":
        of_chief(config.trainer.workers)


def check_warm_start(config: Config) -> None:
    """The weights to begin with are there."""
    if config.trainer.warm_start_path:
        weights_file.find(str(config.resolve(config.trainer.warm_start_path)))


def check_ops(config: Config) -> None:
    """Where the custom ops have to be compiled, they are, for the TensorFlow that is installed; the Trainer loads them.

    Their package is found, not imported: it imports TensorFlow.
    """
    package = importlib.util.find_spec("custom_ops")
    if config.trainer.ops != "custom" or package is None or package.origin is None:
        return
    library = Path(package.origin).with_name(f"_ops-tf{importlib.metadata.version('tensorflow')}.so")
    if not library.exists():
        raise InputError(
            f"trainer.ops is custom, but there is no {library}. Build it with `make setup`, or set trainer.ops to auto "
            "or composite, with which plain TensorFlow gives the same results."
        )


def check_data(config: Config) -> None:
    """The files are there, with the same columns; label, weight, slices are among them, the first two as numbers."""
    patterns = data_patterns(config)
    if config.data.format == "tfrecord":
        for file in [file for pattern in patterns for file in sources.resolve_files(pattern)]:
            _check_record_file(Path(file))
        return
    columns = _columns(config)
    for label in config.data.label_columns:
        _check_number("label", label, columns, _LABELS[config.task])
    if config.data.weight:
        _check_number("weight", config.data.weight, columns, "how much the example counts")
    if config.task == "multilabel" and config.data.format == "csv" and isinstance(config.data.label, str):
        raise InputError(
            f"data.label is one column, {config.data.label!r}; task multilabel takes several: give the columns of the "
            "labels, which hold 0 or 1, as a list, data.label: [a, b]."
        )
    features = [name for name in columns if isinstance(config.data.label, str) or name not in config.data.label]
    for name in [name for names in config.evaluator.slices for name in names.split(",")]:
        if name not in features:
            raise InputError(f"evaluator.slices: {name!r} is not a column; there are {', '.join(features)}.")


def check_text(config: Config) -> None:
    """Columns of text have a `preprocessing_fn` that makes them numbers; a `run_fn`, or layers, may do so too."""
    defined = user_code.functions(str(_model_file(config)))
    may_take_text = {user_code.PREPROCESSING, user_code.RUN_FN} & defined or config.quantizer.mode == "none"
    text = [] if may_take_text else [name for name in _string_columns(config) if name not in _images(config)]
    if text:
        raise InputError(
            f"{', '.join(text)} {'hold' if len(text) > 1 else 'holds'} text, and {config.model} has no "
            "preprocessing_fn: a quantized model takes numbers. Define preprocessing_fn(inputs), which makes numbers "
            f"of text (see examples/taxi/model.py), or leave the column{'s' if len(text) > 1 else ''} out of the data; "
            "for layers that take text, such as StringLookup, set quantizer: {mode: none}."
        )


def check_inside(config: Config) -> None:
    """Where `preprocessing_fn` is to be in the TFLite file, what it takes are numbers."""
    quantizer, defined = config.quantizer, user_code.functions(str(_model_file(config)))
    inside = quantizer.include_preprocessing and quantizer.mode != "none" and user_code.PREPROCESSING in defined
    strings = _string_columns(config) if inside else []
    if strings:
        raise InputError(
            f"quantizer.include_preprocessing: got text or encoded images in {', '.join(strings)}, expected numbers, "
            "which are all that a TFLite file takes. Set it to false, so that what calls the file computes the model's "
            f"inputs, or leave the column{'s' if len(strings) > 1 else ''} out of the data."
        )


CHECKS: tuple[Callable[[Config], None], ...] = (
    check_code,
    check_run_fn,
    check_qat,
    check_schema,
    check_thresholds,
    check_metrics,
    check_data_gate,
    check_cluster,
    check_warm_start,
    check_ops,
    check_data,
    check_label,
    check_text,
    check_inside,
)

# Those that read the data, which a script of the config may have to make first.
DATA_CHECKS = (check_data, check_text, check_inside)

_LABELS = {
    "multiclass": "the class, 0 to K-1",
    "binary": "0 or 1",
    "multilabel": "0 or 1",
    "regression": "the value to predict",
}
_EXAMPLE_BOUND = {
    "multiclass": "sparse_categorical_accuracy: {min: 0.9}",
    "binary": "auc: {min: 0.7}",
    "multilabel": "auc: {min: 0.7}",
    "regression": "mean_absolute_error: {max: 1.0}",
}


def check(config: Config) -> None:
    """Runs every check; the first that fails raises."""
    for one in CHECKS:
        one(config)


def data_patterns(config: Config) -> list[str]:
    """Absolute globs of the data: one, or one a split."""
    if not config.data.is_split:
        return [str(config.resolve(config.data.path))]
    return [str(config.resolve(config.data.path) / str(pattern)) for pattern in config.data.splits.values()]


def must_be_prepared(config: Config) -> bool:
    """Whether the data is not there yet and the config names a script that makes it."""
    return config.data.prepare is not None and not _has_files(config, config.data)


def _model_file(config: Config) -> Path:
    return config.resolve(config.model)


def _has_run_fn(config: Config) -> bool:
    return user_code.RUN_FN in user_code.functions(str(_model_file(config)))


def _string_columns(config: Config) -> list[str]:
    """What the model may take that is text or, by the curated schema, an encoded image."""
    columns = {} if config.data.format == "tfrecord" else _columns(config)
    apart = _apart(config.data)
    schema = _curated_schema(config)
    if schema:  # the Trainer reads the columns that the schema has, by the types that it gives
        columns = {feature.name: columns[feature.name] for feature in schema.feature if feature.name in columns}
        columns |= {name: ColumnType(kind) for name, kind in curated.column_types(schema).items()}
    return [name for name, kind in columns.items() if kind is ColumnType.STRING and name not in apart]


def _images(config: Config) -> list[str]:
    schema = _curated_schema(config)
    return [feature.name for feature in schema.feature if feature.HasField("image_domain")] if schema else []


def _curated_schema(config: Config) -> schema_pb2.Schema | None:
    return curated.read_schema(str(config.resolve(config.schema_file))) if config.schema_file else None


def _columns(config: Config) -> dict[str, ColumnType]:
    """The columns and their types by a look at the data, with label and weight among them."""
    data = config.data
    assert data.format != "tfrecord"
    return sources.check_source(data_patterns(config), data.format, data.label_columns, data.weight)


def _apart(data: Data) -> list[str]:
    """Columns that are no input of the model."""
    return [*data.label_columns, *([data.weight] if data.weight else [])]


def _check_number(role: str, name: str, columns: Mapping[str, ColumnType], expected: str) -> None:
    if columns[name] is ColumnType.STRING:
        raise InputError(
            f"The {role} {name!r} holds text, expected a number: {expected}. Replace the text by numbers in the data."
        )


def _has_files(config: Config, data: Data) -> bool:
    base = config.resolve(any_span(data.path))
    # glob, unlike Path.glob, takes an absolute pattern.
    return base.exists() or bool(glob.glob(str(base)))  # noqa: PTH207


def _check_record_file(file: Path) -> None:
    opened = gzip.open if file.suffix == ".gz" else open
    try:
        with opened(file, "rb") as stream:
            if not stream.read(12):
                raise InputError(f"{file} is empty, expected TFRecords of tf.Example.")
    except (gzip.BadGzipFile, EOFError):
        raise InputError(f"{file} is not a gzip file, as its name says; expected TFRecords of tf.Example.") from None
