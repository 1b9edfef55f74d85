# Python 3.11 or newer, pip and make are enough; uv is used where it is present.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

# Airflow starts seconds faster when Python may keep what it has compiled.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo ui test bench lint clean

help:  ## list the commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 8

demo: $(VENV)/demo  ## replace a file through a real Airflow DAG, against the sandbox; then stop everything
	@$(BIN)/python -m scripts.demo

ui: $(VENV)/demo  ## start the sandbox and Airflow's web UI, print their addresses, until Ctrl-C
	@$(BIN)/python -m scripts.ui

test: $(VENV)/dev lint  ## run everything: style, types, unit tests, tests over sockets, real Airflow processes
	$(BIN)/python -m pytest

bench: $(VENV)/dev  ## measure against other ways to do the same, in tables of ratios
	$(BIN)/python -m benchmarks.waiting

lint: $(VENV)/dev  ## ruff, ruff format, mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:  ## remove the virtual environment and all caches
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache dist

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; set PYTHON=...") if sys.version_info < (3, 11) else 0'
	@$(PYTHON) -m venv $(VENV)

# A marker file stands for each set of installed packages: `demo` what users have, `dev` what the tests need besides.
$(VENV)/demo $(VENV)/dev: $(VENV)/%: pyproject.toml | $(BIN)/python
	@echo "Installing the packages for \`$*\` into $(VENV) ..."
	@if command -v uv >/dev/null 2>&1; then \
		uv pip install --quiet --python $(BIN)/python --editable '.[$(EXTRA_$*)]'; \
	else \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$(EXTRA_$*)]'; \
	fi
	@touch $@
EXTRA_demo := sandbox
EXTRA_dev  := dev
