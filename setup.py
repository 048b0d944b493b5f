"""Builds the library of custom ops for the installed TensorFlow; all else about the package is in pyproject.toml.

Each folder of custom_ops is an op: op.cc knows TensorFlow; kernel.cc does not and is compiled once for each instruction
set; kernel.cu.cc is compiled where there is nvcc; xla.cc is the op for XLA. custom_ops/cc is what they share.
"""

import concurrent.futures
import functools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

SOURCES = Path("custom_ops")
# Without traps a compiler may turn a comparison into a vector instruction: 3 times the speed, the same values.
KERNEL_FLAGS = ["-std=c++17", "-O3", "-g0", "-fopenmp-simd", "-fno-trapping-math", "-fvisibility=hidden"]
_AVX2 = ["-mavx2", "-mfma", "-mf16c"]
_AVX512 = [*_AVX2, "-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mprefer-vector-width=512"]
ISAS = {"portable": [], "avx2": _AVX2, "avx512": _AVX512, "avx512_bf16": [*_AVX512, "-mavx512bf16"]}
# Hidden, or the library's copy of Eigen would bind to TensorFlow's.
OP_FLAGS = ["-O2", "-g0", "-fvisibility=hidden"]
# Turing to Hopper, and what a driver translates for all that came later.
GPUS = [f"-gencode=arch=compute_{cc},code=sm_{cc}" for cc in (75, 80, 90)] + [
    "-gencode=arch=compute_90,code=compute_90"
]
NVCC_FLAGS = ["-std=c++17", "-O3", "-Xcompiler", "-fPIC,-fvisibility=hidden", *GPUS]
WITHOUT = "SLIPWAY_WITHOUT_OPS"

ASK_TENSORFLOW = """
import json, tensorflow as tf
print(json.dumps([
    tf.__version__,
    tf.sysconfig.get_compile_flags(),
    tf.sysconfig.get_link_flags(),
    tf.sysconfig.get_build_info()["is_cuda_build"],
]))
"""


class TensorFlow(NamedTuple):
    """What is to be built for."""

    version: str
    compile_flags: list[str]
    link_flags: list[str]
    cuda: bool

    @property
    def include(self) -> str:
        return next(flag[2:] for flag in self.compile_flags if flag.startswith("-I"))


@functools.cache
def tensorflow() -> TensorFlow | None:
    """The TensorFlow beside this interpreter; None where there is none.

    Asked in a process of its own, without the PYTHONPATH by which pip hides the environment from an isolated build.
    """
    visible = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    answer = subprocess.run([sys.executable, "-c", ASK_TENSORFLOW], env=visible, capture_output=True, text=True)
    return None if answer.returncode else TensorFlow(*json.loads(answer.stdout.splitlines()[-1]))


def nvcc() -> Path | None:
    """CUDA's compiler, of $CUDA_HOME or on PATH; None too where TensorFlow itself is not for GPUs."""
    if not (found := tensorflow()) or not found.cuda:
        return None
    home = os.environ.get("CUDA_HOME")
    compiler = shutil.which("nvcc", path=f"{home}/bin" if home else None)
    return Path(compiler) if compiler else None


def cuda_libraries(compiler: Path) -> Path:
    """The folder with the static runtime of the toolkit that nvcc belongs to."""
    asked = subprocess.run([compiler, "--dryrun", "-x", "cu", "/dev/null"], capture_output=True, text=True).stderr
    [top] = {line.partition("TOP=")[2] for line in asked.splitlines() if "$ TOP=" in line}
    folders = [Path(top) / name for name in ("lib64", "lib", "targets/x86_64-linux/lib")]
    return next(folder for folder in folders if (folder / "libcudart_static.a").exists())


class BuildOps(build_ext):
    """Builds custom_ops/_ops-tf<version>.so; without a compiler leaves it out: ops have twins in plain TensorFlow."""

    def finalize_options(self) -> None:
        compiler = os.environ.get("CXX", "g++").split()[0]
        if os.environ.get(WITHOUT) or shutil.which(compiler) is None:
            reason = f"{WITHOUT} is set" if os.environ.get(WITHOUT) else f"there is no C++ compiler ({compiler})"
            print(f"slipway: the custom ops are left out: {reason}.")
            self.distribution.ext_modules = []
        elif tensorflow() is None:
            # Left out in silence, a wheel would be without them for ever.
            sys.exit(
                f"slipway: the custom ops are compiled against TensorFlow, and {sys.executable} cannot import it. "
                f"Install requirements.lock first and build with --no-build-isolation, or set {WITHOUT}=1."
            )
        super().finalize_options()

    def get_ext_filename(self, fullname: str) -> str:
        return f"{fullname.replace('.', '/')}-tf{self._tensorflow.version}.so"

    def build_extension(self, ext: Extension) -> None:
        xla = [source for source in ext.sources if source.endswith("/xla.cc")]
        # XLA's headers take half a minute: once for all ops, and first, so that nothing waits for it alone.
        everything = self._write("xla.cc", "".join(f'#include "{source}"\n' for source in xla))
        jobs = [(everything, "", self._op_flags() + self._xla_flags())]
        for source in sorted(set(ext.sources) - set(xla)):
            if source.endswith("/kernel.cc"):
                jobs += [(source, isa, [*KERNEL_FLAGS, *flags, f"-DSLIPWAY_ISA={isa}"]) for isa, flags in ISAS.items()]
            else:
                jobs.append((source, "", self._op_flags()))
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = [*pool.map(self._compile, *zip(*jobs, strict=True)), *pool.map(self._compile_cuda, ext.depends)]
        library = Path(self.get_ext_fullpath(ext.name))
        library.parent.mkdir(parents=True, exist_ok=True)
        self.compiler.link_shared_object(
            [*filter(None, objects), self._record()], str(library), extra_postargs=self._link_flags(), target_lang="c++"
        )

    @property
    def _tensorflow(self) -> TensorFlow:
        found = tensorflow()
        assert found, "refused before"
        return found

    def _compile(self, source: str, variant: str, flags: list[str]) -> str:
        compiler: Any = self.compiler
        [built] = compiler.compile(
            [source], output_dir=str(Path(self.build_temp) / variant), extra_postargs=["-I.", *flags]
        )
        return str(built)

    def _compile_cuda(self, source: str) -> str | None:
        compiler = nvcc()
        if compiler is None or not source.endswith(".cu.cc"):
            return None
        built = Path(self.build_temp, source).with_suffix(".o")
        built.parent.mkdir(parents=True, exist_ok=True)
        self.spawn([str(compiler), "-x", "cu", "-I.", *NVCC_FLAGS, "-c", source, "-o", str(built)])
        return str(built)

    def _op_flags(self) -> list[str]:
        """As system headers TensorFlow's give no warnings, so that ours are seen."""
        of_tensorflow = [flag.replace("-I", "-isystem", 1) for flag in self._tensorflow.compile_flags]
        return [*of_tensorflow, *OP_FLAGS, *(self._cuda_flags() if nvcc() else [])]

    def _cuda_flags(self) -> list[str]:
        """With the headers of the cuBLAS that TensorFlow was built for, which come with it."""
        cuda = f"{self._tensorflow.include}/third_party/gpus/cuda"
        return ["-DSLIPWAY_CUDA", f"-isystem{cuda}/include", f"-isystem{cuda}/libcudacxx/include"]

    def _xla_flags(self) -> list[str]:
        """Of two libraries whose headers XLA's include and TensorFlow's flags do not name."""
        external = f"{self._tensorflow.include}/external"
        return [f"-isystem{external}/{name}" for name in ("highwayhash", "farmhash_archive/src")]

    def _record(self) -> str:
        """An object that says in the library what it was built for; custom_ops/library.py reads it."""
        text = json.dumps({"tensorflow": self._tensorflow.version, "cuda": nvcc() is not None})
        source = self._write(
            "record.cc", f'extern "C" __attribute__((used)) const char kSlipwayOps[] = R"(slipway-ops {text})";\n'
        )
        return self._compile(source, "", ["-fvisibility=default"])

    def _write(self, name: str, text: str) -> str:
        source = Path(self.build_temp, name)
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(text)
        return str(source)

    def _link_flags(self) -> list[str]:
        compiler = nvcc()
        of_tensorflow = [*self._tensorflow.link_flags, "-l:libtensorflow_cc.so.2"]  # the latter for XLA
        if compiler is None:
            return of_tensorflow
        # Before TensorFlow's: its framework library exports stubs of the CUDA runtime that would win.
        cuda = [
            f"-L{cuda_libraries(compiler)}",
            "-Wl,--exclude-libs,ALL",
            "-lcudart_static",
            "-ldl",
            "-lrt",
            "-lpthread",
        ]
        return [*cuda, *of_tensorflow]


def files(pattern: str) -> list[str]:
    return sorted(str(path) for path in SOURCES.rglob(pattern))


setup(
    cmdclass={"build_ext": BuildOps},
    ext_modules=[
        Extension(
            "custom_ops._ops",
            sources=[path for path in files("*.cc") if not path.endswith(".cu.cc")],
            depends=[*files("*.h"), *files("*.cu.cc")],
        )
    ],
)
