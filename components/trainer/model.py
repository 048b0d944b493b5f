"""From the user's functions to a compiled Keras model; what they leave out gets the task's defaults."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import keras
import tensorflow as tf

import custom_ops
from components.dataset import Rows
from components.parallel.optimizer import work_beside_variables
from components.trainer.fused_adam import fuse
from components.trainer.precision import outputs_in_float32
from components.trainer.settings import TrainerSettings
from components.trainer.target import Target
from lineage.outcome import InputError

_VALUES = 16

Hyperparameters = Mapping[str, int | float | str | bool]

_GOLDEN_RATIO = 0x9E3779B9  # of 2**32

_LOSSES = {
    "multiclass": keras.losses.SparseCategoricalCrossentropy,
    "binary": keras.losses.BinaryCrossentropy,
    "multilabel": keras.losses.BinaryCrossentropy,
    "regression": keras.losses.MeanSquaredError,
}


@dataclasses.dataclass(frozen=True)
class Built:
    """A compiled model, and the user's own callbacks and augmentation."""

    model: keras.Model
    callbacks: list[keras.callbacks.Callback]
    augment: Callable[..., Any] | None


def build(module: ModuleType, inputs: dict[str, tf.TensorSpec], *, target: Target, settings: TrainerSettings) -> Built:
    """Calls `build_model(inputs, hp)` and compiles what it returns, unless the user has compiled it.

    Everything that has variables is made here, the optimizer's and the metrics' too: under a strategy none can be made
    while a step is traced.

    A model with one input is called with its tensor, one with several with a dict of tensors by name. Where the rows
    have weights, the metrics are weighted by them.

    Raises:
      InputError: `build_model` does not return a Keras model, the model does not take the features, or its outputs do
        not fit the labels.
    """
    hp = settings.hyperparameters
    model = module.build_model(inputs, dict(hp))
    if not isinstance(model, keras.Model):
        raise InputError(f"build_model returned {type(model).__name__}, expected a keras.Model.")
    target.check_outputs(_outputs(model, inputs))
    outputs_in_float32(model)
    if tf.distribute.get_strategy().num_replicas_in_sync > 1:
        _synchronize_statistics(model)
        _draw_own_masks(model)
    if not model.compiled:
        model.compile(
            optimizer=_hook(module, "optimizer", hp, keras.optimizers.Adam),
            loss=_hook(module, "loss", hp, _LOSSES[target.task]),
            **{"weighted_metrics" if target.weighted else "metrics": _metrics(module, target)},
        )
    _set_clipping(model.optimizer, settings)
    _make_variables(model, inputs, target)
    _check_plateau(model.optimizer, settings)
    return Built(model, list(_hook(module, "callbacks", hp, list)), getattr(module, "augment", None))


def call(model: keras.Model, features: Mapping[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
    """The model on features by name, whether it takes a tensor or a dict; `[batch, 1]` where it answers `[batch]`."""
    outputs = model(as_input(features), training=training)
    # Against labels [batch], Keras would take the mean of the losses before it weighs them.
    return tf.expand_dims(outputs, -1) if tf.is_tensor(outputs) and outputs.shape.rank == 1 else outputs


def loss_of(
    model: keras.Model, rows: Rows, predictions: tf.Tensor, weights: tf.Tensor | None, *, training: bool
) -> tf.Tensor:
    """The mean loss of the rows, each times its weight, and what layers add: Keras' own."""
    return model.compute_loss(
        x=as_input(rows.features), y=rows.labels, y_pred=predictions, sample_weight=weights, training=training
    )


def probabilities(model: keras.Model, outputs: tf.Tensor) -> tf.Tensor:
    """What a user of the model is answered: where its loss takes logits, the probabilities that they stand for."""
    loss = getattr(model, "loss", None)
    if not getattr(loss, "from_logits", isinstance(loss, custom_ops.SmoothedCrossentropy)):
        return outputs
    binary = isinstance(loss, keras.losses.BinaryCrossentropy | keras.losses.BinaryFocalCrossentropy)
    return tf.sigmoid(outputs) if binary else tf.nn.softmax(outputs)


def as_input(features: Mapping[str, Any]) -> Any:
    """A single feature as itself, several as the dict."""
    return next(iter(features.values())) if len(features) == 1 else dict(features)


def base_optimizer(optimizer: keras.Optimizer) -> keras.Optimizer:
    """The optimizer inside a LossScaleOptimizer, else itself."""
    return optimizer.inner_optimizer if isinstance(optimizer, keras.optimizers.LossScaleOptimizer) else optimizer


def _hook(module: ModuleType, name: str, hp: Hyperparameters, default: Any) -> Any:
    return getattr(module, name)(dict(hp)) if hasattr(module, name) else default()


def _metrics(module: ModuleType, target: Target) -> list[keras.metrics.Metric]:
    if hasattr(module, "metrics"):
        return list(module.metrics())
    match target.task:
        case "multiclass":
            return [keras.metrics.SparseCategoricalAccuracy()]
        case "binary":
            return [keras.metrics.BinaryAccuracy(), keras.metrics.AUC()]
        case "multilabel":  # the mean over the labels of each one's AUC
            return [keras.metrics.BinaryAccuracy(), keras.metrics.AUC(multi_label=True, num_labels=target.size)]
        case _:
            return [keras.metrics.MeanAbsoluteError()]


def _zeros(inputs: dict[str, tf.TensorSpec]) -> dict[str, tf.Tensor]:
    """Two rows of zeros, or empty strings; a few of them where the number of values varies."""
    return {
        name: tf.zeros([2, *(size or _VALUES for size in spec.shape[1:])], spec.dtype) for name, spec in inputs.items()
    }


def _outputs(model: keras.Model, inputs: dict[str, tf.TensorSpec]) -> tf.TensorShape:
    """Calls the model once, which also builds a subclassed model: the shape of what it answers."""
    try:
        outputs = call(model, _zeros(inputs))
    except (ValueError, TypeError, KeyError, tf.errors.InvalidArgumentError, tf.errors.UnimplementedError) as error:
        expected = ", ".join(f"{name} {spec.dtype.name}{spec.shape}" for name, spec in inputs.items())
        raise InputError(f"The model of build_model does not take the features ({expected}): {error}") from error
    if not tf.is_tensor(outputs):
        raise InputError(f"The model of build_model answers with a {type(outputs).__name__}, expected one tensor.")
    return outputs.shape


def _synchronize_statistics(model: keras.Model) -> None:
    """Batch statistics over all replicas; on one device Keras computes them faster without."""
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True


def _draw_own_masks(model: keras.Model) -> None:
    """Seeds of dropout and noise by replica: Keras' are the same on all, as their state is."""
    for layer in model._flatten_layers():
        for generator in layer._seed_generators:
            generator.next = functools.partial(_next_of_replica, generator.next)


def _next_of_replica(next_seed: Callable[..., tf.Tensor], *args: Any, **kwargs: Any) -> tf.Tensor:
    seed = next_seed(*args, **kwargs)
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return seed
    replica = tf.cast(context.replica_id_in_sync_group, seed.dtype)
    return seed + replica * tf.constant([_GOLDEN_RATIO, 0], seed.dtype)  # far from the seeds of other layers


def _set_clipping(optimizer: keras.Optimizer, settings: TrainerSettings) -> None:
    """Keras clips what it is given when it applies: here that is the gradient of the whole batch."""
    base = base_optimizer(optimizer)
    if settings.clip_norm is not None:
        base.global_clipnorm = settings.clip_norm
    if settings.clip_value is not None:
        base.clipvalue = settings.clip_value
    if settings.clip_variable_norm is not None:
        base.clipnorm = settings.clip_variable_norm


def _check_plateau(optimizer: keras.Optimizer, settings: TrainerSettings) -> None:
    schedule = base_optimizer(optimizer)._learning_rate
    if settings.plateau and isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        raise InputError(
            f"trainer.plateau lowers the learning rate, but the optimizer has a schedule, {type(schedule).__name__}. "
            "Use one of the two."
        )


def _make_variables(model: keras.Model, inputs: dict[str, tf.TensorSpec], target: Target) -> None:
    labels = tf.zeros([2, *target.labels.shape[1:]], target.labels.dtype)
    model._symbolic_build(data_batch=(as_input(_zeros(inputs)), labels))
    fuse(base_optimizer(model.optimizer))
    work_beside_variables(base_optimizer(model.optimizer))
    model.optimizer.build(model.trainable_variables)
