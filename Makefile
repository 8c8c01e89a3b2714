# Needs python3 (3.11 or newer) with pip. Everything else is installed into .venv, by hash.
ifndef PYTHON
PYTHON    := $(shell for name in python3.11 python3 python3.12 python3.13; do \
             $$name -c "import sys; sys.exit(sys.version_info < (3, 11))" 2>/dev/null && \
             echo $$name && break; done)
endif
WORKERS   ?= 2
BIN       := .venv/bin
PIP       := $(PYTHON) -m pip --python $(BIN)/python --disable-pip-version-check
UV        := $(BIN)/uv
INSTALL   := $(UV) pip install --quiet --python $(BIN)/python
COMPILE   := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
             --no-header --no-annotate --no-emit-index-url --no-emit-find-links
# A release is used when it is a week old: a bad one is usually found by then.
QUARANTINE = $(shell $(PYTHON) -c "import datetime as d; \
             print(d.datetime.now(d.UTC).date() - d.timedelta(days=7))")

TOOLS := .venv/.tools
RUN   := .venv/.run
DEV   := .venv/.dev
BENCH := .venv/.bench
FOREIGN := .venv/.foreign

# The browser tests drive Debian's Chromium, or the one that WITHHOLD_CHROMIUM names.
CHROMIUM = test -n "$$WITHHOLD_CHROMIUM" || command -v chromium || \
           command -v chromium-browser || command -v google-chrome
SUDO     = $(shell test "$$(id -u)" = 0 || command -v sudo)

.DEFAULT_GOAL := help
.PHONY: up test quick check fix bench lock help clean chromium go

up: $(RUN)  ## Install what is needed into .venv, load the demo, serve on 127.0.0.1:8080
	@exec $(BIN)/withhold up

test: check $(FOREIGN) chromium go  ## Run everything that CI runs: style, types, import contracts, all tests
	$(BIN)/pytest -n $(WORKERS)
	@echo "make test: style, types, import contracts and all tests passed"

quick: $(DEV) chromium  ## Run the fast tests, in less than five minutes
	$(BIN)/pytest -n $(WORKERS) -m "not slow"

check: $(DEV)  ## Check style, types and import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

fix: $(DEV)  ## Repair what the style checker can repair
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(BENCH) $(FOREIGN)  ## Run the benchmarks, each beside what it is compared with
	$(BIN)/withhold bench

lock: $(TOOLS)  ## Choose versions anew and pin them by hash in requirements/
	$(COMPILE) --upgrade --exclude-newer $(QUARANTINE) requirements/tools.in -o requirements/tools.txt
	$(COMPILE) --upgrade --exclude-newer $(QUARANTINE) pyproject.toml -o requirements/run.txt
	$(COMPILE) --upgrade --exclude-newer $(QUARANTINE) -c requirements/run.txt --extra dev pyproject.toml -o requirements/dev.txt
	$(COMPILE) --upgrade --exclude-newer $(QUARANTINE) -c requirements/run.txt --extra foreign pyproject.toml -o requirements/foreign.txt
	$(COMPILE) --upgrade --exclude-newer $(QUARANTINE) -c requirements/run.txt --extra bench pyproject.toml -o requirements/bench.txt
	@! grep -nE "://|^-" requirements/*.txt || { echo "a lock file holds an address or an option" >&2; exit 1; }

help:  ## List these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-6s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

clean:  ## Remove .venv and what tools left; data in .withhold stays
	rm -rf .venv dist build .coverage htmlcov .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache

# Nothing to do, and nothing said, when a Chromium is there.
chromium:
	@{ $(CHROMIUM); } >/dev/null || { command -v apt-get >/dev/null && \
	echo "Installing Chromium for the browser tests" && $(SUDO) apt-get update -qq && \
	$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium \
	</dev/null >/dev/null && { $(CHROMIUM); } >/dev/null; } || { \
	echo "the browser tests need Chromium: install it, or say where: WITHHOLD_CHROMIUM=/path/to/chromium" >&2; exit 1; }

# Go's own reader of transparency logs, as Debian packages it, checks what ours writes.
go:
	@test -d /usr/share/gocode/src/golang.org/x/mod/sumdb && command -v go >/dev/null || { \
	command -v apt-get >/dev/null && echo "Installing Go for the foreign verifiers" && $(SUDO) apt-get update -qq && \
	$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends golang-go golang-golang-x-mod-dev \
	</dev/null >/dev/null && command -v go >/dev/null; } || \
	echo "no Go here and no apt-get: the tests that let Go check the log are skipped" >&2

# Stamps: a second run finds them newer than the lock files and does nothing.
# --without-pip, because some systems ship venv without its bundled pip.
$(TOOLS): requirements/tools.txt
	@test -n "$(PYTHON)" || { echo "no Python 3.11 or newer found; say where: make PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "Installing into .venv (about a minute, the first time only)"
	@$(PYTHON) -m venv --without-pip .venv
	@$(PIP) install --quiet --require-hashes --requirement requirements/tools.txt
	@touch $@

$(RUN): $(TOOLS) requirements/run.txt pyproject.toml
	@$(INSTALL) --require-hashes --requirement requirements/run.txt
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): $(RUN) requirements/dev.txt
	@$(INSTALL) --require-hashes --requirement requirements/dev.txt
	@touch $@

$(FOREIGN): $(RUN) requirements/foreign.txt
	@$(INSTALL) --require-hashes --requirement requirements/foreign.txt
	@touch $@

$(BENCH): $(RUN) requirements/bench.txt
	@$(INSTALL) --require-hashes --requirement requirements/bench.txt
	@touch $@
