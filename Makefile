# `make serve` and `make test` are the two commands; each sets up what it needs in .venv.
# Needs Python 3.11 to 3.13 (PYTHON=python3.12 make ... picks one) and nothing else.

PYTHON ?= python3
BIN := .venv/bin
USE ?= dev
DATA ?=
# Weights that lie beside the data are taken; else Keras downloads them.
WEIGHTS ?= $(or $(firstword $(wildcard $(dir $(DATA:/=))weights/*.weights.h5)),imagenet)
RECIPES ?=
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help install serve adopt score test lint format train search bench soak fuzz requirements sbom image check-deploy clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile

install: .venv/installed-$(USE) ## .venv with the pinned requirements of USE=serve|traces|score|pacs|ray|tensorflow|gpu|train|bench|fuzz|dev (dev)

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "Python 3.11 to 3.13 is needed: PYTHON=python3.12 make ..." >&2; exit 1; }
	$(PYTHON) -m venv .venv

.venv/installed-%: requirements/%.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

serve: ## serve models/best_model.h5 on port 8000; CXR_ settings, or ARGS="--port 9000"
	@$(MAKE) --no-print-directory install USE=serve
	$(BIN)/python -m app $(ARGS)

adopt: ## give somebody's MODEL=FILE.h5|FILE.keras a contract; ARGS="--classes A,B --like xray.jpg=0.12,0.88 --out models/mine.h5"
	@test -n "$(MODEL)" || { echo "make adopt MODEL=FILE.h5 ARGS=\"--classes A,B --like xray.jpg=0.12,0.88 --out models/mine.h5\"" >&2; exit 2; }
	@$(MAKE) --no-print-directory install USE=serve
	$(BIN)/python -m app.adopt "$(MODEL)" $(ARGS)

score: ## an archive SOURCE=DIR|PATTERN|LIST.txt into the table OUT=FILE.parquet, on where it was stopped
	@test -n "$(SOURCE)" -a -n "$(OUT)" || { echo "make score SOURCE=DIR OUT=FILE.parquet" >&2; exit 2; }
	@$(MAKE) --no-print-directory install USE=score
	$(BIN)/python -m app.score "$(SOURCE)" --out "$(OUT)"

# Half of what tests do is waiting, so three run at a time on two cores. Who has nothing left to do
# takes half of what another has: no file is the longest. The hundred services that they start are
# compiled once.
test: ## the tests, three at a time; ARGS go to pytest
	@$(MAKE) --no-print-directory install USE=dev
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 3 --dist worksteal $(ARGS)

lint: ## format, lint, types, imports, the page's script, Dockerfile and Compose file; changes nothing
	@$(MAKE) --no-print-directory install USE=dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/oxlint app/web
	$(BIN)/hadolint Dockerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

format: ## let ruff rewrite what it can
	@$(MAKE) --no-print-directory install USE=dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

train: ## train on DATA=DIR; WEIGHTS=imagenet|FILE; ARGS go to `python -m training fit`
	@test -n "$(DATA)" || { echo "make train DATA=DIR, with DIR/train|val|test/CLASS/*" >&2; exit 2; }
	@$(MAKE) --no-print-directory install USE=train
	$(BIN)/python -m training fit --data "$(DATA)" --weights "$(WEIGHTS)" $(ARGS)

search: ## try the recipes that were not yet on DATA=DIR, and compare them; RECIPES="2022 films" for some
	@test -n "$(DATA)" || { echo "make search DATA=DIR, with DIR/train|val/CLASS/*" >&2; exit 2; }
	@$(MAKE) --no-print-directory install USE=train
	$(BIN)/python -m training search --data "$(DATA)" --weights "$(WEIGHTS)" $(ARGS) $(RECIPES)

bench: ## the service beside others, under load; ARGS="--quick" for a first look
	@$(MAKE) --no-print-directory install USE=bench
	$(BIN)/python -m benchmarks $(ARGS)

soak: ## broken uploads and load for minutes, memory and threads watched; ARGS="--uploads 2000" for less
	@$(MAKE) --no-print-directory install USE=bench
	$(BIN)/python -m benchmarks.promises.soak $(ARGS)

fuzz: ## look for pictures that break the decoder, guided by coverage; ARGS="-max_total_time=600"
	@$(MAKE) --no-print-directory install USE=dev
	@$(MAKE) --no-print-directory install USE=fuzz
	$(BIN)/python -m benchmarks.rig.corpus.fuzz $(ARGS)

COMPILE = $(BIN)/pip-compile --quiet --strip-extras --allow-unsafe --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header
requirements: ## compile requirements/*.txt anew from pyproject.toml
	@$(MAKE) --no-print-directory install USE=dev
	$(COMPILE) --extra train --extra traces --extra ray --extra score --extra pacs --extra dev -o requirements/dev.txt pyproject.toml
	$(COMPILE) -c requirements/dev.txt -o requirements/serve.txt pyproject.toml
	$(COMPILE) -c requirements/dev.txt --extra traces -o requirements/traces.txt pyproject.toml
	$(COMPILE) -c requirements/dev.txt --extra score -o requirements/score.txt pyproject.toml
	$(COMPILE) -c requirements/dev.txt --extra pacs -o requirements/pacs.txt pyproject.toml
	$(COMPILE) -c requirements/dev.txt --extra ray -o requirements/ray.txt pyproject.toml
	$(COMPILE) -c requirements/dev.txt --extra tensorflow -o requirements/tensorflow.txt pyproject.toml
	$(COMPILE) -c requirements/dev.txt --extra gpu -o requirements/gpu.txt pyproject.toml
	$(COMPILE) -c requirements/dev.txt --extra train -o requirements/train.txt pyproject.toml
	$(COMPILE) -c requirements/dev.txt --extra bench -o requirements/bench.txt pyproject.toml
	$(COMPILE) -c requirements/dev.txt --extra fuzz -o requirements/fuzz.txt pyproject.toml

sbom: ## what the CPU image installs, as CycloneDX JSON in sbom.json
	@$(MAKE) --no-print-directory install USE=dev
	rm -rf build/sbom
	$(BIN)/python -m venv build/sbom
	build/sbom/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/serve.txt
	build/sbom/bin/python -m pip uninstall --quiet --yes pip setuptools
	sed 's/^dynamic = .*/version = "$(VERSION)"/' pyproject.toml >build/sbom/pyproject.toml
	$(BIN)/cyclonedx-py environment --pyproject build/sbom/pyproject.toml --output-reproducible \
		--output-file sbom.json build/sbom/bin/python

VERSION = $(shell sed -n 's/^VERSION = "\(.*\)"/\1/p' app/settings.py)
BUILDER ?= docker
TAG ?= cxr-inference:cpu
image: ## the image TAG (cxr-inference:cpu), by BUILDER=docker|podman|buildah; ARGS go to its `build`
	$(BUILDER) build --tag $(TAG) --build-arg VERSION=$(VERSION) \
		--build-arg REVISION=$$(git rev-parse HEAD) $(ARGS) .

check-deploy: ## the image built, run and stopped without a container engine; needs root; ARGS go to its `build`
	deploy/build_here.sh $(ARGS)

clean: ## remove .venv and caches
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
