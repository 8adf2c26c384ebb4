# The one front door. Every target works from a fresh clone with Python 3.11, make and gcc.
PYTHON ?= python3.11
BIN := .venv/bin
SHELL := /bin/bash
.DEFAULT_GOAL := help

MAKEFLAGS += --no-print-directory

.PHONY: help setup setup-web setup-system demo questions test suite test-long fuzz mutate-guards check fix lock images proto vectors docs bench clean

help: ## Show what can be run
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

setup: .stamps/setup ## Make .venv with everything, and the four commands in .venv/bin

.stamps/setup: requirements/all.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "setup: $(PYTHON) was not found; install Python 3.11 or run 'make setup PYTHON=/path/to/python3.11'"; exit 1; }
	@mkdir -p .stamps
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/all.txt || { echo "setup: the Python packages of requirements/all.txt could not be installed; check the network or proxy settings of pip"; exit 1; }
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup ## Run a whole federation on this machine
	$(BIN)/federated demo

questions: setup ## Ask twelve questions of a department of a whole federation on this machine
	$(BIN)/python docs/twelve-questions/ask.py

STYLES := federated/pages/static/govuk-frontend.css

setup-web: $(STYLES) ## Install the components of the pages that people see (npm)

$(STYLES): .stamps/web .stamps/setup federated/pages/assets.py
	$(BIN)/python -m federated.pages node_modules/govuk-frontend

.stamps/web: package-lock.json
	@mkdir -p .stamps
	@command -v npm >/dev/null || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends npm >/dev/null; } || \
	  { echo "setup-web: npm was not found and could not be installed; install Node 20 or newer, which brings it"; exit 1; }
	@npm ci --silent || { echo "setup-web: the packages of package-lock.json could not be installed; check the network or proxy settings of npm"; exit 1; }
	@touch $@

SYSTEM_PACKAGES := buildah chromium debootstrap iproute2 libreoffice-calc-nogui postgresql r-base-core r-cran-httr2 r-cran-jsonlite systemd

setup-system: .stamps/system ## Install what the tests need besides Python: a PostgreSQL server, a browser, LibreOffice, R, image tools

.stamps/system: Makefile
	@mkdir -p .stamps
	@if ! { ls /usr/lib/postgresql/*/bin/initdb && command -v buildah && command -v chromium && command -v debootstrap && command -v soffice && command -v ss && command -v systemd-analyze && Rscript -e "library(httr2)"; } >/dev/null 2>&1; then \
	  command -v apt-get >/dev/null || { echo "setup-system: install $(SYSTEM_PACKAGES); the tests need them"; exit 1; }; \
	  mkdir -p /etc/postgresql-common && echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.conf && \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(SYSTEM_PACKAGES) >/dev/null || \
	  { echo "setup-system: the Debian packages $(SYSTEM_PACKAGES) could not be installed; run it as root, with their registry in reach"; exit 1; }; \
	fi
	@touch $@

test: setup setup-web setup-system ## Run everything CI runs
	@$(MAKE) -j 2 check suite

suite: setup
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder -m "not long"

test-long: setup ## Run the slow suites at full size and record docs/evidence.json
	$(BIN)/python -m pytest -m long

fuzz: setup ## Fuzz every decoder, a minute each, and keep what took new paths (about an hour); what breaks is printed with its file
	$(BIN)/python -m tests.fuzz --seconds 60 --merge

mutate-guards: setup setup-web setup-system ## Take each guard out of a copy, and see that its tests turn red (about an hour)
	$(BIN)/python -m tests.mutations --record

check: setup ## Lint, types, import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: setup ## Format and apply safe lint fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

LOCK := $(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

lock: setup ## Resolve requirements/*.txt afresh from pyproject.toml; each party's are a part of all.txt
	$(LOCK) --all-extras pyproject.toml -o requirements/all.txt
	$(LOCK) --extra node --extra postgresql -c requirements/all.txt pyproject.toml -o requirements/node.txt
	$(LOCK) --extra coordinator -c requirements/all.txt pyproject.toml -o requirements/coordinator.txt
	$(LOCK) --extra mask-holder -c requirements/all.txt pyproject.toml -o requirements/mask-holder.txt
	$(LOCK) requirements/installer.in -o requirements/installer.txt

images: setup setup-system setup-web ## Build both images, their lists of parts and checksums into dist/ (as root)
	$(BIN)/python -m docker.build_images all

proto: setup ## Regenerate the protobuf code from protocols/proto
	$(BIN)/python -m grpc_tools.protoc -I protocols/wire=protocols/proto/federated/v1 --python_out=. --pyi_out=. --grpc_python_out=. protocols/proto/federated/v1/*.proto

vectors: setup ## Regenerate the known-answer vectors
	$(BIN)/python -m tests.vectors.generate

docs: setup ## Regenerate the generated pages
	$(BIN)/python -m tests.docs.generate

bench: setup ## Run the benchmarks, and the peers beside them (some hours)
	$(BIN)/python -m benchmarks

clean: ## Remove the environment and caches
	rm -rf .venv .stamps build dist node_modules
