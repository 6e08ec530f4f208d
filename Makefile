# All commands of the project. `make` alone lists them.

PYTHON ?= python3
# Another Python has an environment of its own: make test PYTHON=python3.12
VENV := .venv$(if $(filter-out python3,$(PYTHON)),-$(notdir $(PYTHON)))
BIN := $(VENV)/bin
PYTEST = pytest -p no:schemathesis --dist=worksteal
# Tests with a verb of their own: they print what is worth seeing, use both cores anyway, or race against floods.
ALONE := contract/test_contract_edits contract/test_corpus contract/test_corpus_pages contract/test_schemathesis \
  sockets/test_wheel sockets/test_hostile
# Pure tests that run many requests each. `make quick` leaves them out. They take twice as long under coverage.
LONG := $(patsubst %,tests/pure/test_%.py,random_runs fuzz conversation_flows_costs conversation_flows_missed resume_cuts)
ANOTHER := ; Python 3.11 or newer is needed, with venv and ensurepip: make PYTHON=python3.12
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help setup demo sandbox test full quick lint typecheck unit slow hostile edits corpus schemathesis wheel soak shared kills cuts bench model mutants architecture
.PHONY: webchat test-browser docs fleet redelivery trace telemetry
.PHONY: contract contract-diff generate check-generated format clean

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.runs ## talk to a Feather on this machine
	@$(BIN)/python examples/demo.py

sandbox: $(VENV)/.runs ## start a Feather on this machine, to try things
	@$(BIN)/python -m featherhq sandbox

webchat: $(VENV)/.webchat ## a web chat in your browser, over a Feather on this machine, or on another port: PORT=8080
	@$(BIN)/python examples/webchat/try_it.py $(VENV)/webchat $(or $(PORT),8000)

test: lint typecheck check-generated unit wheel ## the checks and the tests (six minutes on two cores)

full: test docs slow hostile edits corpus schemathesis test-browser ## all of that, and the tests that take longer (twenty minutes)

quick: $(VENV)/.tools ## the pure tests except the longest ones, without sockets (half a minute)
	$(BIN)/$(PYTEST) --quiet --numprocesses=2 -m "not slow" tests/pure $(LONG:%=--ignore=%)

setup: $(VENV)/.node ## install what tests and generation need

lint: $(VENV)/.tools ## ruff, the layers that may import each other, and the drawings in docs/
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/python tools/architecture.py --check
	$(BIN)/python tools/pictures.py --check

typecheck: $(VENV)/.node ## mypy, strict; and pyright on what users see of the types
	$(BIN)/mypy
	$(BIN)/node $(VENV)/redocly/node_modules/pyright/index.js --pythonpath $(BIN)/python

unit: $(VENV)/.redis ## the tests except the slow ones: they must cover every line and branch of wrapper/
	$(BIN)/coverage erase
	$(BIN)/coverage run -m $(PYTEST) --quiet --numprocesses=6 -m "not slow" tests/pure tests/sockets $(ALONE:%=--ignore=tests/%.py) $(LONG:%=--ignore=%)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report
	$(BIN)/$(PYTEST) --quiet --numprocesses=2 -m "not slow" $(LONG)

slow: $(VENV)/.node $(VENV)/.redis ## the slow tests (three minutes)
	$(BIN)/$(PYTEST) --quiet --numprocesses=4 --dist=worksteal -m slow $(ALONE:%=--ignore=tests/%.py)

hostile: $(VENV)/.tools ## more than a thousand responses of broken and hostile servers, or SAMPLE=2: each second one
	$(BIN)/$(PYTEST) --numprocesses=4 tests/sockets/test_hostile.py $(addprefix --sample=,$(SAMPLE))
test-browser: $(VENV)/.browser ## the web chat in Chromium, with servers that are killed (a minute); PICTURES=1 draws docs/images/
	$(if $(PICTURES),PICTURES=1) $(BIN)/$(PYTEST) --numprocesses=2 tests/browser

edits: $(VENV)/.node ## edits of the contract, one at a time, and what contract-diff says about each (three minutes), or SAMPLE=3: each third one
	$(BIN)/$(PYTEST) -s tests/contract/test_contract_edits.py $(addprefix --sample=,$(SAMPLE))

corpus: $(VENV)/.tools ## pages with all shapes of OpenAPI: imported, generated and called (two minutes), or SAMPLE=3
	$(BIN)/$(PYTEST) -s tests/contract/test_corpus_pages.py tests/contract/test_corpus.py $(addprefix --sample=,$(SAMPLE))

schemathesis: $(VENV)/.tools ## the contract against the sandbox
	$(BIN)/pytest -s tests/contract/test_schemathesis.py

wheel: $(VENV)/.tools ## build the wheel, and try it in an empty environment
	$(BIN)/pytest tests/sockets/test_wheel.py

model: $(VENV)/.tools ## ten thousand random runs in fake time, each an hour or more (twenty minutes)
	$(BIN)/python tests/pure/random_runs.py --runs 10000

mutants: $(VENV)/.tools ## thousands of small wrong edits of the core, each of which must fail a test (half an hour)
	$(BIN)/python tools/mutants.py

architecture: $(VENV)/.graphviz ## draw docs/images from the code, and write the table of states into docs/architecture.md
	$(BIN)/python tools/architecture.py
	$(BIN)/python tools/pictures.py

docs: $(VENV)/.sphinx ## make the documentation's site, and print where it is
	@$(VENV)/sphinx/bin/sphinx-build --quiet --fresh-env --fail-on-warning --keep-going -d $(VENV)/docs/doctrees docs $(VENV)/docs/html
	@echo "$(abspath $(VENV))/docs/html/index.html"

soak: $(VENV)/.tools ## ten thousand messages and replies under faults, and the outcome of each (two minutes)
	$(BIN)/python benchmarks/soak.py

shared: $(VENV)/.redis ## eight processes under one rate limit, and what it adds to a call (five minutes)
	@$(BIN)/python benchmarks/shared.py $(addprefix --seconds=,$(SECONDS))

kills: $(VENV)/.redis ## kill 300 workers in the middle of a send, with each ledger, and count the messages (eight minutes)
	$(BIN)/python benchmarks/kills.py

cuts: $(VENV)/.tools ## kill 1,000 readers of conversations, and count what they have read (eight minutes)
	@$(BIN)/python benchmarks/cuts.py

fleet: $(VENV)/.worker ## workers of a task queue that are killed 66 times, and what became of 300 jobs (four minutes)
	@$(VENV)/worker/bin/python benchmarks/workers.py $(addprefix --seed=,$(SEED))

redelivery: $(VENV)/.worker ## when Celery gives the task of a killed worker to another, setting by setting (two minutes)
	@$(VENV)/worker/bin/python benchmarks/redelivery.py $(ONLY)

trace: $(VENV)/.tools ## draw docs/trace.svg: a real trace of a message whose response was lost
	@$(BIN)/python tools/trace_picture.py

telemetry: $(VENV)/.tools ## what telemetry adds to a call (half a minute)
	@$(BIN)/python benchmarks/telemetry.py

bench: $(VENV)/.bench ## speed and memory beside other clients (half an hour), or a part: ONLY=cpu; writes benchmarks/results.md
	@rm -rf $(VENV)/wheel
	@$(BIN)/python -m build --wheel --outdir $(VENV)/wheel . > $(VENV)/wheel.log 2>&1 || { cat $(VENV)/wheel.log; exit 1; }
	@for python in bench bare; do \
	  $(VENV)/$$python/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall $(VENV)/wheel/*.whl || exit 1; \
	done
	@$(VENV)/bench/bin/python benchmarks/bench.py $(VENV)/bare/bin/python $(addprefix --only=,$(ONLY)) $(addprefix --rounds=,$(ROUNDS))

contract: $(VENV)/.tools ## merge the vendor's pages into openapi.yaml: PAGE="a.md b.md", or SPEC=openapi.json
	@$(BIN)/python tools/contract.py --make

contract-diff: $(VENV)/.node ## what changes of the contract break since the last release, or since BASE=rev
	@$(BIN)/python tools/contract_diff.py $(addprefix --base=,$(BASE))

generate: $(VENV)/.tools ## make generated/ from openapi.yaml and openapi.overlay.yaml, and _sync/ from _async/
	@$(BIN)/python tools/generate.py
	@$(BIN)/python tools/twins.py

check-generated: $(VENV)/.tools ## fail if generated/ is not what the contract gives, or _sync/ not what _async/ gives
	$(BIN)/python tools/generate.py --check
	$(BIN)/python tools/twins.py --check

format: $(VENV)/.tools ## format what is written by hand
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove what make has made, except generated/ and _sync/
	rm -rf $(VENV) dist build .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis .schemathesis

$(BIN)/python:
	@command -v $(PYTHON) > /dev/null || { echo "error: there is no $(PYTHON)$(ANOTHER)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; v < (3, 11) and sys.exit("error: $(PYTHON) is Python %d.%d$(ANOTHER)" % v)'
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || \
	  { echo "error: $(PYTHON) has no venv or no ensurepip (Debian: apt install python3-venv)$(ANOTHER)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# A stamp is as new as what it was made from, so that a changed requirement is installed.
$(VENV)/.runs: pyproject.toml | $(BIN)/python
	@echo "Setting up $(VENV), once…"
	@$(PIP) --editable '.[sandbox]'
	@touch $@

$(VENV)/.tools: tools/requirements.txt $(VENV)/.runs
	@echo "Installing the tools, once…"
	@$(PIP) --requirement tools/requirements.txt
	@touch $@

# A real Redis, for the tests of what processes share. Debian's package, unless there is one already.
$(VENV)/.redis: | $(VENV)/.tools
	@command -v redis-server > /dev/null || { apt-get update -qq && apt-get install --yes -qq redis-server; } > $(VENV)/redis.log 2>&1 || \
	  { cat $(VENV)/redis.log; echo "error: these tests need redis-server (Debian: apt install redis-server)" >&2; exit 1; }
	@touch $@

# What the example of a web chat needs. This package itself is there already.
$(VENV)/.webchat: examples/webchat/requirements.txt $(VENV)/.runs
	@grep -v featherhq examples/webchat/requirements.txt > $(VENV)/webchat.txt
	@$(PIP) --requirement $(VENV)/webchat.txt
	@touch $@

# A browser. Debian's package, unless there is one already.
$(VENV)/.browser: tests/browser/requirements.txt $(VENV)/.node $(VENV)/.webchat
	@command -v chromium > /dev/null || { apt-get update -qq && apt-get install --yes -qq chromium; } > $(VENV)/chromium.log 2>&1 || \
	  { cat $(VENV)/chromium.log; echo "error: these tests need chromium (Debian: apt install chromium)" >&2; exit 1; }
	@$(PIP) --requirement tests/browser/requirements.txt
	@touch $@

# Draws the pictures. Only `make architecture` needs it.
$(VENV)/.graphviz: | $(VENV)/.tools
	@command -v dot > /dev/null || { apt-get update -qq && apt-get install --yes -qq graphviz; } > $(VENV)/graphviz.log 2>&1 || \
	  { cat $(VENV)/graphviz.log; echo "error: the pictures need dot (Debian: apt install graphviz)" >&2; exit 1; }
	@touch $@

# What makes the documentation's site. It reads the package, with all its extras.
$(VENV)/.sphinx: docs/requirements.txt pyproject.toml | $(BIN)/python
	@echo "Setting up an environment for the documentation, once…"
	@$(BIN)/python -m venv $(VENV)/sphinx
	@$(VENV)/sphinx/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[cli,otel,redis,sandbox,starlette]' --requirement docs/requirements.txt
	@touch $@

# What the example of workers needs.
$(VENV)/.worker: examples/worker/requirements.txt pyproject.toml $(VENV)/.redis
	@echo "Setting up an environment for workers, once…"
	@$(BIN)/python -m venv $(VENV)/worker
	@$(VENV)/worker/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[redis,sandbox]'
	@$(VENV)/worker/bin/python -m pip install --quiet --disable-pip-version-check --requirement examples/worker/requirements.txt
	@touch $@

# Two environments: one with what is measured beside this package, and one with nothing but what it needs. Both with
# compiled files, as users have them.
$(VENV)/.bench: benchmarks/requirements.txt pyproject.toml $(VENV)/.tools
	@echo "Setting up two environments for benchmarks, once…"
	@$(BIN)/python -m venv $(VENV)/bench
	@$(BIN)/python -m venv $(VENV)/bare
	@$(VENV)/bench/bin/python -m pip install --quiet --disable-pip-version-check '.[sandbox]' --requirement benchmarks/requirements.txt
	@$(VENV)/bare/bin/python -m pip install --quiet --disable-pip-version-check .
	@touch $@

# Without their scripts, of which nothing here needs any.
$(VENV)/.node: tools/package.json tools/package-lock.json $(VENV)/.tools
	@mkdir -p $(VENV)/redocly
	@cp tools/package.json tools/package-lock.json $(VENV)/redocly
	@PATH="$(abspath $(BIN)):$$PATH" npm ci --prefix $(VENV)/redocly --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@
