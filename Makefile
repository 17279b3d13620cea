# Needs only make and Python 3.10 or later. `make PYTHON=python3.12 test` chooses another Python.
PYTHON ?= python3
# The beginning of the environments' paths: .venv-test, .venv-plugins, .venv-demo, .venv-tox.
VENV ?= .venv

SOURCES := pyproject.toml $(shell find django_celery_results -type f ! -name '*.py[co]')
PLUGINS := .ci/install-plugins $(shell find plugins -type f ! -name '*.py[co]' ! -path '*/tests/*')
DEMO := examples/demo

.PHONY: help demo demo-admin test test-all test-plugins lint types docs figures package clean

help:
	@echo "make demo        run tasks in a real worker and show their results"
	@echo "make demo-admin  show these results in Django's admin; PORT=8001 chooses the port"
	@echo "make test        run the tests on SQLite, in parallel; ARGS=tests/test_models.py runs only these"
	@echo "make test-all    run all tests with coverage: also the slow ones, races and all kinds of workers"
	@echo "make test-plugins run the tests of the first-party plugins on SQLite"
	@echo "make lint        check the style, and which module may import which"
	@echo "make types       check the types"
	@echo "make docs        build the documentation, in docs/_build/html"
	@echo "make figures     measure the performance figures in the documentation; needs the servers"
	@echo "make package     build and check the distributions"
	@echo "make clean       remove everything that these commands made"

# Run a command and show its output only if it fails. After Ctrl-C, show nothing.
quietly = log=$$(mktemp); trap 'rm -f "$$log"; echo; exit 130' INT; \
	$(1) >"$$log" 2>&1 </dev/null || { \
	cat "$$log" >&2; rm -f "$$log"; echo 'This command failed; its output is above: $(1)' >&2; exit 1; }; \
	rm -f "$$log"

# An environment is made once; the package is installed again, as a wheel, when a source has changed.
$(VENV)-%/ready: pyproject.toml
	@echo "Making the environment $(VENV)-$* (once, about a minute) …"
	@rm -rf $(VENV)-$*
	@$(call quietly,$(PYTHON) -m venv $(VENV)-$*)
	@$(call quietly,$(VENV)-$*/bin/python -m pip install --quiet --upgrade "pip>=25.1")
	@touch $@

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

# From a directory, pip installs the package again even if its version has not changed.
$(VENV)-demo/installed: $(VENV)-demo/ready $(SOURCES)
	@echo "Installing django-celery-results in $(VENV)-demo …"
	@rm -rf build *.egg-info
	@$(call quietly,$(VENV)-demo/bin/python -m pip install --quiet .)
	@rm -rf build *.egg-info
	@touch $@

$(VENV)-tox/installed: $(VENV)-tox/ready
	@$(call quietly,$(VENV)-tox/bin/python -m pip install --quiet "tox>=4.26")
	@touch $@

demo: $(VENV)-demo/installed
	@$(VENV)-demo/bin/python $(DEMO)/demo.py

demo-admin: $(VENV)-demo/installed
	@$(VENV)-demo/bin/python $(DEMO)/manage.py admin $(if $(PORT),--port $(PORT))

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

lint types package: $(VENV)-tox/installed
	$(VENV)-tox/bin/tox run -e $@

docs: $(VENV)-tox/installed
	$(VENV)-tox/bin/tox run -e docs
	@echo "The documentation is ready: open docs/_build/html/index.html in a browser."

# See benchmarks/README.md. This takes forty minutes on a machine that does nothing else.
figures:
	$(PYTHON) -m benchmarks --database all --json benchmarks/figures.json
	$(PYTHON) -m benchmarks --database all --durable --no-install --json benchmarks/figures.json
	$(PYTHON) -m benchmarks.workers --database all --no-install --json benchmarks/figures.json
	$(PYTHON) -m benchmarks.plugins --database all --json benchmarks/figures.json
	.venv-bench-plugins/bin/python -m benchmarks.serializers --json benchmarks/figures.json

clean:
	rm -rf $(VENV)-demo $(VENV)-test $(VENV)-plugins $(VENV)-tox .tox build dist *.egg-info .coverage htmlcov docs/_build
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis $(DEMO)/data
