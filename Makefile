# Two commands do everything on a fresh machine with Python 3.11 or newer: `make demo`, `make test`.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test setup lint types contract schemas operations crash faults flips fuzz sweep junk install-size interop check clean

demo: $(VENV)/.demo
	$(BIN)/ngff-bio demo demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n auto --dist worksteal

setup: $(VENV)/.dev

$(VENV)/.python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	touch $@

$(VENV)/.demo: pyproject.toml | $(VENV)/.python
	$(BIN)/python -m pip install --quiet -e .
	touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/.python
	$(BIN)/python -m pip install --quiet -e '.[test,dev]'
	touch $@ $(VENV)/.demo

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

contract: $(VENV)/.dev
	$(BIN)/lint-imports

schemas: $(VENV)/.dev
	$(BIN)/python -m ngff_bio.ngff.attributes schemas

operations: $(VENV)/.dev
	$(BIN)/python tests/engine/operation_counts.py

KILLS ?= 50
crash: $(VENV)/.dev
	$(BIN)/python tests/engine/crash_runs.py --kills $(KILLS)
	$(BIN)/python tests/compute/map_crash_runs.py --kills $(KILLS)
	NGFF_BIO_EVERY_OPERATION=1 $(BIN)/python -m pytest -q tests/engine/test_transactions.py tests/editing
	$(BIN)/python tests/engine/copy_runs.py --kills $(KILLS)

TRIALS ?= 200
faults: $(VENV)/.dev
	$(BIN)/python tests/engine/fault_runs.py --trials $(TRIALS)

FLIPS ?= 260
flips: $(VENV)/.dev
	$(BIN)/python tests/engine/flip_runs.py --flips $(FLIPS)

MINUTES ?= 1
fuzz: $(VENV)/.dev
	$(BIN)/python tests/fuzz/run.py --minutes $(MINUTES)

EVERY ?= 10
sweep: $(VENV)/.dev
	$(BIN)/python tests/fuzz/sweep.py --every $(EVERY)

junk: $(VENV)/.dev
	NGFF_BIO_JUNK=300 $(BIN)/python -m pytest -q tests/sources/test_junk.py

install-size: $(VENV)/.dev
	$(BIN)/python tests/install_size.py

interop: $(VENV)/.dev
	$(BIN)/python tests/interop/read_stores.py

check: lint types contract test

clean:
	rm -rf $(VENV) demo build dist
