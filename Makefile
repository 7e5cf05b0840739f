# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DOCS_READY := $(VENV)/.docs-ready

.PHONY: demo test fast faults lint types check docs clean help

demo: $(READY)
	rm -rf demo
	$(BIN)/calibscripts simulate doc/demo.yaml --workdir demo

test: $(READY)
	$(BIN)/pytest

fast: $(READY)
	$(BIN)/pytest -m "not slow"

faults: $(READY)
	$(BIN)/pytest --all-faults tests/test_fault_matrix.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

check: lint types test

docs: $(DOCS_READY)
	$(BIN)/sphinx-build --fresh-env --fail-on-warning --keep-going --quiet doc doc/_build/html
	@echo doc/_build/html/index.html

$(READY): pyproject.toml requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --constraint requirements.txt --editable '.[dev]'
	touch $@

$(DOCS_READY): $(READY)
	$(BIN)/pip install --quiet --constraint requirements.txt --editable '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) demo build doc/_build doc/api *.egg-info .pytest_cache .mypy_cache .ruff_cache

help:
	@echo 'make demo    calibrations from end to end on the simulated observatory'
	@echo 'make test    all tests;  make fast: without the slow ones'
	@echo 'make faults  every fault of the simulated observatory on whole runs: how many are survived'
	@echo 'make lint    ruff;  make types: mypy;  make check: both, and all tests'
	@echo 'make docs    the documentation, in doc/_build/html'
	@echo 'make clean   remove what these have made, the virtual environment too'
