# Every target needs Python 3.11+, git and make, and installs exactly the packages in locks/ into .venv first.
# `make help` lists the targets.
PYTHON ?= python3
VENV := .venv
# The packages of the environment. LOCK includes DEMO_LOCK, which is enough for `make demo`.
LOCK := locks/dev.txt
DEMO_LOCK := locks/demo.txt
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Stamp files: the packages of DEMO_LOCK, those of LOCK, and the project itself are installed.
DEMO := $(VENV)/.demo-packages
DEV := $(VENV)/.dev-packages
PROJECT := $(VENV)/.project
READY := $(DEV) $(PROJECT)

.DEFAULT_GOAL := help
.PHONY: help demo dashboard test lint types unit soak coverage mutants eager uvloop browser docs docs-links dist lock test-newest test-lowest test-floors versions licenses release-check bench setup clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(firstword $(MAKEFILE_LIST)) | \
	  while IFS='|' read -r target text; do printf '%-13s %s\n' "$$target" "$$text"; done

demo: $(DEMO) $(PROJECT) ## run 42 reports against an embedded server (DEMO_ARGS="--access-log FILE" serves a web server's log)
	$(BIN)/fathom demo $(DEMO_ARGS)

dashboard: $(READY) ## run the example application (DASHBOARD_ARGS)
	$(BIN)/python -m examples.dashboard $(DASHBOARD_ARGS)

test: lint types unit docs dist ## run what CI runs: lint, types, unit, docs and dist

lint: $(READY) ## check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The tests need a POSIX system, and so do the examples.
types: $(READY) ## check types for Linux, macOS and Windows, on the oldest and the newest Python
	@$(MAKE) --no-print-directory -j 2 types-mypy types-linux types-macos types-windows types-public

PYRIGHT = $(BIN)/pyright --warnings --pythonpath $(BIN)/python
.PHONY: types-mypy types-linux types-macos types-windows types-public
types-mypy: $(READY)
	$(BIN)/mypy
types-linux: $(READY)
	$(PYRIGHT)
types-macos: $(READY)
	$(PYRIGHT) --pythonplatform Darwin --pythonversion 3.14 fathom_async examples benchmarks
types-windows: $(READY)
	$(PYRIGHT) --pythonplatform Windows --pythonversion 3.14 fathom_async
# Pyright looks for the installed package by way of PATH. Less than 100 % is an error.
types-public: $(READY)
	PATH="$(abspath $(BIN)):$$PATH" pyright --verifytypes fathom_async --ignoreexternal

unit: $(READY) ## run the tests (PYTEST_ARGS)
	$(BIN)/python -m pytest -n 4 --dist loadgroup $(PYTEST_ARGS)

soak: ## run the tests with more random examples and combinations of cases, each of them (PYTEST_ARGS)
	SOAK=1 $(MAKE) unit PYTEST_ARGS="$(PYTEST_ARGS)"

coverage: $(READY) ## run the tests with coverage of lines and branches; less than 98 % is an error (PYTEST_ARGS)
	$(BIN)/python -m coverage erase
	$(BIN)/python -m coverage run -m pytest -n 4 --dist loadgroup $(PYTEST_ARGS)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

mutants: $(READY) ## change the code in small ways, and see whether a test notices; takes an hour (MODULES)
	$(BIN)/python -m tests.mutation $(MODULES)

eager: ## run the tests with asyncio.eager_task_factory (Python 3.12 or newer)
	$(MAKE) unit PYTEST_ARGS="-p tests.support.eager $(PYTEST_ARGS)"

uvloop: ## run the tests on uvloop, which has to be installed in $(VENV)
	$(MAKE) unit PYTEST_ARGS="-p tests.support.on_uvloop $(PYTEST_ARGS)"

# Tests in a real browser: CHROMIUM is its executable, PICTURES a directory for screenshots.
CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)

browser: $(READY) ## run the tests of HTML pages in Chromium (CHROMIUM, PICTURES)
	@test -n "$(CHROMIUM)" || { echo "Chromium not found; run make browser CHROMIUM=/path/to/chromium"; exit 1; }
	CHROMIUM="$(CHROMIUM)" $(BIN)/python -m pytest tests/browser $(PYTEST_ARGS)

docs: $(READY) ## build the documentation site into build/docs, and test it
	$(BIN)/python -m sphinx --quiet --jobs auto --fresh-env --fail-on-warning --keep-going --nitpicky -b html docs build/docs
	SITE=build/docs $(BIN)/python -m pytest tests/site $(PYTEST_ARGS)

docs-links: $(READY) ## ask for every page elsewhere that the documentation links to; needs the network
	$(BIN)/python -m sphinx --quiet --fresh-env -b linkcheck docs build/docs-links

dist: $(READY) ## build the wheel and the source distribution into dist/, and test both in clean environments
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist
	DIST=dist $(BIN)/python -m pytest tests/distribution $(PYTEST_ARGS)

# `make lock UPGRADE=` keeps each locked version that pyproject.toml allows.
UPGRADE := --upgrade
# Compile a lock file. An unchanged file keeps its time, so that nothing is reinstalled.
compile = test -e $(1) || touch $(1); cp $(1) $(1).new && $(BIN)/uv pip compile pyproject.toml --quiet --universal \
  --python-version 3.11 --generate-hashes --custom-compile-command "make lock" $(UPGRADE) $(2) \
  --output-file $(1).new && { ! cmp -s $(1) $(1).new || cp -p $(1) $(1).new; } && mv $(1).new $(1)

lock: $(READY) ## update the lock files: the newest versions, and the lowest that pyproject.toml declares
	$(call compile,$(LOCK),--all-extras --group dev --group mutation)
	$(call compile,$(DEMO_LOCK),--extra cli --group install --constraints $(LOCK))
	$(call compile,locks/lowest.txt,--all-extras --group dev --resolution lowest-direct)
	printf '%s\n' $(FLOORS) | $(BIN)/uv pip compile - --quiet --no-deps --generate-hashes \
	  --custom-compile-command "make lock" --output-file locks/floors.txt

# What locks/lowest.txt cannot have: taskiq-redis and Celery, which are there too, need newer versions.
FLOORS := redis==5.0.2 tzdata==2024.1

# Resolves versions on each call, and so may fail without a change in this repository.
test-newest: $(READY) ## run types and unit on the newest versions of all dependencies
	@mkdir -p .newest
	$(call compile,.newest/lock.txt,--all-extras --group dev)
	$(MAKE) types unit VENV=.venv-newest LOCK=.newest/lock.txt DEMO_LOCK=.newest/lock.txt

# On the oldest Python, because such old versions have no builds for newer ones.
test-lowest: ## run unit on the lowest versions that pyproject.toml declares, on Python 3.11
	$(MAKE) unit test-floors PYTHON=python3.11 VENV=.venv-lowest LOCK=locks/lowest.txt DEMO_LOCK=locks/lowest.txt

test-floors: $(READY) ## run the tests of budgets and stores on the versions in locks/floors.txt
	rm -rf .venv-floors
	$(PIP) install --quiet --no-deps --require-hashes --target .venv-floors --requirement locks/floors.txt
	PYTHONPATH="$(abspath .venv-floors)" $(BIN)/python -m pytest -n 4 $(FLOOR_TESTS)

FLOOR_TESTS := tests/cache tests/ratelimit tests/reports tests/util

PYTHONS := 3.11 3.12 3.13 3.14

versions: ## run unit on every supported Python; a missing one is an error, unless MISSING=ok
	@for version in $(PYTHONS); do \
	  if python$$version -c "" 2>/dev/null; then \
	    $(MAKE) unit PYTHON=python$$version VENV=.venv-$$version || exit 1; \
	    tested="$$tested, $$version"; \
	  else echo "python$$version is not on this machine"; missing="$$missing, $$version"; fi; \
	done; \
	tested="$${tested#, }"; missing="$${missing#, }"; \
	echo "tested: $${tested:-none}; missing: $${missing:-none}"; \
	test -z "$$missing" || test "$(MISSING)" = ok

licenses: $(READY) ## list the licenses of what users install; one that is not allowed is an error
	$(BIN)/python -m tests.support.licenses

# In a clone, so that nothing counts that is not committed. A Python that this machine lacks is named, and left to
# .github/workflows/systems.yml.
release-check: ## test a clean clone of the last commit as a release: all checks, dependencies and Pythons
	@directory=$$(mktemp -d) && trap 'rm -rf "$$directory"' EXIT && \
	git clone --quiet --no-hardlinks . "$$directory/clone" && cd "$$directory/clone" && \
	git log -1 --format='checking %h %s' && \
	$(MAKE) test licenses && $(MAKE) test-lowest && $(MAKE) test-newest && $(MAKE) versions MISSING=ok && \
	test -z "$$(git status --porcelain)" && $(BIN)/python -m pip hash dist/*

bench: $(READY) ## run the benchmarks
	$(BIN)/python -m benchmarks

setup: $(READY) ## create the development environment

# A new lock file makes a new environment from scratch.
$(DEMO): $(LOCK) $(DEMO_LOCK)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	@test ! -e $(VENV)/pyvenv.cfg || rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (first run only):" $$(sed -n '/;/d; s/==.*//p' $(DEMO_LOCK))
	@$(PIP) install --quiet --no-compile --require-hashes --requirement $(DEMO_LOCK)
	@touch $@

$(DEV): $(DEMO) | $(PROJECT)
	@echo "Installing $$(grep -c == $(LOCK)) development packages into $(VENV) (first run only; takes about a minute)"
	@$(PIP) install --quiet --require-hashes --requirement $(LOCK)
	@touch $@

$(PROJECT): pyproject.toml $(DEMO)
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

clean: ## remove all generated files
	rm -rf .venv .venv-* .newest build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
