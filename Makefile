# Needs Python 3.10 or later and make, nothing else. `make PYTHON=python3.12 test` chooses another Python.
PYTHON ?= python3
# Where the environments are made: .venv-test, .venv-plugins, .venv-demo, .venv-tox.
VENV ?= .venv

SOURCES := pyproject.toml $(shell find django_celery_results -type f ! -name '*.py[co]')
PLUGINS := .ci/install-plugins $(shell find plugins -type f ! -name '*.py[co]' ! -path '*/tests/*')
DEMO := examples/demo

.PHONY: help demo demo-admin test test-all test-plugins lint types docs figures package clean

help:
	@echo "make demo        run tasks through a real worker and show what became of them"
	@echo "make demo-admin  look at them in the admin, on http://127.0.0.1:8000/admin/"
	@echo "make test        run the tests on SQLite, in parallel; ARGS=tests/test_models.py runs those alone"
	@echo "make test-all    run all tests, also the slow ones, races and every kind of worker; with coverage"
	@echo "make test-plugins run the tests of the first-party plugins on SQLite"
	@echo "make lint        check the style"
	@echo "make types       check the types"
	@echo "make docs        build the documentation"
	@echo "make figures     measure all that the documentation shows of performance; needs the servers"
	@echo "make package     build and check the distributions"
	@echo "make clean       remove what all these made"

# An environment is made once; the package is installed anew, as a wheel, whenever a source changed.
$(VENV)-%/ready: pyproject.toml
	rm -rf $(VENV)-$*
	$(PYTHON) -m venv $(VENV)-$*
	$(VENV)-$*/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	touch $@

$(VENV)-test/installed: $(VENV)-test/ready $(SOURCES)
	@echo "Installing the package and what its tests need into $(VENV)-test: a minute, the first time"
	@rm -rf build *.egg-info
	@$(VENV)-test/bin/python -m pip install --quiet --group test .
	@$(VENV)-test/bin/python -m pip install --quiet --no-deps --force-reinstall .
	@rm -rf build *.egg-info
	@touch $@

$(VENV)-plugins/installed: $(VENV)-plugins/ready $(SOURCES) $(PLUGINS)
	rm -rf build *.egg-info
	$(VENV)-plugins/bin/python -m pip install --quiet --group test .
	$(VENV)-plugins/bin/python -m pip install --quiet --no-deps --force-reinstall .
	rm -rf build *.egg-info
	bash .ci/install-plugins $(VENV)-plugins/bin/python
	touch $@

$(VENV)-demo/installed: $(VENV)-demo/ready $(SOURCES) $(DEMO)/pyproject.toml
	rm -rf build *.egg-info
	$(VENV)-demo/bin/python -m pip install --quiet . --editable $(DEMO)
	$(VENV)-demo/bin/python -m pip install --quiet --no-deps --force-reinstall .
	rm -rf build *.egg-info
	touch $@

$(VENV)-tox/installed: $(VENV)-tox/ready
	$(VENV)-tox/bin/python -m pip install --quiet "tox>=4.26"
	touch $@

# From its own directory: Celery imports from the current one first, where the package's sources are.
demo: $(VENV)-demo/installed
	cd $(DEMO) && $(abspath $(VENV)-demo)/bin/python demo.py

demo-admin: $(VENV)-demo/installed
	cd $(DEMO) && $(abspath $(VENV)-demo)/bin/python manage.py admin

# One process for each core. More than eight would spend their time on making databases.
PARALLEL := --numprocesses auto --maxprocesses 8 --dist worksteal

test test-all test-plugins: export RESULTS_DATABASE := sqlite
test test-all test-plugins: export RESULTS_INSTALLED := 1
# The quick tests, to run after every change.
test: $(VENV)-test/installed
	$(VENV)-test/bin/python tests/launch.py django makemigrations --check --dry-run
	$(VENV)-test/bin/pytest $(or $(ARGS),$(PARALLEL) -m "not swap and not slow and not races and not workers")

# All but the swap from 2.6, for which tox makes the environment of that release.
test-all: $(VENV)-test/installed
	$(VENV)-test/bin/python tests/launch.py django makemigrations --check --dry-run
	$(VENV)-test/bin/pytest $(or $(ARGS),$(PARALLEL) -m "not swap" --cov)

test-plugins: $(VENV)-plugins/installed
	$(VENV)-plugins/bin/pytest $(or $(ARGS),$(PARALLEL) plugins --cov)

lint types docs package: $(VENV)-tox/installed
	$(VENV)-tox/bin/tox run -e $@

# In benchmarks/README.md. Forty minutes on a machine that does nothing else.
figures:
	$(PYTHON) -m benchmarks --database all --json benchmarks/figures.json
	$(PYTHON) -m benchmarks --database all --durable --no-install --json benchmarks/figures.json
	$(PYTHON) -m benchmarks.workers --database all --no-install --json benchmarks/figures.json
	$(PYTHON) -m benchmarks.plugins --database all --json benchmarks/figures.json
	.venv-bench-plugins/bin/python -m benchmarks.serializers --json benchmarks/figures.json

clean:
	rm -rf $(VENV)-demo $(VENV)-test $(VENV)-plugins $(VENV)-tox .tox build dist *.egg-info .coverage htmlcov docs/_build
	rm -rf .pytest_cache .mypy_cache .ruff_cache $(DEMO)/data $(DEMO)/*.egg-info
