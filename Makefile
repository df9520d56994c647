# `make demo` and `make test` install what they need: a .venv from requirements.lock, and Azurite and Node.js in .local.

VENV := .venv
PYTHON := $(VENV)/bin/python
PIP := $(PYTHON) -m pip install -qq --disable-pip-version-check --no-input --require-hashes
HOST = local
ONLY =
SEED = 1
SECONDS = 600
ifeq ($(MAKELEVEL), 0)
MAKEFLAGS += --jobs=2 # while pip installs the packages, npm installs Azurite
endif

.DEFAULT_GOAL := help
.PHONY: help demo test test-aside test-rest chaos up down bench lint format lock clean setup azurite

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 16

demo: setup ## index the samples and answer three questions
	@$(PYTHON) -m local demo

up: setup ## start everything and keep it running until Ctrl-C (HOST=func: with Azure Functions Core Tools)
	@$(PYTHON) -m local up --host $(HOST)

down: setup ## stop the running stack
	@$(PYTHON) -m local down

test: lint .local/runtime/installed .local/infra-tools/installed .local/openapi-tools/installed ## check and test everything
	@$(MAKE) --no-print-directory test-aside test-rest
	@tail -1 .local/test-aside.log

test-aside: # slow tests of crashes and repairs, which mostly wait
	@$(PYTHON) -m pytest -q -m aside > .local/test-aside.log 2>&1 \
		|| { cat .local/test-aside.log; exit 1; }

test-rest:
	@$(PYTHON) -m pytest -q -m "not aside"

chaos: setup ## kill, freeze and disturb the processes at random, then check everything (SEED=7 SECONDS=600)
	@echo "Seed $(SEED), $(SECONDS) s of faults, then up to half an hour until all is right again."
	@CHAOS_SEED=$(SEED) CHAOS_SECONDS=$(SECONDS) $(PYTHON) -m pytest -q --tb=short --log-cli-level=WARNING --log-cli-format="%(asctime)s %(message)s" \
		tests/chaos -k random_faults
	@echo "All held. Try another one: make chaos SEED=$$(( $(SEED) + 1 )) SECONDS=$(SECONDS)"

lint: setup ## check style, types and the direction of imports
	@$(VENV)/bin/ruff check --quiet
	@$(VENV)/bin/ruff format --check --quiet
	@$(VENV)/bin/mypy --no-error-summary
	@$(VENV)/bin/lint-imports --no-cache --no-logo > .local/lint-imports.log 2>&1 || { cat .local/lint-imports.log; exit 1; }
	@echo "Style, types and imports are clean."

format: setup ## format the code
	@$(VENV)/bin/ruff check --quiet --fix
	@$(VENV)/bin/ruff format --quiet

bench: setup .local/openapi-tools/installed ## measure speed and quality; results also in .local/bench (ONLY="speed host": only these)
	@$(PYTHON) -m bench $(ONLY)

lock: $(VENV)/created ## pin the newest package versions that pyproject.toml and requirements.in allow
	@$(PYTHON) -m venv .local/lock
	@.local/lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	@.local/lock/bin/uv pip compile requirements.in pyproject.toml --extra local --extra dev --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-emit-find-links --no-header --quiet --output-file requirements.lock
	@.local/lock/bin/uv pip compile requirements.in --constraint requirements.lock --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate \
		--quiet --output-file requirements.txt
	@.local/lock/bin/uv pip compile tests/infra/requirements.in --overrides tests/infra/overrides.txt --universal \
		--python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate \
		--quiet --output-file tests/infra/requirements.lock
	@.local/lock/bin/uv pip compile tests/openapi/requirements.in --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate \
		--quiet --output-file tests/openapi/requirements.lock
	@rm -rf .local/lock
	@echo "requirements.lock and requirements.txt are updated; the next make command installs it."

clean: ## delete everything that set-up and runs created: .venv, .local with its data, caches
	@rm -rf $(VENV) .local .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup: $(VENV)/installed azurite

azurite: $(VENV)/created
	@$(PYTHON) -m local.stack.node

$(VENV)/installed: requirements.lock $(VENV)/created
	@echo "Installing the Python packages into $(VENV) (about a minute)"
	@$(PIP) --requirement requirements.lock
	@touch $@

$(VENV)/created:
	@for python in python3.13 python3.12 python3.11 python3.14 python3; do \
		if $$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; then \
			echo "Creating $(VENV) with $$($$python --version)"; \
			$$python -m venv $(VENV) && touch $@ && exit 0; \
			echo "$$python could not create a virtual environment (on Debian and Ubuntu: apt install python3-venv)."; exit 1; \
		fi; \
	done; \
	echo "This needs Python 3.11, 3.12, 3.13 or 3.14, and none is on PATH."; exit 1

.local/runtime/installed: tests/runtime.txt $(VENV)/installed
	@echo "Installing Microsoft's Functions runtime for the tests"
	@rm -rf .local/runtime
	@$(PIP) --no-deps --ignore-requires-python --target .local/runtime --requirement $<
	@touch $@

.local/infra-tools/installed: tests/infra/requirements.lock tests/infra/installer.lock $(VENV)/installed
	@echo "Installing the tools that check infra/ (checkov, shellcheck)"
	@rm -rf .local/infra-tools
	@$(PYTHON) -m venv --without-pip .local/infra-tools
	@$(PIP) --prefix .local/infra-tools --requirement tests/infra/installer.lock
	@.local/infra-tools/bin/uv pip install --quiet --no-deps --require-hashes --python .local/infra-tools/bin/python \
		--requirement tests/infra/requirements.lock
	@touch $@

.local/openapi-tools/installed: tests/openapi/requirements.lock tests/openapi/npm/package-lock.json $(VENV)/installed
	@echo "Installing the tools that check the API description (openapi-spec-validator, schemathesis, client generators)"
	@rm -rf .local/openapi-tools
	@$(PYTHON) -m venv .local/openapi-tools
	@.local/openapi-tools/bin/python -m pip install -qq --disable-pip-version-check --no-input --require-hashes --no-deps \
		--requirement $<
	@$(PYTHON) -m tests.openapi.npm_tools
	@touch $@
