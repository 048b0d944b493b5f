"""TFX's Evaluator with Slipway's metrics, and the rule for which model it compares against."""

from components.evaluator.baseline import BaselineStrategy
from components.evaluator.component import Evaluator

__all__ = ["BaselineStrategy", "Evaluator"]
