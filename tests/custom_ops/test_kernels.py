"""What the linker may not mix up: kernels that are compiled for different processors into one library."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FLAGS = ["-std=c++17", "-O3", "-march=x86-64-v4", "-fopenmp-simd", "-fno-trapping-math", "-fPIC", "-I."]


@pytest.mark.parametrize("kernel", sorted(ROOT.glob("custom_ops/*/kernel.cc")), ids=lambda path: path.parent.name)
def test_a_kernel_shares_no_symbol_with_those_of_other_instruction_sets(kernel: Path, tmp_path: Path) -> None:
    """A weak symbol is taken from any of the objects: on an old processor it could be one with new instructions."""
    built = tmp_path / "kernel.o"
    command = [os.environ.get("CXX", "g++"), *FLAGS, "-DSLIPWAY_ISA=avx512", "-c", str(kernel), "-o", str(built)]
    subprocess.run(command, check=True, cwd=ROOT)
    symbols = subprocess.run(["nm", "-C", "--defined-only", built], capture_output=True, text=True, check=True).stdout
    shared = [line for line in symbols.splitlines() if line.split()[1] in "WVui"]
    assert "slipway::avx512::k" in symbols and not shared
