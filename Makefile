# Each target sets up what it needs: Python 3.11 to 3.13, make and git are enough. Nothing is read from an activated environment.
.DEFAULT_GOAL := help
SHELL := /bin/sh
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP VIRTUAL_ENV PIP_TARGET PIP_PREFIX PIP_USER PIP_REQUIRE_HASHES
unexport PYTHONDONTWRITEBYTECODE # every process and every workflow's sandbox would compile all of our code again
export PYTHONNOUSERSITE := 1

VENV := .venv/bin
RIGHT_VERSION := import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
# `make demo PYTHON=/path/to/python3.12` names one; a PYTHON of the surrounding environment is not asked.
PYTHONS = $(if $(findstring command,$(origin PYTHON)),$(PYTHON),python3.11 python3.12 python3.13 python3 python)

.PHONY: help demo test check up down bench lock clean environment

help: ## what each target does
	@echo "homeostat: make TARGET; each sets up what it needs in .venv by itself"
	@sed -n 's/^\([a-z]*\):[^#]*## /\1|/p' Makefile | while IFS='|' read -r name text; do printf '  make %-7s %s\n' "$$name" "$$text"; done

demo: environment ## drift, alarm, retraining, gate, review, promotion: two years of real traffic in minutes (REVIEW=me lets you decide, PLATFORM=aws-sim takes SageMaker's way)
	@$(VENV)/python -m demo $(if $(REVIEW),--review "$(REVIEW)") $(if $(PLATFORM),--platform "$(PLATFORM)")

test: environment ## all tests, three files at a time, since much of it waits (ARGS="tests/policies -q" runs some, ARGS="-n 0" one by one)
	@echo "Running the tests ..."
	@$(VENV)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

check: environment ## format, lint, types and layers
	@failed=; for step in "-m ruff format --check ." "-m ruff check ." "-m mypy" "$(VENV)/lint-imports"; do \
		echo "$${step#-m }"; $(VENV)/python $$step || failed=yes; \
	done; test -z "$$failed" || { echo "make check found something, see above; $(VENV)/ruff format . mends the format" >&2; exit 1; }

up: environment ## start everything here without containers: Temporal, workers, bridge, serving, monitor (FLEET=file)
	@$(VENV)/python -m runtime.processes up $(if $(FLEET),--fleet "$(FLEET)")

down: environment ## end what `make up` started; the state stays in var/
	@$(VENV)/python -m runtime.processes down

bench: environment ## measure; every bench/NAME.py in turn (BENCH=NAME runs one)
	@set -e; for file in bench/$(or $(BENCH),*).py; do \
		grep -qs '^\(async \)\{0,1\}def main' "$$file" || continue; \
		name=$$(basename "$$file" .py); echo "bench.$$name"; $(VENV)/python -m "bench.$$name" $(ARGS); ran=yes; \
	done; test -n "$$ran" || { echo "no bench is called bench/$(or $(BENCH),*).py" >&2; exit 1; }

UV_LOCK = $(VENV)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
	--custom-compile-command "make lock" --python-version 3.11 $(if $(UPGRADE),--upgrade)
lock: environment ## pin all packages again in the requirements*.lock files (UPGRADE=1 takes newer ones)
	@echo "Resolving the requirements*.lock files ..."
	@$(UV_LOCK) pyproject.toml --all-extras -o requirements.lock
	@$(UV_LOCK) pyproject.toml --extra local --extra dev -c requirements.lock -o requirements-local.lock
	@$(UV_LOCK) pyproject.toml --extra local -c requirements.lock -o requirements-runtime.lock
	@$(UV_LOCK) requirements-data.in --no-deps -o requirements-data.lock
	@! grep -n '://' requirements*.lock || { echo "a lock names a host" >&2; exit 1; }

clean: ## remove .venv, var (all local state, the audit chain too) and caches
	@! test -x $(VENV)/python || $(VENV)/python -m runtime.processes idle || { test $$? -ne 75 || exit 1; }
	@rm -rf .venv var .hypothesis .pytest_cache .ruff_cache .import_linter_cache *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo "clean"

environment:
	@$(VENV)/python deploy/environment.py --check 2>/dev/null || { \
		for name in $(PYTHONS); do \
			"$$name" -c '$(RIGHT_VERSION)' 2>/dev/null && exec "$$name" deploy/environment.py; \
		done; \
		echo "homeostat needs Python 3.11, 3.12 or 3.13, and none was found:" >&2; \
		for name in $(PYTHONS); do command -v "$$name" >/dev/null && echo "  $$name is $$("$$name" -V 2>&1)" >&2; done; \
		echo "Install one (Debian, Ubuntu: apt-get install python3 python3-venv; macOS: brew install python@3.13)," >&2; \
		echo "or name one: make $(firstword $(MAKECMDGOALS)) PYTHON=/path/to/python3.12" >&2; exit 1; }
