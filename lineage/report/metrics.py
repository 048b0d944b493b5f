"""What a metric's name says about it: whether it is a share of examples, which way is better, how to print it."""

import math

from lineage.records import EvaluationRecord

_ERRORS = ("loss", "error", "crossentropy", "divergence", "hinge")
_WHOLE = 1000  # from here on all digits before the point are shown, and none behind it
_Z = 1.959963984540054  # 97.5 % quantile of the normal distribution


def is_share(metric: str) -> bool:
    """Whether the metric is a share of the evaluated examples, so that it has a binomial interval."""
    return "accuracy" in metric


def has_interval(metric: str, record: EvaluationRecord) -> bool:
    """Whether the binomial interval holds: for shares of examples that count the same.

    For the mean over several labels of an example it is wider than it has to be.
    """
    return is_share(metric) and not record.weight


def lower_is_better(metric: str) -> bool:
    """Whether a smaller value is a better model."""
    return any(word in metric for word in _ERRORS)


def primary(metrics: dict[str, float]) -> str | None:
    """The metric to show first: an accuracy, else any other than the loss, else what there is."""
    ranked = sorted(metrics, key=lambda name: (not is_share(name), "loss" in name or "crossentropy" in name))
    return ranked[0] if ranked else None


def wilson(share: float, examples: int) -> tuple[float, float]:
    """The 95 % score interval of a share of `examples` trials (Wilson, JASA 22, 1927)."""
    if examples <= 0:
        return 0.0, 1.0
    square = _Z * _Z / examples
    centre = (share + square / 2) / (1 + square)
    half = _Z / (1 + square) * math.sqrt(share * (1 - share) / examples + square / (4 * examples))
    return max(0.0, centre - half), min(1.0, centre + half)


def title(metric: str) -> str:
    """A Keras or TFMA metric name for people."""
    words = metric.removeprefix("sparse_categorical_").removeprefix("categorical_").removeprefix("binary_")
    return words.replace("_", " ") if words not in ("auc", "mae", "mse", "rmse") else words.upper()


def show(value: float, metric: str) -> str:
    """The value in the unit of the metric: a share in per cent, anything else with four significant digits or more."""
    if not math.isfinite(value):
        return "not defined"
    return f"{100 * value:.2f} %" if is_share(metric) else number(value)


def show_change(difference: float, metric: str) -> str:
    """A difference between two values of the metric with its sign: in points for a share."""
    if not math.isfinite(difference):
        return "not defined"
    sign = "+" if difference >= 0 else "-"
    return f"{sign}{100 * abs(difference):.2f} points" if is_share(metric) else f"{sign}{number(abs(difference))}"


def number(value: float) -> str:
    """Four significant digits, or all digits before the point: `0.01234`, `135,905`."""
    return f"{value:,.0f}" if abs(value) >= _WHOLE else f"{value:.4g}"
