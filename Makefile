# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later

# The virtual environment is .venv for python3, and one of its own for each
# Python that is named: .venv-3.12.1. Paths are relative, so that the checkout
# may be in a folder whose name has a blank.
ifndef VENV
ifdef PYTHON
VERSION := $(shell "$(PYTHON)" -c 'import platform; print(platform.python_version())')
ifeq ($(VERSION),)
$(error PYTHON=$(PYTHON) does not run. Give the name or the path of a Python that is installed)
endif
VENV := .venv-$(VERSION)
else
VENV := .venv
endif
endif
PYTHON ?= python3
BIN := $(VENV)/bin
READY := $(VENV)/.ready
WORKERS ?= auto
# Tests wait for jobs, timers and browsers a sixth of their time.
ONE_MORE := $(shell "$(PYTHON)" -c 'import os; print(1 + (os.cpu_count() or 1))')
LOAD ?= 0
# Each demonstration has a folder of its own, so that none is deleted.
DEMO := demo/$(shell date -u +%Y%m%dT%H%M%S)
DOCS_READY := $(VENV)/.docs-ready
INSTALL := $(BIN)/python -m pip install --quiet --constraint requirements.txt

.PHONY: demo test fast faults nightly sequences coverage lint types check schema docs changelog clean help

demo: $(READY)
	$(BIN)/calibscripts simulate doc/demo.yaml --workdir "$(DEMO)"

# The tests of a file share what they set up. tests/conftest.py orders the files.
test: $(READY)
	$(BIN)/pytest -n $(ONE_MORE) --dist loadfile --no-loadscope-reorder

fast: $(READY)
	$(BIN)/pytest -n $(ONE_MORE) --dist loadfile --no-loadscope-reorder -m "not slow"

faults: $(READY)
	$(BIN)/pytest -n $(WORKERS) --all-faults --load $(LOAD) tests/test_fault_matrix.py

nightly: $(READY)
	$(BIN)/pytest -n auto --dist loadfile -m nightly

sequences: $(READY)
	CALIBSCRIPTS_SEQUENCES=300 $(BIN)/pytest -n auto -k whatever_is_certified tests/test_proof_sequences.py
	CALIBSCRIPTS_HISTORIES=1000 $(BIN)/pytest -k every_look_up tests/observatory/test_decertifying.py
	CALIBSCRIPTS_LOOKUPS=1000 $(BIN)/pytest -k every_look_up tests/observatory/test_due_repository.py

coverage: $(READY)
	$(BIN)/pytest --cov --cov-report=term --cov-report=html
	@echo htmlcov/index.html

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

types: $(READY)
	$(BIN)/mypy

check: lint types test

schema: $(READY)
	$(BIN)/python -m lsst.ts.calibrationscripts.config

docs: $(DOCS_READY)
	$(BIN)/sphinx-build --fresh-env --fail-on-warning --keep-going --quiet doc doc/_build/html
	@echo doc/_build/html/index.html

changelog: $(DOCS_READY)
	$(BIN)/towncrier build $(if $(RELEASE),--yes --version "$(RELEASE)",--draft --version "not yet released")

$(READY): pyproject.toml requirements.txt
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.11")'
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || "$(PYTHON)" -c 'import sys; sys.exit("This Python cannot make virtual environments. On Debian or Ubuntu: apt install python%d.%d-venv" % sys.version_info[:2])'
	"$(PYTHON)" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(INSTALL) --editable '.[bps,desk,dev,notify,simulation]'
	touch $@

$(DOCS_READY): $(READY)
	$(INSTALL) --editable '.[docs]'
	touch $@

clean:
	rm -rf .venv .venv-* $(VENV) demo build htmlcov .coverage doc/_build doc/api python/*.egg-info
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache

help:
	@echo 'make demo       calibrations from end to end on the simulated observatory, in a new folder below demo'
	@echo 'make test       all tests;  make fast: without the slow ones'
	@echo 'make faults     every fault of the simulated observatory on whole runs: how many are survived'
	@echo '                with LOAD=8 beside 8 processes that keep the machine busy, with WORKERS=2 two at a time'
	@echo 'make nightly    whole runs that are left out of make test, for its time'
	@echo 'make sequences  2,400 random sequences of runs, 1,000 of certifications that are undone and 1,000 that are looked up,
	@echo '                on a real Butler'
	@echo 'make coverage   all tests, and which lines they ran, in htmlcov'
	@echo 'make lint       ruff and the import contracts;  make types: mypy;  make check: both, and all tests'
	@echo 'make schema     the schema documents anew, from schema/base.yaml'
	@echo 'make docs       the documentation, in doc/_build/html'
	@echo 'make changelog  what the news fragments give;  with RELEASE=v1.2.3 they go to doc/version_history.rst'
	@echo 'make clean      remove what these have made, the virtual environments too'
	@echo 'make help       this list'
	@echo 'With PYTHON=python3.12 each of them uses that Python, in a virtual environment of its own.'
