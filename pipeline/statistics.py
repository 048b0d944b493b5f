"""How the statistics are made, from which the schema is inferred where the user gives none.

TFDV finds images only when it is told to look for them, and for natural language, in all that is bytes. That takes 20
us a value, so a look at the first record decides.
"""

import tensorflow_data_validation as tfdv
from tfx.components import StatisticsGen
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.types import BaseChannel

from pipeline.config import Config
from pipeline.ingest import first_record

_IMAGES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"BM")  # how png, jpeg, gif and bmp begin


def statistics_gen(config: Config, examples: BaseChannel) -> BaseComponent:
    """The StatisticsGen of a checked config."""
    infer_images = config.schema_file is None and config.data.format == "tfrecord" and _has_images(config)
    options = tfdv.StatsOptions(enable_semantic_domain_stats=True) if infer_images else None
    return StatisticsGen(examples=examples, stats_options=options)


def _has_images(config: Config) -> bool:
    features = first_record(config).features.feature.values()
    return any(value.startswith(_IMAGES) for feature in features for value in feature.bytes_list.value)
