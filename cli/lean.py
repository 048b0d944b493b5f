"""A process in which nothing is computed, and which therefore does not wait for the imports that computing needs.

TFX's core takes TensorFlow and Beam where they are, and does without where they are not, as in its own distribution
ml-pipelines-sdk. Where they are, importing them is most of what a run costs that finds everything made.
"""

import importlib.abc
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

_LEFT_OUT = ("tensorflow", "tensorflow_data_validation", "tensorflow_model_analysis", "apache_beam", "kubernetes")


class _LeftOut(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] in _LEFT_OUT:
            raise ModuleNotFoundError(f"{fullname} is left out of this process", name=fullname)
        return None


def leave_out_tensorflow() -> None:
    """From now on TensorFlow and Beam cannot be imported; for a process that imports TFX after this."""
    sys.meta_path.insert(0, _LeftOut())
