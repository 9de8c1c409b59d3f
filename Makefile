# make demo      sets everything up, analyses the synthetic sample clip and writes its report page
# make test      sets everything up, checks style and types, runs the tests
# make test-slow runs the slow tests (real weights, large downloads)
# make bench     measures time and memory (an hour or more; BENCH=--quick: minutes), writes runs/benchmarks/
# make docs      builds the documentation into build/site; a broken link is an error
# make card      writes MODEL_CARD.md from its template and the training record
# make style     rewrites the code in the project's format
PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: demo test test-slow bench docs card style quality

demo: $(VENV)/.installed
	$(BIN)/microemo analyze examples/astronaut.mp4 --out runs/demo/astronaut.html
	@echo "open runs/demo/astronaut.html in a browser: the video with its timeline"

# One thread for each worker: two workers with two threads each only fight over the cores.
test: quality
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS)

test-slow: $(VENV)/.installed-all
	$(BIN)/pytest -m slow

bench: $(VENV)/.installed
	$(BIN)/python -W ignore -m benchmarks $(BENCH)

# The reference is read from an installed copy, since the folders' names are not those of the import.
docs: $(VENV)/.installed-all
	rm -rf build && $(PIP) install --quiet --no-deps --target build/typed .
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo "open build/site/index.html"

card: $(VENV)/.installed
	$(BIN)/python -W ignore -m microemo.conversion.hub.model_card MODEL_CARD.md

style: $(VENV)/.installed-all
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# mypy cannot follow the folder mapping of an editable install, so it reads a plain one.
quality: $(VENV)/.installed-all
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	rm -rf build && $(PIP) install --quiet --no-deps --target build/typed .
	cd build && MYPYPATH=typed ../$(BIN)/mypy --config-file ../pyproject.toml -p microemo

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python setup.py pyproject.toml constraints.txt
	@echo "installing microemo and its dependencies into $(VENV): some minutes, silent while it works"
	$(PIP) install --quiet -c constraints.txt -e .
	touch $@

$(VENV)/.installed-all: $(VENV)/bin/python setup.py pyproject.toml constraints.txt
	@echo "installing microemo with all extras into $(VENV): some minutes, silent while it works"
	$(PIP) install --quiet -c constraints.txt -e ".[all]"
	touch $@ $(VENV)/.installed
