"""What the tests of custom ops share."""

from typing import Any

import pytest

import custom_ops


@pytest.fixture(params=["op", "composite"])
def implementation(request: pytest.FixtureRequest) -> Any:
    """Both ways to run a call, one after the other."""
    assert custom_ops.available(), "`make setup` builds the op"
    if request.param == "op":
        yield request.param
    else:
        with custom_ops.composite():
            yield request.param
