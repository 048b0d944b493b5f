"""What all tests have in common."""

import gc


def pytest_collection_finish() -> None:
    """What is imported stays: each clearing of a Keras session, one a model, would look through it for 0.6 s."""
    gc.collect()
    gc.freeze()
