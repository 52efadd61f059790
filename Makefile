# make chat   talk with the doctor flow (installs what is missing first)
# make test   lint, type-check and test
# make bench  measure against peers, and write bench/results.json and bench/RESULTS.md
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: chat test lint test-hard bench bench-training clean

chat: $(VENV)/installed
	@$(BIN)/python -m fsmbot.doctor fetch
	@$(BIN)/python -m fsmbot --flow flows/doctor.yaml

test: lint
	$(BIN)/python -m pytest -m "not hard"

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test-hard: $(VENV)/installed
	$(BIN)/python -m pytest -m "hard or promise" -s --figures tests/RELIABILITY.md

bench: $(VENV)/installed
	@$(BIN)/python -m fsmbot.doctor fetch
	$(BIN)/python bench/run.py

bench-training: $(VENV)/installed
	@$(BIN)/python -m fsmbot.doctor fetch
	$(BIN)/python bench/run.py training

# The stamp is newer than what it was made from, so an unchanged environment is not touched again.
$(VENV)/installed: setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "fsmbot needs Python 3.11 or newer; name one: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all]'
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
