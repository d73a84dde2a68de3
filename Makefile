# `make run` and `make test` need Python 3.11+, its venv module and make; everything else goes to .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Most modules of torch and transformers are never imported: each is compiled when it is, not all of them here.
# Where the environment forbids Python to keep that, every process of the tests would compile them anew.
unexport PYTHONDONTWRITEBYTECODE
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile \
       --constraint requirements/lock.txt
# A plain request for torch brings gigabytes of CUDA packages on some indexes; name the build you want.
TORCH ?= torch==2.13.0

.PHONY: run test tests test-board test-emulated test-long fuzz lint lint-in-one-piece bench lock clean

run: $(VENV)/run.done  ## install, then the main job on this machine
	$(BIN)/edgebench run

# Tests marked `alone` measure this machine; the others share it. A file stays in one process: its fixtures
# may be dear.
TESTFLAGS ?=
# One more than there are processors, since tests over SSH mostly wait.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(min(8, 1 + len(os.sched_getaffinity(0))))')

# The checks keep one processor busy, and run beside the tests.
test: $(VENV)/test.done  ## all checks, and all tests but those of the three commands below
	$(MAKE) --no-print-directory --jobs=2 lint-in-one-piece tests
	$(BIN)/python -m pytest $(TESTFLAGS) -m alone $$(grep -rl --include='test_*.py' 'mark\.alone' tests)

tests: $(VENV)/test.done
	$(BIN)/python -m pytest $(TESTFLAGS) -m "not alone and not board and not long" -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test-board: $(VENV)/test.done  ## whole jobs on boards: over SSH, this machine
	$(BIN)/python -m pytest $(TESTFLAGS) -m board --ignore=tests/boards -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test-emulated: $(VENV)/test.done  ## whole jobs on emulated aarch64 boards: more than ten minutes
	$(BIN)/python -m pytest $(TESTFLAGS) tests/boards -n $(WORKERS) --dist loadfile

test-long: $(VENV)/test.done  ## whole trainings, and files of large nets
	$(BIN)/python -m pytest $(TESTFLAGS) -m long -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# What the checks say is shown when they are through, not between the dots of the tests.
lint-in-one-piece: $(VENV)/test.done
	@$(MAKE) --no-print-directory --output-sync=target lint

lint: $(VENV)/test.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# 20,000 spoiled inputs each: protocol, record, manifest, suite, inventory.
fuzz: $(VENV)/test.done  ## 100,000 inputs that are not what they should be
	EDGEBENCH_FUZZ=20000 $(BIN)/python -m pytest --timeout 0 tests/test_fuzz.py \
	  -k "test_protocol or test_record or test_manifest or test_suite or test_inventory"

bench: $(VENV)/bench.done  ## every benchmark, into docs/benchmarks.md
	$(BIN)/python -m benchmarks

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'edgebench needs Python 3.11 or newer with its venv module (Debian: apt install python3-venv).' >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.done: $(VENV)/bin/python pyproject.toml requirements/lock.txt
	$(PIP) --editable .
	@touch $@

# The bare install is tried before the extras can hide what it lacks. pip keeps one processor busy: on another
# the modules of torch are compiled meanwhile, as importing them does, and not later by each test process.
$(VENV)/test.done: $(VENV)/run.done
	$(BIN)/edgebench models
	$(PIP) $(TORCH)
	@$(BIN)/python -c 'import torch, torch.export, torch._dynamo, torch.onnx' 2> /dev/null & \
	  $(PIP) --editable '.[train,quantize,test]'; installed=$$?; wait; exit $$installed
	@touch $@

$(VENV)/bench.done: $(VENV)/test.done
	$(PIP) --editable '.[bench]'
	@touch $@

lock: $(VENV)/bench.done  ## write down the versions that are installed
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu//' > requirements/lock.txt

clean:
	rm -rf $(VENV) build dist
