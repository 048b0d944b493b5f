"""Builds the custom op library for the installed TensorFlow; all else about the package is in pyproject.toml."""

import functools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

SOURCES = Path("custom_ops/cc")
# Kernels include nothing of TensorFlow's, so they may take any flag. Without traps a compiler may turn a comparison
# into a vector instruction: 3 times the speed, the same values.
KERNEL_FLAGS = ["-std=c++17", "-O3", "-g0", "-fopenmp-simd", "-fno-trapping-math", "-fvisibility=hidden"]
# Hidden, or the library's copy of Eigen would bind to TensorFlow's.
OP_FLAGS = ["-O2", "-g0", "-fvisibility=hidden"]

ASK_TENSORFLOW = """
import json, tensorflow as tf
print(json.dumps([tf.__version__, tf.sysconfig.get_compile_flags(), tf.sysconfig.get_link_flags()]))
"""


@functools.cache
def tensorflow() -> tuple[str, list[str], list[str]] | None:
    """Version, compile flags and link flags of the TensorFlow beside this interpreter; None where there is none.

    Asked in a process of its own, without the PYTHONPATH by which pip hides the environment from an isolated build.
    """
    visible = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    answer = subprocess.run([sys.executable, "-c", ASK_TENSORFLOW], env=visible, capture_output=True, text=True)
    if answer.returncode:
        return None
    version, compile_flags, link_flags = json.loads(answer.stdout.splitlines()[-1])
    return version, compile_flags, link_flags


def reason_to_leave_out() -> str | None:
    """Why the ops cannot be built here; None where they can."""
    compiler = os.environ.get("CXX", "g++").split()[0]
    if shutil.which(compiler) is None:
        return f"there is no C++ compiler ({compiler})"
    if tensorflow() is None:
        return "this build cannot import TensorFlow (build without isolation where it is installed)"
    return None


class BuildOps(build_ext):
    """Builds custom_ops/_ops-tf<version>.so, or leaves it out and says why: the ops have twins in plain TensorFlow."""

    def finalize_options(self) -> None:
        if reason := reason_to_leave_out():
            print(f"slipway: the custom ops are left out: {reason}.")
            self.distribution.ext_modules = []
        super().finalize_options()

    def get_ext_filename(self, fullname: str) -> str:
        found = tensorflow()
        assert found, "extensions are dropped where there is no TensorFlow"
        return f"{fullname.replace('.', '/')}-tf{found[0]}.so"

    def build_extension(self, ext: Extension) -> None:
        found = tensorflow()
        assert found, "extensions are dropped where there is no TensorFlow"
        _, compile_flags, link_flags = found
        # As system headers TensorFlow's give no warnings, so that ours are seen.
        op_flags = [flag.replace("-I", "-isystem", 1) for flag in compile_flags] + OP_FLAGS
        flags = {"kernel.cc": KERNEL_FLAGS, "op.cc": op_flags}
        objects = [self._compile(Path(source), flags[Path(source).name]) for source in ext.sources]
        library = Path(self.get_ext_fullpath(ext.name))
        library.parent.mkdir(parents=True, exist_ok=True)
        self.compiler.link_shared_object(objects, str(library), extra_postargs=link_flags, target_lang="c++")

    def _compile(self, source: Path, flags: list[str]) -> str:
        compiler: Any = self.compiler
        [built] = compiler.compile([str(source)], output_dir=self.build_temp, extra_postargs=flags)
        return str(built)


setup(
    cmdclass={"build_ext": BuildOps},
    ext_modules=[
        Extension(
            "custom_ops._ops",
            sources=sorted(str(path) for path in SOURCES.rglob("*.cc")),
            depends=sorted(str(path) for path in SOURCES.rglob("*.h")),
        )
    ],
)
