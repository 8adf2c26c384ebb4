# The one front door. Every target works from a fresh clone with Python 3.11, make and gcc.
PYTHON ?= python3.11
BIN := .venv/bin
SHELL := /bin/bash
.DEFAULT_GOAL := help

.PHONY: help setup demo test test-long check fix lock proto vectors docs bench clean

help: ## Show what can be run
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: .stamps/setup ## Make .venv with everything, and the three commands in .venv/bin

.stamps/setup: requirements/all.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "setup: $(PYTHON) was not found; install Python 3.11 or run 'make setup PYTHON=/path/to/python3.11'"; exit 1; }
	@mkdir -p .stamps
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/all.txt || { echo "setup: the Python packages of requirements/all.txt could not be installed; check the network or proxy settings of pip"; exit 1; }
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup ## Run a whole federation on this machine
	$(BIN)/federated demo

test: setup check ## Run everything CI runs
	$(BIN)/python -m pytest -n 2 -m "not long"

test-long: setup ## Run the slow suites at full size and record docs/evidence.json
	$(BIN)/python -m pytest -m long

check: setup ## Lint, types, import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: setup ## Format and apply safe lint fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: setup ## Resolve requirements/all.txt afresh from pyproject.toml
	$(BIN)/uv pip compile --quiet --python-version 3.11 --all-extras --generate-hashes --no-emit-index-url --no-header pyproject.toml -o requirements/all.txt

proto: setup ## Regenerate the protobuf code from protocols/proto
	$(BIN)/python -m grpc_tools.protoc -I protocols/wire=protocols/proto/federated/v1 --python_out=. --pyi_out=. --grpc_python_out=. protocols/proto/federated/v1/*.proto

vectors: setup ## Regenerate the known-answer vectors
	$(BIN)/python -m tests.vectors.generate

docs: setup ## Regenerate the generated pages
	$(BIN)/python -m tests.docs.generate

bench: setup ## Run the benchmarks
	$(BIN)/python -m benchmarks

clean: ## Remove the environment and caches
	rm -rf .venv .stamps build dist
