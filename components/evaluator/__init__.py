"""TFX's Evaluator with Slipway's metrics, and the rule for which model it compares against."""
