"""TFX's taxi pipeline as its examples write it, run by its own runner: `python -m benchmarks.stock_taxi ROOT`."""

import sys
from importlib.resources import files
from pathlib import Path

import tensorflow_model_analysis as tfma
import tfx.v1 as tfx

TAXI = Path(str(files("tfx"))) / "examples" / "chicago_taxi_pipeline"


def pipeline(root: Path) -> tfx.dsl.Pipeline:
    """From the CSV to a pushed model, with the latest blessed one as the baseline."""
    module = str(TAXI / "taxi_utils.py")
    examples = tfx.components.CsvExampleGen(input_base=str(TAXI / "data" / "simple"))
    statistics = tfx.components.StatisticsGen(examples=examples.outputs["examples"])
    schema = tfx.components.ImportSchemaGen(schema_file=str(TAXI / "data" / "user_provided_schema" / "schema.pbtxt"))
    validator = tfx.components.ExampleValidator(
        statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"]
    )
    transform = tfx.components.Transform(
        examples=examples.outputs["examples"], schema=schema.outputs["schema"], module_file=module
    )
    trainer = tfx.components.Trainer(
        module_file=module,
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        schema=schema.outputs["schema"],
        train_args=tfx.proto.TrainArgs(num_steps=100),
        eval_args=tfx.proto.EvalArgs(num_steps=10),
    )
    blessed = tfx.dsl.Resolver(
        strategy_class=tfx.dsl.experimental.LatestBlessedModelStrategy,
        model=tfx.dsl.Channel(type=tfx.types.standard_artifacts.Model),
        model_blessing=tfx.dsl.Channel(type=tfx.types.standard_artifacts.ModelBlessing),
    ).with_id("latest_blessed_model_resolver")
    evaluator = tfx.components.Evaluator(
        examples=examples.outputs["examples"],
        model=trainer.outputs["model"],
        baseline_model=blessed.outputs["model"],
        eval_config=_evaluation(),
    )
    pusher = tfx.components.Pusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        push_destination=tfx.proto.PushDestination(
            filesystem=tfx.proto.PushDestination.Filesystem(base_directory=str(root / "serving"))
        ),
    )
    return tfx.dsl.Pipeline(
        "taxi",
        str(root / "artifacts"),
        components=[examples, statistics, schema, validator, transform, trainer, blessed, evaluator, pusher],
        enable_cache=True,
        metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
            str(root / "metadata.sqlite")
        ),
    )


def _evaluation() -> tfma.EvalConfig:
    return tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(
                signature_name="serving_default",
                label_key="tips_xf",
                preprocessing_function_names=["transform_features"],
            )
        ],
        slicing_specs=[tfma.SlicingSpec()],
        metrics_specs=[tfma.MetricsSpec(metrics=[tfma.MetricConfig(class_name="BinaryAccuracy")])],
    )


if __name__ == "__main__":
    tfx.orchestration.LocalDagRunner().run(pipeline(Path(sys.argv[1])))
