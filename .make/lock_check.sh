#!/usr/bin/env bash
# Resolves pyproject.toml again, keeping the locked versions where they still fit, and compares with requirements.lock.
# Arguments: the command that resolves, without its --output-file. Passes with a word where no index can be reached.
set -euo pipefail

resolved=$(mktemp -d)
trap 'rm -rf "$resolved"' EXIT
cp requirements.lock "$resolved/requirements.lock"
if ! "$@" --output-file "$resolved/requirements.lock" 2>"$resolved/errors"; then
  if grep -qE 'error sending request|dns error|tcp connect|timed out' "$resolved/errors"; then
    echo 'lock | not checked: no package index can be reached'
    exit 0
  fi
  cat "$resolved/errors" >&2
  exit 1
fi
if ! diff -u requirements.lock "$resolved/requirements.lock"; then
  echo 'lock | requirements.lock is not what pyproject.toml asks for: run `make lock`.' >&2
  exit 1
fi
echo 'lock | requirements.lock is current'
