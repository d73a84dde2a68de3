# `make run` and `make test` need Python 3.11+, its venv module and make; everything else goes to .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements/lock.txt
# A plain request for torch brings gigabytes of CUDA packages on some indexes; name the build you want.
TORCH ?= torch==2.13.0

.PHONY: run test lint bench lock clean

run: $(VENV)/run.done  ## install, then the main job on this machine
	$(BIN)/edgebench run

# Tests marked `alone` measure this machine; the others share it. A file stays in one process: its fixtures
# may be dear.
TESTFLAGS ?=

test: lint  ## all checks and tests
	$(BIN)/python -m pytest $(TESTFLAGS) -m "not alone" -n logical --maxprocesses 8 --dist loadfile
	$(BIN)/python -m pytest $(TESTFLAGS) -m alone

lint: $(VENV)/test.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/bench.done  ## every benchmark, into docs/benchmarks.md
	$(BIN)/python -m benchmarks

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'edgebench needs Python 3.11 or newer with its venv module (Debian: apt install python3-venv).' >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.done: $(VENV)/bin/python pyproject.toml requirements/lock.txt
	$(PIP) --editable .
	@touch $@

# The bare install is tried before the extras can hide what it lacks.
$(VENV)/test.done: $(VENV)/run.done
	$(BIN)/edgebench models
	$(PIP) $(TORCH)
	$(PIP) --editable '.[train,quantize,test]'
	@touch $@

$(VENV)/bench.done: $(VENV)/test.done
	$(PIP) --editable '.[bench]'
	@touch $@

lock: $(VENV)/bench.done  ## write down the versions that are installed
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu//' > requirements/lock.txt

clean:
	rm -rf $(VENV) build dist
