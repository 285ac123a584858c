# make demo   install and recognise actions in the built-in data
# make test   install and run the tests
# make check  format, lint, types
# make bench  measure speed
# make fuzz   read 10,000 damaged files of every kind
# make exports   every variant of every model as ONNX, small: seven minutes of one core
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= auto

.PHONY: demo test check bench fuzz exports format clean

demo: $(VENV)/installed
	$(BIN)/bonegraph demo

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

check: $(VENV)/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/installed-dev
	mkdir -p benchmarks/results
	$(BIN)/python benchmarks/store.py --json benchmarks/results/store.json
	$(BIN)/python -m benchmarks.focus_step --json benchmarks/results/focus_step.json
	$(BIN)/python benchmarks/synthetic_hardness.py --json benchmarks/results/synthetic_hardness.json

fuzz: $(VENV)/installed-dev
	$(BIN)/python -m tests.fuzz

exports: $(VENV)/installed-dev
	BONEGRAPH_EXPORT=all $(BIN)/python -m pytest -n $(JOBS) --dist worksteal \
		-rP --show-capture stdout --durations 0 tests/properties/test_models.py -k test_exports

clean:
	rm -rf $(VENV) demo build

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@
