# One word for each thing one does here. Each prepares what it needs; a second run finds it ready.

BIN := .venv/bin
NODE_HOME := $(or $(CALIMERO_HOME),$(CURDIR)/.home)
PYTEST_ARGS ?=
BENCH_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup run test long lint fix demo bench soak locks clean

help: ## list these targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 16

setup: ## make the environment and build the sample application
	@PYTHON="$(PYTHON)" scripts/setup

run: setup ## start a node, after initialising one if there is none
	@test -e "$(NODE_HOME)/node1/config.toml" || \
		$(BIN)/merod --home "$(NODE_HOME)" --node-name node1 init --auth-mode embedded
	@exec $(BIN)/merod --home "$(NODE_HOME)" --node-name node1 run

test: setup ## lint, and run every test; PYTEST_ARGS="-k revoke" narrows it
	@$(BIN)/python -m scripts.components
	@$(MAKE) --no-print-directory lint
	@$(BIN)/python -m pytest -q -n auto --dist loadfile $(PYTEST_ARGS)

long: setup ## run what takes minutes: simulations at full length, statistics of time
	@MEROID_LONG=1 $(BIN)/python -m pytest -q -n auto -m "long or grows" $(PYTEST_ARGS)

lint: setup ## style, format, types, import layers
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check . || { echo "lint: make fix formats them"; exit 1; }
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo

fix: setup ## format the code and repair what ruff can
	@$(BIN)/ruff check --quiet --fix . ; $(BIN)/ruff format --quiet .

demo: setup ## the life of an identity, on three nodes
	@$(BIN)/python examples/life_of_an_identity.py

bench: setup ## run every benchmark; BENCH_ARGS="--quick --json" is shorter, and for machines
	@for bench in bench/*.py; do $(BIN)/python -m "bench.$$(basename "$$bench" .py)" $(BENCH_ARGS) || exit 1; done

soak: setup ## the auth service under load for ten minutes; SOAK_ARGS="--soak 180" is shorter
	@$(BIN)/python -m bench.auth $(or $(SOAK_ARGS),--soak 600)

locks: setup ## write requirements/*.txt anew; LOCKS_ARGS=--upgrade takes the newest
	@scripts/locks $(LOCKS_ARGS)

clean: ## remove what was built; a node's home, with its keys, stays
	@rm -rf .venv .setup-* dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@rm -rf examples/*/node_modules examples/*/build tests/near_api_js/node_modules
	@find $(wildcard src tests packages bench examples scripts) -name __pycache__ -type d -prune -exec rm -rf {} +
