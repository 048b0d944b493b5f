# What there is to type: `make` lists it. Each verb does the set-up that it needs.
SHELL := /bin/bash
BIN := .venv/bin
# Newer than all that decides what is in .venv: then there is nothing to set up.
READY := .venv/.ready
INPUTS := Makefile requirements.lock pyproject.toml setup.py \
          $(shell find .make compat -type f -not -path '*/build/*' -not -path '*.egg-info/*') \
          $(shell find custom_ops -name '*.cc' -o -name '*.h')
# Versions for all supported Pythons at once, with hashes and without the address of any index.
LOCK := pip compile --quiet --universal --python-version 3.11 --extra examples --extra dev \
        --generate-hashes --no-emit-index-url --no-header pyproject.toml
# Asked by the shell when a recipe runs: set-up may just have brought it.
UV = $$([ -x .uv/bin/uv ] && echo .uv/bin/uv || echo uv)

.PHONY: help setup demo web test test-all bench sanitize lint format lock lock-check clean

help:
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

setup: $(READY)  ## makes .venv with everything of requirements.lock and the built custom ops

$(READY): $(INPUTS)
	@.make/setup.sh
	@touch $@

demo: setup  ## from handwritten digits to a served, quantized model
	$(BIN)/slipway run examples/digits

web: setup  ## draw a digit in the browser, where the model that the demo pushed answers
	@$(BIN)/python .make/npm_ci.py deploy/web
	@$(BIN)/python deploy/web/serve.py

test: lint  ## all checks and tests, as CI runs them
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

test-all: lint  ## the same, and what takes long: every combination, many kills
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile -m 'full or not full'

bench: setup  ## paired comparisons with what they stand beside: medians and ratios
	$(BIN)/python -m benchmarks.example_gen
	$(BIN)/python -m benchmarks.training
	$(BIN)/python -m benchmarks.custom_ops
	$(BIN)/python -m benchmarks.quantizer
	$(BIN)/python -m benchmarks.qat
	$(BIN)/python -m benchmarks.reruns

sanitize: setup  ## the custom ops' tests on a build that looks for reads and writes out of bounds
	@.make/sanitize.sh

lint: setup  ## style, types and the direction of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup  ## rewrites the code in the project's style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lock: setup  ## rewrites requirements.lock after a change of pyproject.toml
	$(UV) $(LOCK) --output-file requirements.lock

lock-check: setup  ## says whether requirements.lock is what pyproject.toml asks for
	@.make/lock_check.sh $(UV) $(LOCK)

clean:  ## removes the environment and all that was built, no results of runs
	rm -rf .venv .uv build compat/build *.egg-info compat/*.egg-info custom_ops/_ops-tf*.so
	rm -rf deploy/web/node_modules tests/deploy/node_modules
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
