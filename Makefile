# `make help` lists the targets: the comment behind a target's name is its help.

# Where running state lives; two can run side by side with different ones.
export MUSTER_VAR ?= var
# Compiled code is kept, in the environment, also where the shell forbids it: else each process of a stack compiles again all
# that it imports.
export PYTHONDONTWRITEBYTECODE :=
export PYTHONPYCACHEPREFIX := $(CURDIR)/.venv/pycache

VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps
# The first Python on the path that is new enough; only asked when the environment is made.
SYSTEM_PYTHON = $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)
OWN := $(wildcard libs/*/pyproject.toml services/*/pyproject.toml clients/*/pyproject.toml deploy/local/pyproject.toml)
PROTO := $(wildcard proto/*.yaml proto/muster/events/*/*.proto)
TYPED := $(wildcard libs/*/muster services/*/muster clients/*/muster deploy/local/muster)
MIGRATIONS := $(wildcard libs/*/muster/*/sql/*.sql services/*/muster/*/migrations/*.sql)
TESTED := $(wildcard libs services clients deploy tests)
PROOF := $(wildcard tests/exploration tests/simulation)
STACKS := $(wildcard deploy tests/chaos tests/e2e)

.DEFAULT_GOAL := help
.PHONY: setup demo run browser screenshots test test-parts test-stacks test-proof lint proto bench sim chaos chart clean help lock

setup: $(STAMPS)/packages $(STAMPS)/pages $(STAMPS)/proto $(STAMPS)/kafka ## install all that Muster needs into .venv

demo: setup ## run the main job from import to report, and check each figure against the others
	@$(BIN)/python -m muster.local demo --end-with-parent

run: setup ## run Muster and leave it running; Ctrl-C ends it, its data stays
	@$(BIN)/python -m muster.local run --end-with-parent

test: lint $(STAMPS)/chromium ## run all linters and all tests
	@$(MAKE) --no-print-directory -j3 test-parts test-stacks test-proof

# Side by side they keep two cores busy: most of the tests and stacks wait for processes, the proof computes. The tests go
# first, since they wait the least long for anything; the proof takes what is left.
test-parts:
	@$(BIN)/pytest $(filter-out $(STACKS),$(TESTED)) $(STACKS:%=--ignore=%) $(PROOF:%=--ignore=%)

test-stacks:
	@$(call told,nice -n 5 $(BIN)/pytest $(STACKS))

test-proof:
	@$(call told,nice -n 10 $(BIN)/pytest $(PROOF))

# What a command says once it has ended, as one piece, and how it ended.
told = $(1) > $(STAMPS)/$@.log 2>&1; code=$$?; cat $(STAMPS)/$@.log; exit $$code

lint: setup ## run all linters
	@echo "ruff check" && $(BIN)/ruff check --quiet .
	@echo "ruff format" && $(BIN)/ruff format --quiet --check .
	@echo "mypy" && $(BIN)/mypy --no-error-summary $(TYPED)
	@echo "lint-imports" && $(BIN)/lint-imports
	@echo "own linters" && $(BIN)/python tests/architecture/lint
	@echo "buf lint" && $(BIN)/buf lint proto
	@echo "buf breaking" && $(BIN)/buf breaking proto --against proto-baseline
	@echo "hadolint" && $(BIN)/hadolint deploy/docker/Dockerfile
	@echo "squawk" && $(BIN)/squawk $(MIGRATIONS)

proto: setup ## make the Python code of the events from proto/, and lint the schemas
	@$(BIN)/python libs/events/generate.py
	@$(BIN)/buf lint proto

bench: setup ## measure sending, the ledger, an audience, quotes or the counting of parts; prints one JSON object as its last line (BENCH=send|single|stop|fair|accounts|finish|ledger|audience|quote|parts)
	@$(BIN)/python -m tests.bench.run

sim: setup ## simulate whole histories with faults, by seed (SEEDS=100, FIRST=1, JOBS=the cores)
	@$(BIN)/python -m tests.simulation.run

chaos: setup ## break the running system on purpose and check the laws (ROW="1 5", FULL=1)
	@$(BIN)/python -m tests.chaos.run

browser: setup $(STAMPS)/chromium ## use the pages in a browser
	@BROWSER=whole $(BIN)/pytest services/console/tests/browser

screenshots: setup $(STAMPS)/chromium ## make the pictures of docs/screenshots
	@SCREENSHOTS=docs/screenshots $(BIN)/pytest services/console/tests/browser -k picture

chart: setup ## render the Helm chart and check it
	@$(BIN)/pytest tests/helm

clean: ## remove the running state, build results and the environment
	@[ -z "$(SYSTEM_PYTHON)" ] || PYTHONPATH=deploy/local PYTHONDONTWRITEBYTECODE=1 $(SYSTEM_PYTHON) -m muster.local.clean
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis \
		libs/events/muster/events/v1 libs/events/muster/events/topics.yaml
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name text; do printf '%-8s %s\n' "$$name" "$$text"; done

lock: $(STAMPS)/lock ## renew requirements.lock from requirements.in, to the newest versions that fit
	@$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url --no-annotate \
		--python-version 3.11 --custom-compile-command "make lock" requirements.in -o requirements.lock

# Each stamp says that a step of the set-up was done with the files it depends on. That of the environment holds where
# it was made: it does not survive a move of the checkout, nor the loss of its Python.
MADE_IN := $(shell cat $(STAMPS)/venv 2>/dev/null)
ifneq ($(or $(MADE_IN),$(CURDIR)) $(wildcard $(BIN)/python),$(CURDIR) $(BIN)/python)
$(shell rm -rf $(STAMPS))
endif

$(STAMPS)/venv:
	@[ -n "$(SYSTEM_PYTHON)" ] || { echo "make setup: needs Python 3.11 or newer with its venv module (Debian: python3-venv)" >&2; exit 1; }
	@echo "environment …" && $(SYSTEM_PYTHON) deploy/local/bootstrap.py venv && mkdir -p $(STAMPS) && printf '%s' "$(CURDIR)" > $@

$(STAMPS)/lock: requirements.lock $(STAMPS)/venv
	@echo "packages …" && $(BIN)/python deploy/local/bootstrap.py lock && touch $@

$(STAMPS)/packages: $(OWN) $(STAMPS)/lock
	@$(BIN)/python deploy/local/bootstrap.py packages && touch $@

$(STAMPS)/pages: services/console/package-lock.json services/console/package.json $(STAMPS)/lock
	@$(BIN)/python deploy/local/bootstrap.py pages && touch $@

$(STAMPS)/chromium: deploy/local/bootstrap.py $(STAMPS)/lock
	@$(BIN)/python deploy/local/bootstrap.py chromium && touch $@

$(STAMPS)/proto: $(PROTO) libs/events/generate.py $(STAMPS)/lock
	@$(BIN)/python libs/events/generate.py && touch $@

$(STAMPS)/kafka: deploy/local/muster/local/kafka_jars.sha256 $(STAMPS)/packages
	@echo "Kafka …" && $(BIN)/python -m muster.local.jars && $(BIN)/python -m muster.local.classes && touch $@
