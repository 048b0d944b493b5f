"""MLMD artifact types that TFX does not have."""

from tfx.types.artifact import Artifact, Property, PropertyType

# Custom property of Examples, a JSON list: the columns whose values, in this order, are the label.
LABEL_NAMES = "label_names"


class DataBlessing(Artifact):
    """The data gate let the data pass; holds a DataGateRecord."""

    TYPE_NAME = "DataBlessing"


class TFLiteModel(Artifact):
    """A folder with `model.tflite`."""

    TYPE_NAME = "TFLiteModel"


class QuantizationBlessing(Artifact):
    """Whether the quantized model may be pushed: `blessed` is 1 or 0."""

    TYPE_NAME = "QuantizationBlessing"
    PROPERTIES = {"blessed": Property(type=PropertyType.INT)}


class QuantizationMetrics(Artifact):
    """Float model against quantized model; holds a QuantizationRecord."""

    TYPE_NAME = "QuantizationMetrics"
