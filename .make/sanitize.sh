#!/usr/bin/env bash
# Builds the custom ops with AddressSanitizer, and checks of alignment, shifts and overflow, in a copy, and runs their tests in it, once
# for each instruction set: a read or write out of bounds, or such arithmetic as C++ does not define, ends the process.
# TensorFlow itself is not instrumented, which is why ThreadSanitizer is of no use here: it takes each handover by
# TensorFlow's thread pool for a race.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly COPY=build/sanitize PYTHON=$PWD/.venv/bin/python
readonly FLAGS='-fsanitize=address,alignment,bounds,shift,signed-integer-overflow -fno-sanitize-recover=all -fno-omit-frame-pointer'

rm -rf "$COPY"
mkdir -p "$COPY/tests"
cp -r setup.py pyproject.toml README.md custom_ops "$COPY"
cp -r tests/__init__.py tests/custom_ops "$COPY/tests"
cd "$COPY"
rm -f custom_ops/_ops-tf*.so
CXXFLAGS=$FLAGS LDFLAGS=$FLAGS "$PYTHON" setup.py -q build_ext --inplace

# The C++ library too, or AddressSanitizer does not find what throws exceptions.
LD_PRELOAD="$(g++ -print-file-name=libasan.so) $(g++ -print-file-name=libstdc++.so)"
export LD_PRELOAD ASAN_OPTIONS=detect_leaks=0
for isa in portable avx2 avx512 avx512_bf16; do
  printf 'sanitize | %s\n' "$isa"
  SLIPWAY_OPS_ISA=$isa "$PYTHON" -m pytest -p no:cacheprovider --quiet --durations=0 --durations-min=20 tests/custom_ops
done
