# Two commands do all: `make demo` and `make test`. Everything else is a part of them.
# PYTHON is any Python 3.11 or newer; PIP_ARGS goes to pip as it is (an index that offers the CPU build of torch, say).

PYTHON ?= python3
PIP_ARGS ?=
VENV ?= .venv
BIN := $(VENV)/bin
CONFIG ?= configs/census_income.yaml
TORCH := torch==2.13.0
# Test files run side by side in so many processes.
WORKERS ?= 2
# One thread a library: tests and the demo share small machines, and idle OpenMP threads spin.
THREADS := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 POLARS_MAX_THREADS=2 NUMBA_NUM_THREADS=2

.PHONY: help install install-dev demo ui test lint types layers unit test-slow bench clean

help:  ## Say what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ctrsel needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -c constraints.txt $(TORCH)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -c constraints.txt -e '.[dev]'
	@touch $@

install: $(VENV)/.installed  ## Create .venv with the pinned dependencies

install-dev: $(VENV)/.installed-dev  ## The same with what the tests need

demo: install  ## Install, then run the main job on the data that ships with the package
	$(THREADS) $(BIN)/ctrsel run $(CONFIG)

ui: install  ## Open the MLflow pages of the demo on port 5000
	$(BIN)/mlflow ui --backend-store-uri sqlite:///$(CURDIR)/runs/census_income/mlflow.db --port 5000

test: install-dev lint types layers unit  ## Lint, types, import layers and the fast tests

lint: install-dev  ## Style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install-dev  ## mypy, strict
	$(BIN)/mypy

layers: install-dev  ## Who may import whom
	$(BIN)/lint-imports --no-cache

unit: install-dev  ## The fast tests, the docstrings' examples and the pages' code blocks
	$(THREADS) $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m 'not slow' ctrsel tests docs README.md

test-slow: install-dev  ## What takes longer: servers, a browser, empty environments, kills
	$(THREADS) $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m slow tests docs

bench: install-dev  ## Ours and the peers in one run, with ratios
	$(THREADS) $(BIN)/python benchmarks/rank_synth.py

clean:  ## Remove what was built, not what was run
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
