# Each target makes .venv and installs what it needs if it is not there. `make clean` removes what they made.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUN := runs/demo
SIDE_BY_SIDE := --numprocesses auto --dist worksteal
FAST := --ignore tests/fuzz -m "not (processes or slow)" $(SIDE_BY_SIDE)
PYTHONS ?= python3.10 python3.13

.PHONY: demo gallery test test-pythons test-slow test-processes coverage fuzz check docs bench bench-memory gpu clean

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(VENV)/installed  ## condense the embedded digits to 1 image per class, and compare
	$(BIN)/datacondense condense dm --data digits --ipc 1 --iterations 400 --batch-real 64 --out $(RUN) --overwrite
	$(BIN)/datacondense evaluate $(RUN) --nets 3 --epochs 300 --beside random whole --whole-epochs 60
	$(BIN)/datacondense show $(RUN)
	$(BIN)/datacondense report $(RUN)

gallery: $(VENV)/installed  ## sets of every method on FashionMNIST, side by side: the pictures of docs/gallery.md
	$(BIN)/python benchmarks/gallery.py

test: $(VENV)/installed  ## all tests but the long ones of the three targets below
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(FAST)

test-pythons:  ## the same tests on other versions of Python, those that are here, each in an environment of its own
	for python in $(PYTHONS); do \
		if ! command -v $$python > /dev/null; then echo "$$python is not here"; continue; fi; \
		$(MAKE) test PYTHON=$$python VENV=.venv-$$python || exit 1; \
	done

coverage: $(VENV)/installed  ## the tests of `make test`, with the share of lines and branches that they run
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(FAST) --cov --cov-report term

test-slow: $(VENV)/installed  ## compiled code, memory limits, killed runs, whole chains
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --ignore tests/fuzz -m "slow and not processes" $(SIDE_BY_SIDE)

test-processes: $(VENV)/installed  ## several processes under torchrun: shared work, ends, restarts
	$(BIN)/python -m pytest tests/processes/test_distributed.py

fuzz: $(VENV)/installed  ## damaged files of every kind, thousands of each, through every reader
	$(BIN)/python -m pytest tests/fuzz

check: $(VENV)/installed  ## lint, format, spelling, types and documentation
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/codespell .ci benchmarks docs examples src tests *.md mkdocs_hooks.py Makefile pyproject.toml
	$(BIN)/pyright
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --site-dir $(VENV)/site

docs: $(VENV)/installed  ## the documentation as a site, at http://127.0.0.1:8000
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

bench: $(VENV)/installed  ## the published algorithm against ours, in one run
	$(BIN)/python benchmarks/speed.py

bench-memory: $(VENV)/installed  ## peak memory and time of one iteration on large sets
	$(BIN)/python benchmarks/memory.py

gpu:  ## all that only a GPU can show, in nine minutes: tests, times, cells of the published tables
	@$(or $(wildcard $(BIN)/python),$(PYTHON)) benchmarks/gpu.py

clean:
	rm -rf $(VENV) $(RUN)
