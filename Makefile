# Needs GNU make and python3.11 (or 3.12) on PATH; everything else is installed below .tools and .venv.

PYTHON ?= python3.11
UV_VERSION := 0.13.9
UV := .tools/bin/uv
VENV := .venv/bin
LOCAL := $(VENV)/python -m alphapulse_local
PLATFORM_CODE := shared functions eventing/broker knative/local

# Settings of `up`, also as environment variables.
PORT ?= 8080
WARM ?=
IDLE ?=
MARKET_DATA_DIR ?=
PROVIDER_DATA_DIR ?=
SERVICE ?=
# Settings of `backtest`; OPTIONS are passed on: `python -m alphapulse.backtesting --help` lists them.
SYMBOL ?= BTC-USD
INTERVAL ?= 1d
AGENT ?= technical
FROM ?=
TO ?=
OPTIONS ?=
TESTS ?=
# A module's tests stay in one process, so that what they share is started once.
PYTEST_ARGS ?= -n 2 --dist loadscope

UP_OPTIONS = --port $(PORT) \
	$(if $(filter-out 0,$(WARM)),--warm) \
	$(if $(IDLE),--idle $(IDLE)) \
	$(if $(MARKET_DATA_DIR),--market-data-dir '$(MARKET_DATA_DIR)') \
	$(if $(PROVIDER_DATA_DIR),--provider-data-dir '$(PROVIDER_DATA_DIR)')

.DEFAULT_GOAL := help
.PHONY: help setup up down status logs demo backtest test lint fmt bench bao manifests new-function clean
.SUFFIXES:

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/.stamp ## Install tools and dependencies (quick when nothing changed)

$(UV):
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not on PATH; choose another one: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .tools
	.tools/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $(UV)

.venv/.stamp: uv.lock pyproject.toml $(wildcard */pyproject.toml */*/pyproject.toml) | $(UV)
	$(UV) sync --quiet --frozen --compile-bytecode --all-packages --all-groups --python $(PYTHON)
	@touch $@

up: setup ## Start the platform: [PORT=8080] [WARM=1] [IDLE=seconds] [MARKET_DATA_DIR=dir] [PROVIDER_DATA_DIR=dir]
	@$(LOCAL) up $(UP_OPTIONS)

down: setup ## Stop the platform, wherever it was started
	@$(LOCAL) down

status: setup ## Show functions, components and the broker's triggers
	@$(LOCAL) status

logs: setup ## Follow the logs: [SERVICE=name]
	@$(LOCAL) logs --follow $(SERVICE)

demo: setup ## Walk through sign-up, signals and a trade
	@MARKET_DATA_DIR='$(MARKET_DATA_DIR)' PROVIDER_DATA_DIR='$(PROVIDER_DATA_DIR)' $(LOCAL) demo

backtest: setup ## Walk an agent over past candles: [SYMBOL=] [AGENT=] [INTERVAL=] [FROM=] [TO=] [MARKET_DATA_DIR=] [OPTIONS=]
	@mkdir -p .local/backtest
	@$(VENV)/python -m alphapulse.backtesting --symbol '$(SYMBOL)' --interval '$(INTERVAL)' --agent '$(AGENT)' \
		$(if $(FROM),--from '$(FROM)') $(if $(TO),--to '$(TO)') \
		$(if $(MARKET_DATA_DIR),--data-dir '$(MARKET_DATA_DIR)') \
		$(if $(PROVIDER_DATA_DIR),--provider-data-dir '$(PROVIDER_DATA_DIR)') \
		--json '.local/backtest/$(SYMBOL)_$(INTERVAL)_$(AGENT).json' \
		--png '.local/backtest/$(SYMBOL)_$(INTERVAL)_$(AGENT).png' $(OPTIONS)

test: setup ## Run all tests: [TESTS=path] [PYTEST_ARGS=...]
	@$(VENV)/pytest $(PYTEST_ARGS) $(TESTS)

lint: setup ## Check style, types, layers and manifests
	$(VENV)/ruff check
	$(VENV)/ruff format --check
	$(VENV)/mypy $(PLATFORM_CODE)
	$(VENV)/lint-imports
	$(LOCAL) manifests

fmt: setup ## Format the code and mend what ruff can mend
	$(VENV)/ruff check --fix
	$(VENV)/ruff format

bench: setup ## List the benchmarks; run one: make bench-<name>
	@ls tests/bench/bench_*.py 2>/dev/null | sed -E 's,.*/bench_(.*)\.py,  make bench-\1,; y,_,-,'

bench-%: setup
	@$(VENV)/python -m tests.bench.bench_$(subst -,_,$*)

bao: $(UV) ## Put a real OpenBao at .tools/bin/bao, for the tests of Vault and for `BAO=1 make up`
	@knative/local/bao/build.sh

manifests: setup ## Check the Knative objects
	@$(LOCAL) manifests

new-function: setup ## Create a function from the template: NAME=folder [EVENT=type]
	@test -n "$(NAME)" || { echo "say which: make new-function NAME=signal_momentum" >&2; exit 2; }
	@$(LOCAL) new-function $(NAME) $(if $(EVENT),--event $(EVENT))
	@$(UV) lock --quiet

clean: ## Stop the platform; remove the environment, caches and the platform's data (.local)
	@if [ -x $(VENV)/python ]; then $(LOCAL) down; fi
	rm -rf .venv .build .local .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.tools/*' -prune -exec rm -rf {} +
