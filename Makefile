# What can be done here? `make` alone lists it. Every target does the set-up it needs, and is quick the second time.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# Which Python makes the virtual environment: name one (make PYTHON=/path/to/python3), or the first that will do.
PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
EXAMPLES ?= 1000
SEED ?= $(shell date +%s)

# What the worker is measured beside has versions of its own, which must not touch ours.
PEERS := .venv-bench

# Tests start hundreds of processes, and without its bytecode each would compile the project anew.
unexport PYTHONDONTWRITEBYTECODE

# The stamp holds the checkout's path: one that was moved is set up again.
STAMP := $(VENV)/.installed
ifneq ($(shell cat $(STAMP) 2>/dev/null),$(CURDIR))
.PHONY: $(STAMP)
endif

.PHONY: help
help:  ## list the targets
	@sed -n 's/^\([a-z][a-z-]*\):[^#]*##  *\(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name text; do \
	  printf '  make %-14s %s\n' "$$name" "$$text"; done

.PHONY: demo
demo: $(STAMP)  ## see it work: a day of usage through the embedded stack, the books balanced, the tables printed
	@$(BIN)/spendgauge demo $(ARGS)

.PHONY: setup
setup: $(STAMP)  ## make .venv with the pinned versions, and spendgauge in it

.PHONY: test
test: lint types  ## check all: format, lint, types, tests, three files at a time (says what it skipped, and why)
	@$(BIN)/python -c "from tests.apache_kafka import fetch_jars, missing_tool; missing_tool() or fetch_jars()"
	@$(BIN)/python -m pytest --numprocesses=3 --dist=loadfile --no-loadscope-reorder $(ARGS)

.PHONY: failures
failures: $(STAMP)  ## kill, freeze and cut off what can be, again and again (ARGS="--times 10 --broker kafka|embedded|both")
	@$(BIN)/python -m tests.failures $(ARGS)

.PHONY: lint
lint: $(STAMP)  ## check format and style
	@$(BIN)/python -m ruff format --check .
	@$(BIN)/python -m ruff check .

.PHONY: types
types: $(STAMP)  ## check types (mypy, strict)
	@$(BIN)/python -m mypy

.PHONY: fuzz
fuzz: $(STAMP)  ## let Schemathesis make up requests to a gateway for some minutes (EXAMPLES=1000 SEED=...)
	@SPENDGAUGE_EXAMPLES=$(EXAMPLES) SPENDGAUGE_FUZZ_SEED=$(SEED) $(BIN)/python -m pytest tests/contract/test_gateway_openapi.py --timeout=1800 $(ARGS)

.PHONY: up
up: $(STAMP)  ## run broker, worker, sink and ClickHouse on this machine until Ctrl-C (ARGS=--detach: go on behind)
	@$(BIN)/spendgauge up $(ARGS)

.PHONY: down
down: $(STAMP)  ## stop what `make up ARGS=--detach` left running
	@$(BIN)/spendgauge down $(ARGS)

.PHONY: bench
bench: $(STAMP)  ## measure sink, emit() and gateway beside bare loops of the same work, in a minute or two
	@$(BIN)/python -m benchmarks sink emit gateway $(ARGS)

.PHONY: bench-alerts
bench-alerts: $(STAMP)  ## measure the spike detector beside three common rules, on real series where they are at hand
	@$(BIN)/python -m benchmarks alerts $(ARGS)

.PHONY: live-alert
live-alert: $(STAMP)  ## let an agent run away on the embedded stack, in real time: does it page in seconds? (20 minutes)
	@$(BIN)/python -m benchmarks live-alert $(ARGS)

.PHONY: bench-streams
bench-streams: $(STAMP) $(PEERS)/.installed  ## measure the worker beside Faust, Bytewax, Quix and loops, in ten minutes
	@$(BIN)/python -m benchmarks streams $(ARGS)

.PHONY: bench-worker
bench-worker: $(STAMP)  ## measure the worker alone: more workers, more keys, restart, latency, in eight minutes
	@$(BIN)/python -m benchmarks scaling keys restart latency $(ARGS)

.PHONY: soak
soak: $(STAMP)  ## load a worker on Apache Kafka for 20 minutes and judge: flat or not (ARGS="--minutes 2": shorter)
	@$(BIN)/python -m benchmarks soak $(ARGS)

.PHONY: storm
storm: $(STAMP)  ## kill and freeze Kafka under a service that is killed too, three times over, in ten minutes
	@$(BIN)/python -m benchmarks storm $(ARGS)

.PHONY: constraints
constraints:  ## write constraints.txt anew from the newest versions that pyproject.toml allows
	@deploy/setup.sh "$(VENV).new" newest $(PYTHON)
	@deploy/constraints.sh "$(VENV).new" > constraints.txt.new
	@mv constraints.txt.new constraints.txt
	@rm -rf "$(VENV).new"

.PHONY: clean
clean:  ## remove what the targets made: .venv, caches, builds (the data of a stack stays)
	@rm -rf $(VENV) $(VENV).new $(PEERS) .mypy_cache .pytest_cache .ruff_cache .hypothesis dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(PEERS)/.installed: pyproject.toml | $(STAMP)
	@$(BIN)/python -m venv --clear $(PEERS)
	@$(PEERS)/bin/python -m pip --quiet --disable-pip-version-check install "pip>=25.1"  # the first that knows groups
	@$(PEERS)/bin/python -m pip --quiet --disable-pip-version-check install --group bench
	@touch $@

$(STAMP): pyproject.toml constraints.txt deploy/setup.sh
	@deploy/setup.sh $(VENV) pinned $(PYTHON)
	@printf %s "$(CURDIR)" > $@
