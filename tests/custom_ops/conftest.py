"""What the tests of custom ops share."""

from typing import Any

import hypothesis.configuration
import pytest

import custom_ops

# The same examples each time, or with the tests that take long more of them, and others each time.
ALIKE = {"deadline": None, "database": None, "print_blob": True}
hypothesis.configuration.set_hypothesis_home_dir(".pytest_cache/hypothesis")
hypothesis.settings.register_profile("few", max_examples=30, derandomize=True, **ALIKE)
hypothesis.settings.register_profile("many", max_examples=300, **ALIKE)
hypothesis.settings.load_profile("few")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("markexpr") != "not full":
        hypothesis.settings.load_profile("many")


@pytest.fixture(params=["op", "composite"])
def implementation(request: pytest.FixtureRequest) -> Any:
    """Both ways to run a call, one after the other."""
    assert custom_ops.available(), "`make setup` builds the op"
    if request.param == "op":
        yield request.param
    else:
        with custom_ops.composite():
            yield request.param
