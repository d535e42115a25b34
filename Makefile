# Two commands do everything: `make course` runs the course, `make test` tests it.
PYTHON ?= python3
BIN := .venv/bin
# The CPU build of PyTorch; `make install TORCH_INDEX=` takes PyPI's own (with CUDA on Linux).
TORCH_INDEX ?= --extra-index-url https://download.pytorch.org/whl/cpu
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock

.PHONY: install course test bench lab build lint lock clean

install: .venv/installed

.venv/installed: requirements.lock pyproject.toml
	@echo "Installing into .venv (about 2 GB on disk; takes a minute or two)"
	$(PYTHON) -m venv .venv
	$(PIP) --retries 1 $(TORCH_INDEX) torch
	$(PIP) -e ".[notebooks,sweep,dev]"
	@touch $@

course: install
	$(BIN)/course run --profile fast --out runs/course

test: install
	$(BIN)/python tests/run_all.py

bench: install
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks --small --out runs/bench

lab: install
	$(BIN)/course work

build: install
	$(BIN)/course build

lint: install
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

# Resolves the ranges of pyproject.toml anew; run it with the oldest Python that the course supports.
lock:
	rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet --retries 1 $(TORCH_INDEX) "torch==2.13.0"
	.venv-lock/bin/python -m pip install --quiet -e ".[notebooks,sweep,dev]"
	{ sed -n '/^#/p' requirements.lock; .venv-lock/bin/python -m pip freeze --exclude-editable | sed 's/+cpu$$//'; \
	  grep ' ; ' requirements.lock; } > requirements.lock.new
	mv requirements.lock.new requirements.lock && rm -rf .venv-lock

clean:
	rm -rf .venv runs build *.egg-info
