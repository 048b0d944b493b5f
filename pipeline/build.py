"""From the config to the TFX pipeline: which nodes there are and how they are wired."""

from pathlib import Path
from typing import Any

import tensorflow_model_analysis as tfma
from tfx.components import ExampleValidator, SchemaGen
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.components.common.resolver import Resolver
from tfx.orchestration.pipeline import Pipeline
from tfx.types import BaseChannel, Channel
from tfx.types.standard_artifacts import Model, ModelBlessing

from components import user_code
from components.data_gate.component import DataGate
from components.evaluator.baseline import BaselineStrategy
from components.evaluator.component import Evaluator
from components.evaluator.eval_config import Bounds, eval_config
from components.infra_validator.component import InfraValidator
from components.pusher.component import Pusher
from components.quantizer.component import Quantizer
from components.schema_importer import curated
from components.schema_importer.component import SchemaImporter
from components.trainer.component import Trainer
from components.trainer.latest_blessed import LatestBlessedStrategy
from components.trainer.settings import LATEST_BLESSED, TrainerSettings
from components.transform.component import Transform
from lineage.store import pipeline_root
from pipeline.config import Config
from pipeline.fingerprint import code_fingerprint, warm_start_fingerprint
from pipeline.ingest import example_gen
from pipeline.statistics import statistics_gen


def build(config: Config, root: Path) -> Pipeline:
    """The TFX pipeline of a checked config.

    Args:
      config: A config for which `pipeline.checks.check` raises nothing.
      root: Folder for artifacts, metadata and served models.

    Returns:
      The pipeline, its nodes in an order in which they can run.
    """
    ingest = example_gen(config)
    examples = ingest.outputs["examples"]
    statistics = statistics_gen(config, examples)
    schema = _schema(config, statistics)
    validator = ExampleValidator(statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"])
    gate = DataGate(
        anomalies=validator.outputs["anomalies"],
        schema=schema.outputs["schema"],
        examples=examples,
        allow=config.data_gate.allow,
    )
    nodes = [ingest, statistics, schema, validator, gate]
    transform = _transform(config, examples, schema, gate)
    nodes += [transform] if transform else []
    return Pipeline(
        pipeline_name=config.name,
        pipeline_root=str(pipeline_root(root, config.name)),
        components=[*nodes, *_model_nodes(config, root, examples, schema, gate, transform)],
        enable_cache=True,
        beam_pipeline_args=config.beam.pipeline_args(),
    )


def _schema(config: Config, statistics: BaseComponent) -> BaseComponent:
    if config.schema_file:
        path = str(config.resolve(config.schema_file))
        return SchemaImporter(schema_file=path, fingerprint=curated.fingerprint(path))
    return SchemaGen(statistics=statistics.outputs["statistics"], infer_feature_shape=True)


def _transform(
    config: Config, examples: BaseChannel, schema: BaseComponent, gate: BaseComponent
) -> BaseComponent | None:
    """No preprocessing_fn, no Transform: its fixed cost is the largest of all nodes."""
    module_file = str(config.resolve(config.model))
    if user_code.PREPROCESSING not in user_code.functions(module_file):
        return None
    transform = Transform(
        examples=examples,
        schema=schema.outputs["schema"],
        module_file=module_file,
        module_fingerprint=code_fingerprint(config, user_code.PREPROCESSING),
        weight=config.data.weight,
    )
    transform.add_upstream_node(gate)
    return transform


def _model_nodes(
    config: Config,
    root: Path,
    examples: BaseChannel,
    schema: BaseComponent,
    gate: BaseComponent,
    transform: BaseComponent | None,
) -> list[BaseNode]:
    """Trainer and all below, and what it begins with."""
    settings = _settings(config)
    trained = {
        "examples": transform.outputs["transformed_examples"] if transform else examples,
        "schema": schema.outputs["schema"],
        "transform_graph": transform.outputs["transform_graph"] if transform else None,
        "task": config.task,
        "label": config.data.label_feature,
        "weight": config.data.weight,
        "module_fingerprint": code_fingerprint(config, *user_code.HOOKS),
    }
    base_model = _base_model(trained, settings) if settings.warm_start == LATEST_BLESSED else None
    trainer = Trainer(
        **trained,
        module_file=str(config.resolve(config.model)),
        base_model=base_model.outputs["model"] if base_model else None,
        settings=settings,
        warm_start_fingerprint=warm_start_fingerprint(config),
    )
    trainer.add_upstream_node(gate)
    model = trainer.outputs["model"]
    baseline = Resolver(
        strategy_class=BaselineStrategy,
        candidate=model,
        model=Channel(type=Model),
        model_blessing=Channel(type=ModelBlessing),
    ).with_id("Baseline")
    evaluator = Evaluator(
        examples=examples, model=model, baseline_model=baseline.outputs["model"], eval_config=_eval_config(config)
    )
    quantizer = _quantizer(config, trained, trainer, evaluator, examples) if config.quantizer.mode != "none" else None
    infra_validator = InfraValidator(model=model, examples=examples, requests=config.serving.check_requests)
    infra_validator.add_upstream_node(quantizer or evaluator)  # a refused model is not served, not even for a check
    pusher = Pusher(
        model=model,
        tflite_model=quantizer.outputs["tflite_model"] if quantizer else None,
        model_blessing=evaluator.outputs["blessing"],
        quantization_blessing=quantizer.outputs["blessing"] if quantizer else None,
        infra_blessing=infra_validator.outputs["blessing"],
        destination=str(config.destination(root)),
        keep=config.serving.keep,
    )
    nodes = [base_model, trainer, baseline, evaluator, quantizer, infra_validator, pusher]
    return [node for node in nodes if node]


def _quantizer(
    config: Config, trained: dict[str, Any], trainer: BaseComponent, evaluator: BaseComponent, examples: BaseChannel
) -> BaseComponent:
    """Of what the Trainer was given, which it may train on with."""
    return Quantizer(
        **trained,
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        slices=config.evaluator.slices,
        raw_examples=examples if trained["transform_graph"] is not None else None,
        settings=config.quantizer,
        module_file=str(config.resolve(config.model)),
        trainer=config.trainer,
    )


def _base_model(trained: dict[str, Any], settings: TrainerSettings) -> BaseNode:
    """The model that a training of these inputs and properties begins with."""
    channels = {name: given for name, given in trained.items() if isinstance(given, BaseChannel)}
    properties = {name: given or "" for name, given in trained.items() if name not in channels}
    return Resolver(
        strategy_class=LatestBlessedStrategy,
        config={"properties": {**properties, "settings": settings.model_dump_json()}},
        **channels,
        model=Channel(type=Model),
        model_blessing=Channel(type=ModelBlessing),
    ).with_id("BaseModel")


def _settings(config: Config) -> TrainerSettings:
    """With the absolute path of the weights that the training begins with."""
    path = config.trainer.warm_start_path
    return config.trainer.model_copy(update={"warm_start": str(config.resolve(path))}) if path else config.trainer


def _eval_config(config: Config) -> tfma.EvalConfig:
    return eval_config(
        config.task,
        config.data.label_feature,
        weight=config.data.weight,
        slices=config.evaluator.slices,
        metrics=config.evaluator.metrics,
        bounds={name: Bounds(**bound.model_dump()) for name, bound in config.evaluator.thresholds.items()},
    )
