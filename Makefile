# `make demo` and `make test` need Python 3.11+, git and make; each sets itself up in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo dashboard test lint types unit browser versions bench setup clean

demo: $(STAMP)
	$(BIN)/fathom demo $(DEMO_ARGS)

dashboard: $(STAMP)
	$(BIN)/python -m examples.dashboard $(DASHBOARD_ARGS)

test: lint types unit

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy
	$(BIN)/pyright --warnings

unit: $(STAMP)
	$(BIN)/pytest -n 2 --dist loadgroup $(PYTEST_ARGS)

# The pages in a real browser: CHROMIUM is one that is installed, PICTURES a directory for screenshots.
CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)

browser: $(STAMP)
	@test -n "$(CHROMIUM)" || { echo "no Chromium here: make browser CHROMIUM=/path/to/chromium"; exit 1; }
	CHROMIUM="$(CHROMIUM)" $(BIN)/pytest tests/browser $(PYTEST_ARGS)

# The tests on every supported Python that this machine has.
versions:
	@for version in 3.11 3.12 3.13; do \
	  if python$$version -c "" 2>/dev/null; then \
	    $(MAKE) unit PYTHON=python$$version VENV=.venv-$$version || exit 1; \
	  else echo "python$$version is not here, so it is left out"; fi; \
	done

bench: $(STAMP)
	$(BIN)/python -m benchmarks

setup: $(STAMP)

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable ".[cli,html,polars,pandas,arrow,redis,otel,duckdb,dlt,fastapi,dask,taskiq]" --group dev
	@touch $@

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
