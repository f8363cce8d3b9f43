# Two commands are all a new machine needs: `make demo` and `make test`.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,$(shell command -v $(name))))
PIP := -m pip --disable-pip-version-check -qq
ARGS ?=

.PHONY: help
help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-15s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: install
install: $(INSTALLED) ## Make .venv with every dependency as pinned in requirements.lock

# The stamp is written last: an install that was cut short is taken up again, a finished one costs nothing.
$(INSTALLED): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: install it, or say PYTHON=/path/to/python3.11" >&2; exit 7; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, $(PYTHON) is older: say PYTHON=/path/to/python3.11" >&2; exit 7; }
	@echo "Installing into $(VENV): a few minutes the first time"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python $(PIP) install --requirement requirements.lock
	@$(BIN)/python $(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: demo
demo: install ## Start everything, swap a good and a bad model on live traffic (ARGS=--keep to look around)
	@$(BIN)/gatectl demo $(ARGS)

.PHONY: test
test: install ## Run the tests (ARGS='-k policy' for some of them)
	@$(BIN)/python -m tests $(ARGS)

.PHONY: coverage
coverage: install ## Show that the tests of what decides, core and stats, take every branch
	@$(BIN)/python -m coverage run -m pytest -q -m "not slow" \
		tests/unit/core tests/unit/stats tests/unit/sim tests/property tests/statistics $(ARGS)
	@$(BIN)/python -m coverage report

.PHONY: check
check: install ## Lint, formatting, types, import contracts, and drift of everything generated
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m controller.schema check
	@$(BIN)/python -m controller.docs check
	@$(BIN)/python -m controller.adapters.migrate check

.PHONY: bench
bench: install ## Measure what the README states, and run the long calibration of the statistics
	@$(BIN)/python -m tests.benchmarks.bench_gateway
	@$(BIN)/python -m tests.benchmarks.bench_platform
	@$(BIN)/python -m tests.benchmarks.bench_scorers
	@$(BIN)/python -m tests.benchmarks.bench_decisions_core
	@$(BIN)/python -m pytest -m slow $(ARGS)

.PHONY: bench-decisions
bench-decisions: install ## Measure our decisions against other tools' rules and the information floor (ARGS=--quick)
	@$(BIN)/python -m tests.benchmarks.decisions $(ARGS)

.PHONY: lock
lock: ## Pin the newest versions that pyproject.toml allows; run `make check test` afterwards
	@folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
		$(PYTHON) -m venv "$$folder/venv"; \
		"$$folder/venv/bin/python" $(PIP) install --editable '.[dev]' setuptools; \
		{ echo "# Written by \`make lock\`. Local version labels are cut, so that any build of torch fits."; \
		  "$$folder/venv/bin/python" -m pip freeze --all --exclude pip --exclude swapgate \
		  | sed -E 's/\+[a-z0-9.]+$$//'; } > "$$folder/lock"; \
		mv "$$folder/lock" requirements.lock

.PHONY: clean
clean: ## Remove the environment and caches; .swapgate with its database stays
	@rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
