# Shortest Peak Reversal. `make` alone lists what can be done.
SHELL := /bin/sh
.DEFAULT_GOAL := help
VENV := .venv
PYTHON := $(VENV)/bin/python
ARGS ?=
# Compiled modules are kept, whatever the environment says: tests start this program hundreds of times.
PYTEST := PYTHONDONTWRITEBYTECODE= PYTHONPATH=src $(PYTHON) -m pytest
# uv installs many times faster than pip; where it finds no way to the packages (it reads no pip.conf), pip does.
UV := $(shell grep '^uv==' requirements-dev.txt)
PIP := $(PYTHON) -m pip install --quiet --disable-pip-version-check
INSTALL = install() { \
	{ test -x $(VENV)/bin/uv || $(PIP) $(UV); } && \
	$(VENV)/bin/uv pip install --quiet --python $(PYTHON) "$$@" || { echo "uv could not; now pip."; $(PIP) "$$@"; }; }; install
# Two more than processors: many tests wait, for processes, sockets and clocks.
WORKERS ?= $(shell getconf _NPROCESSORS_ONLN | awk '{print $$1 + 2}')

# Any Python from 3.11 to 3.13; the first that runs is taken. Override with BASE_PYTHON=...
BASE_PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)

.PHONY: help
help: ## Show this list
	@echo "make TARGET   (make run ARGS=\"--symbol SOLUSDT --for 60s\")"; echo
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | awk -F '\t' '{sub(/ \(/, "\n                  (", $$2); printf "  %-15s %s\n", $$1, $$2}'

$(VENV)/.run: requirements.txt pyproject.toml
	@test -n "$(BASE_PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 was found. Install one, or say BASE_PYTHON=/path/to/python3."; exit 2; }
	@test -x $(PYTHON) || { echo "Making $(VENV) with $(BASE_PYTHON) ..."; $(BASE_PYTHON) -m venv $(VENV); }
	@echo "Installing the run-time packages ..."
	@export UV_COMPILE_BYTECODE=1; $(INSTALL) -r requirements.txt
	@$(INSTALL) --no-deps -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.txt
	@echo "Installing the development packages ..."
	@$(INSTALL) -r requirements-dev.txt
	@touch $@

.PHONY: install
install: $(VENV)/.dev ## Make .venv with everything, `shortest-peak` included

.PHONY: run
run: $(VENV)/.run ## The main job: optimise, then trade on paper (ARGS="--symbol BTCUSDT --for 60s")
	@PYTHONPATH=src $(PYTHON) -m your_short_trade_margin_call $(ARGS)

.PHONY: test
test: $(VENV)/.dev ## Every check and every test
	@$(MAKE) --no-print-directory -j 2 kernels check rewritten
	@$(PYTEST) -n $(WORKERS) --dist worksteal $(ARGS)

.PHONY: test-long
test-long: kernels $(VENV)/.dev ## Long: every test, with the cases that `make test` leaves out
	@$(PYTEST) -n $(WORKERS) --dist worksteal -m "long or not long" $(ARGS)

.PHONY: kernels
kernels: $(VENV)/.run ## Compile the rules once, so that nothing waits for them later
	@folder=$$(mktemp -d) && SHORTEST_PEAK_DATA_DIR=$$folder PYTHONDONTWRITEBYTECODE= PYTHONPATH=src \
		$(PYTHON) -m your_short_trade_margin_call BTCUSDT --market simulated --for 1s > $$folder/said 2>&1 \
		|| cat $$folder/said; rm -rf $$folder

# pytest rewrites each test file before it is first imported: once here, not in every worker at once.
.PHONY: rewritten
rewritten: check
	@$(PYTEST) --collect-only > /dev/null 2>&1 || true

.PHONY: check
check: $(VENV)/.dev ## Format, lint, types, layers: no tests
	@$(VENV)/bin/ruff format --check --quiet src tests benchmarks
	@$(VENV)/bin/ruff check --quiet src tests benchmarks
	@$(VENV)/bin/mypy --no-error-summary
	@PYTHONPATH=src $(VENV)/bin/lint-imports --no-logo | tail -n 3

.PHONY: format
format: $(VENV)/.dev ## Format the sources
	@$(VENV)/bin/ruff format --quiet src tests benchmarks
	@$(VENV)/bin/ruff check --quiet --fix src tests benchmarks

.PHONY: test-all
test-all: ## The tests on every Python from 3.11 to 3.13 that is there
	@for v in 3.11 3.12 3.13; do \
		if python$$v --version >/dev/null 2>&1; then \
			echo "Python $$v"; \
			$(MAKE) --no-print-directory test VENV=.venv-$$v BASE_PYTHON=python$$v || exit 1; \
		else echo "Python $$v is not installed: skipped"; fi; \
	done

.PHONY: bench
bench: $(VENV)/.dev ## How fast sweep and orders are here, into docs/performance.md (ARGS=--quick: a look)
	@PYTHONPATH=src:. $(PYTHON) -m benchmarks $(ARGS)
	@PYTHONPATH=src:. $(PYTHON) -m benchmarks.latency

.PHONY: bench-cluster
bench-cluster: $(VENV)/.dev ## Long: what a second Dask worker is worth, on a quiet machine (ARGS=60: seconds of work)
	@PYTHONPATH=src:. $(PYTHON) -m benchmarks.cluster $(ARGS)

.PHONY: evidence-table
evidence-table: $(VENV)/.dev ## The record on recorded candles, into docs/evidence.md (FILES="BTCUSDT.parquet ...")
	@PYTHONPATH=src:. $(PYTHON) -m benchmarks.evidence $(FILES)

.PHONY: parity
parity: $(VENV)/.dev ## Long: live engine against backtest on whole recorded files (FILES="a.parquet b.parquet")
	@PYTHONPATH=src:. $(PYTHON) -m benchmarks.parity $(FILES)

.PHONY: parity-sockets
parity-sockets: $(VENV)/.dev ## Long: the same through sockets, on the look-alike exchange (FILES="a.parquet")
	@PYTHONPATH=src:. $(PYTHON) -m benchmarks.parity_sockets $(FILES)

.PHONY: storm
storm: $(VENV)/.dev ## Long: every pair of faults through sockets, at several moments
	@PYTHONPATH=src:. $(PYTHON) -m benchmarks.storm

.PHONY: latency
latency: $(VENV)/.dev ## From a closing candle to the order, beside ccxt.pro and pybit (ARGS="--rounds 100")
	@PYTHONPATH=src:. $(PYTHON) -m benchmarks.latency $(ARGS)

.PHONY: drill
drill: $(VENV)/.dev ## Long: is REAL said where there is no edge? (ARGS="--markets 200")
	@PYTHONPATH=src $(PYTHON) -m your_short_trade_margin_call drill --markets 100 $(ARGS)

.PHONY: calibrate-drill
calibrate-drill: $(VENV)/.dev ## Long: what the drill's planted falls are worth (ARGS="--fall 0.007")
	@PYTHONPATH=src:. $(PYTHON) -m benchmarks.calibrate_drill $(ARGS)

.PHONY: lock
lock: $(VENV)/.dev ## Pin the newest packages that fit pyproject.toml
	@$(VENV)/bin/uv pip compile -q --universal --python-version 3.11 --no-annotate --no-header --upgrade \
		pyproject.toml -o requirements.txt
	@$(VENV)/bin/uv pip compile -q --universal --python-version 3.11 --no-annotate --no-header --upgrade --extra dev \
		-c requirements.txt pyproject.toml -o requirements-dev.txt

.PHONY: clean
clean: ## Remove environments and caches; data stays
	@rm -rf $(VENV) .venv-3.* .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
