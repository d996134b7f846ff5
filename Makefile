.PHONY: run test check bench format

PYTHON ?= .venv/bin/python

run:            ## open the screen
	$(PYTHON) -m tui

test:           ## the whole suite (slow tests included)
	$(PYTHON) -m pytest

check:          ## lint, types, import contracts
	$(PYTHON) -m ruff check engine tui tests
	$(PYTHON) -m ruff format --check engine tui tests
	$(PYTHON) -m mypy
	$(dir $(PYTHON))lint-imports

bench:          ## figures, each beside its peer in the same run
	$(PYTHON) -m tests.bench

format:
	$(PYTHON) -m ruff check --fix engine tui tests
	$(PYTHON) -m ruff format engine tui tests
