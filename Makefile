# Python 3.11 or newer, pip and make are enough; uv is used where it is present.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

# Airflow starts seconds faster when Python may keep what it has compiled.
unexport PYTHONDONTWRITEBYTECODE

# Tests wait for services and for Airflow. With more, two processors are too slow for Airflow's heartbeats.
PROCESSES := 4

# Where every branch counts.
CORE := --include='ipernity_provider/api/*,ipernity_provider/bulk/*,ipernity_provider/files/*,ipernity_provider/replacement/*'

.PHONY: help demo ui test test-fast matrix bench docs screenshots lint dist audit clean

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

demo: $(VENV)/demo  ## replace a file through a real Airflow DAG, against the sandbox; then stop everything
	@$(BIN)/python -m scripts.demo

ui: $(VENV)/demo  ## start the sandbox and Airflow's web UI, print their addresses, until Ctrl-C
	@$(BIN)/python -m scripts.ui

test: $(VENV)/dev lint  ## run everything: style, types, unit tests, tests over sockets, real Airflow processes, a browser
	$(BIN)/python -m pytest -n 2 -m simulation
	$(BIN)/python -m pytest -n $(PROCESSES) -m "not simulation" --cov --cov-report=term --cov-fail-under=93
	$(BIN)/python -m coverage report --fail-under=95 --format=total $(CORE)

test-fast: $(VENV)/dev  ## run the pure tests alone
	$(BIN)/python -m pytest -n 2 -m unit

matrix: $(VENV)/dev  ## run the tests beside each declared Python and Airflow; writes docs/versions.md
	$(BIN)/python -m scripts.matrix $(CELLS) $(OPTIONS)

bench: $(VENV)/bench  ## measure against other ways to do the same, in tables of ratios
	@for part in parsing processing uploading replacing waiting many; do \
		printf '\n== %s ==\n' "$$part"; \
		$(BIN)/python -m benchmarks.$$part || exit; \
	done

docs: $(VENV)/docs  ## build the documentation into site/; warnings are errors
	$(BIN)/python -m mkdocs build --strict

screenshots: $(VENV)/dev  ## take the documentation's pictures anew, in the browser tests
	IPERNITY_BROWSER_TESTS=required IPERNITY_SCREENSHOTS=docs/images $(BIN)/python -m pytest tests/e2e/browser

lint: $(VENV)/dev  ## ruff, ruff format, bandit, mypy --strict; actionlint where it is installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/bandit --quiet --recursive ipernity_provider
	$(BIN)/mypy
	if command -v actionlint >/dev/null 2>&1; then actionlint; fi

dist: $(VENV)/release  ## build the release into dist/ and check it
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/python -m twine check --strict dist/*.whl dist/*.tar.gz
	$(BIN)/check-wheel-contents dist/*.whl

# The licences that what a user installs may have; text-unidecode, of Airflow, leaves the choice.
LICENCES := Apache;MIT;BSD;ISC;PSF;Python Software Foundation;Mozilla Public License 2.0;MPL-2.0;Unlicense;Artistic

audit: $(VENV)/release  ## vulnerabilities, licences and a CycloneDX list of what the wheel in dist/ brings
	rm -rf .audit && $(BIN)/python -m venv .audit
	.audit/bin/python -m pip install --quiet --disable-pip-version-check "$$(ls dist/*.whl)[sandbox]"
	$(BIN)/pip-licenses --python .audit/bin/python --partial-match --allow-only '$(LICENCES)' --summary
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --of JSON -o dist/sbom.cdx.json .audit
	$(BIN)/pip-audit --path "$$(ls -d .audit/lib/python*/site-packages)"

clean:  ## remove the virtual environment, all caches and what was built
	rm -rf $(VENV) .audit .matrix .mypy_cache .pytest_cache .ruff_cache dist site

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; set PYTHON=...") if sys.version_info < (3, 11) else 0'
	@$(PYTHON) -m venv $(VENV)

# A marker file stands for each set of installed packages: `demo` what users have, `dev` what the tests need besides,
# `bench` what is measured against, `docs` what builds the documentation, `release` what builds and checks a release.
# The pip that comes with Python 3.11 does not know dependency groups.
$(VENV)/demo $(VENV)/dev $(VENV)/bench $(VENV)/docs $(VENV)/release: $(VENV)/%: pyproject.toml | $(BIN)/python
	@echo "Installing the packages for \`$*\` into $(VENV) ..."
	@if command -v uv >/dev/null 2>&1; then \
		uv pip install --quiet --python $(BIN)/python --editable '.[sandbox]' $(GROUP_$*); \
	else \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1' && \
		$(BIN)/python -m pip install --quiet --editable '.[sandbox]' $(GROUP_$*); \
	fi
	@touch $@
GROUP_dev := --group dev
GROUP_bench := --group bench
GROUP_docs := --group docs
GROUP_release := --group release
