#!/usr/bin/env bash
# Makes .venv what requirements.lock says and installs Slipway in it. Called by `make setup` when an input has changed;
# safe to run again after an interruption. Says little: the full output is in build/setup.log.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly VENV=.venv LOG=build/setup.log UV_VERSION=0.13.9
readonly NO_INDEX='error sending request|dns error|tcp connect|Connection refused|NewConnectionError|Name or service|name resolution|timed out'
export UV_PYTHON_DOWNLOADS=never

fail() {
  printf 'setup | %s\n' "$*" >&2
  exit 1
}

# step WHAT COMMAND...: runs the command into the log and prints one line with its seconds.
step() {
  local what=$1 start=$SECONDS before
  shift
  before=$(wc -c <"$LOG")
  printf 'setup | %s ... ' "$what"
  if ! "$@" >>"$LOG" 2>&1; then
    printf 'failed\n'
    if tail -c "+$((before + 1))" "$LOG" | grep -qE "$NO_INDEX"; then
      fail "No package index can be reached: connect to the network, or name a mirror in UV_DEFAULT_INDEX and PIP_INDEX_URL (full output: $LOG)."
    fi
    tail -n 5 "$LOG" >&2
    fail "'$what' failed; the full output is in $LOG."
  fi
  printf '%s s\n' "$((SECONDS - start))"
}

# Sets $python to the first usable Python on PATH, each tried by running it: a pyenv shim may exist and not run.
find_python() {
  local candidate answer first_reason=
  while read -r candidate; do
    local status=0
    answer=$("$candidate" .make/check_python.py "$@" 2>/dev/null) || status=$?
    if [ "$status" = 0 ]; then
      python=$answer
      return
    elif [ "$status" = 3 ]; then
      first_reason=${first_reason:-$answer}
    fi
  done < <(type -aP python3.11 python3.12 python3.13 python3)
  fail "${first_reason:-Slipway needs Python 3.11, 3.12 or 3.13 and found none: install python3.11 with its headers and venv.}"
}

check_compiler() {
  local compiler=${CXX:-g++}
  $compiler -x c++ -std=c++17 -fsyntax-only - <<<'#include <string>' >/dev/null 2>&1 ||
    fail "There is no working C++17 compiler ($compiler): install g++, or name your compiler in CXX."
}

bootstrap_uv() {
  "$python" -m venv --clear .uv && .uv/bin/python -m pip install --retries 1 "uv==$UV_VERSION"
}

mkdir -p build
: >"$LOG"
check_compiler
if [ ! -x .uv/bin/uv ] && command -v uv >/dev/null; then
  find_python
  uv=uv
else
  find_python --with-venv
  uv=.uv/bin/uv
fi
printf 'setup | Python %s\n' "$python"

if [ "$uv" = .uv/bin/uv ] && ! $uv --version >/dev/null 2>&1; then
  step 'uv' bootstrap_uv
fi
if ! $VENV/bin/python .make/check_python.py >/dev/null 2>&1; then
  step 'environment' $uv venv --clear --python "$python" $VENV
fi
step 'packages of requirements.lock' \
  $uv pip sync --python $VENV/bin/python --require-hashes --compile-bytecode requirements.lock

own=(--editable .)
if $VENV/bin/python -c 'import sys; sys.exit(sys.version_info >= (3, 12))'; then
  own+=(./compat)
fi
# Installed anew each time: uv takes a path it has built before as up to date, whatever changed in custom_ops.
step 'Slipway and its custom ops' \
  $uv pip install --python $VENV/bin/python --no-deps --no-build-isolation --reinstall "${own[@]}"

step 'self-check' $VENV/bin/python .make/self_check.py
printf 'setup | %s\nsetup | ready in %s s\n' "$(grep '^workers can import' "$LOG")" "$SECONDS"
