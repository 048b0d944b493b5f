"""Times of single answers as a person reads them, the same on the terminal and in the report."""


def latency(seconds: float) -> str:
    """Such as `15.2 µs`, `1.25 ms` or `2.5 s`.

    Example:
      latency(0.00125)  # "1.25 ms"
    """
    for factor, unit in ((1e6, "µs"), (1e3, "ms")):
        if seconds * factor < 999.5:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds:.3g} s"
