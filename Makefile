# The front door. `make up` needs nothing but a Debian-like machine with root or sudo.
SHELL := /bin/sh
PYTHON ?= python3
TOOLCHAIN := $(PYTHON) -m toolchain
BIN := .venv/bin
SHELL_FILES := .ci/run $(shell find . -name '*.sh' -not -path './.*')

.DEFAULT_GOAL := help
.PHONY: help up down env toolchain packages test soak lint bench costs bootstrap

help: ## say what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

bootstrap:
	@sh toolchain/bootstrap.sh $(PYTHON)

up: bootstrap ## the cluster: Docker, Pulumi, stack dev, first snapshot; SET="name=value ..." for this checkout
	@$(TOOLCHAIN) up $(SET)

down: bootstrap ## take the cluster away; backups stay
	@$(TOOLCHAIN) down

env: ## say what to source for a shell
	@$(TOOLCHAIN) env

toolchain: bootstrap ## only what `up` needs: Docker, Pulumi, Python packages, base image
	@$(TOOLCHAIN) ensure

packages: bootstrap ## the bundle that nodes on AWS install: ENGINE=redis-8 ARCH=amd64 ADD="amazon-ssm-agent.deb ..."
	@$(TOOLCHAIN) packages $(or $(ENGINE),redis-8) $(or $(ARCH),amd64) $(if $(WITHOUT_AGENT),--without-agent) $(ADD)

lint: bootstrap ## ruff, mypy, import-linter, shellcheck
	@$(TOOLCHAIN) python
	@$(TOOLCHAIN) linters
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	shellcheck $(SHELL_FILES)

test: bootstrap ## everything that can be tested on one machine; ARGS="-k name" for some of it
	@$(TOOLCHAIN) ensure redis-8 redis-7 valkey-8
	@$(TOOLCHAIN) test-tools
	@$(TOOLCHAIN) run $(BIN)/python -m tests.lanes $(ARGS)

soak: bootstrap ## many random faults on a real cluster; ARGS="--faults 1000 --seed 7", see docs/FAULTS.md
	@$(TOOLCHAIN) python
	@$(TOOLCHAIN) test-tools
	@$(TOOLCHAIN) run $(BIN)/python -m tests.faults.soak $(ARGS)

bench: bootstrap ## measure against peers; results, table and picture in docs/BENCHMARKS.md
	@$(TOOLCHAIN) ensure
	@$(TOOLCHAIN) test-tools
	@$(TOOLCHAIN) run $(BIN)/python -m benchmarks $(ARGS)

costs: bootstrap ## what the prod stack costs a month; ARGS="instanceType=c6in.xlarge ..." for other settings
	@$(TOOLCHAIN) python
	@$(BIN)/python -m infra.costs $(ARGS)
