# Two commands matter: `make run` and `make test`. Everything they need is installed into .venv from the hash-pinned lock.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SECRETS := var/secrets

.DEFAULT_GOAL := help
.PHONY: help run test check format bench prove mutate cover lock install plugin uninstall clean

help: ## show what can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

# What the gateway needs, for `make run`; what tests and linters need comes on top, for everything else.
$(VENV)/.run: requirements/run.txt requirements/build.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) not found: install Python 3.11 or newer, or say make PYTHON=/path/to/python3.12"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Hookgate needs Python 3.11 or newer, this is $$($(PYTHON) -V)"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt -r requirements/build.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.ready: $(VENV)/.run requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

$(SECRETS)/%:
	@mkdir -p $(SECRETS) && chmod 700 $(SECRETS)
	@(umask 077 && $(PYTHON) -c 'import secrets; print(secrets.token_urlsafe(32))' > $@)

run: $(VENV)/.run $(SECRETS)/truework-orders $(SECRETS)/truework-states $(SECRETS)/truora ## run the gateway on config.example.toml, data under ./var
	@echo
	@echo "Hookgate is about to listen on 127.0.0.1:8080 for webhooks, and on var/run/admin.sock for you."
	@echo "Once it says daemon.started, paste this into a second terminal, in this folder:"
	@echo
	@echo "    $(BIN)/hookgate send truework order.completed --config config.example.toml && sleep 1 && tail -n 1 var/audit/events.jsonl"
	@echo
	$(BIN)/hookgate run --config config.example.toml

test: $(VENV)/.ready ## run every test
	$(BIN)/python -m pytest

check: $(VENV)/.ready ## lint, types, import rules, documentation tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests/docs

format: $(VENV)/.ready ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.ready ## measure against the bare echo (needs wrk and two cores)
	PYTHONPATH=tests $(BIN)/python benchmarks/run.py

prove: $(VENV)/.ready ## try to break every promise, at release size: hours (PROVE="--size ci": minutes)
	@PYTHONPATH=tests $(BIN)/python -m harness.prove $(PROVE)

mutate: $(VENV)/.ready ## change the code in small ways and see whether a test notices (MUTATE="ssrf --only guard")
	@PYTHONPATH=tests $(BIN)/python -m harness.mutation $(MUTATE)

cover: $(VENV)/.ready ## take every branch of the modules held to mutants (COVER="verify ssrf")
	@PYTHONPATH=tests $(BIN)/python -m harness.branches $(COVER)

lock: ## renew the lock (needs uv)
	printf 'hatchling>=1.27\neditables>=0.5\n' | uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate - -o requirements/build.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate pyproject.toml -o requirements/run.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --extra dev pyproject.toml -o requirements/dev.txt
	$(PYTHON) requirements/sbom.py > requirements/sbom.json

install: ## install or upgrade the system service (sudo make install); DESTDIR= for a scratch root
	@PYTHON="$(PYTHON)" DESTDIR="$(DESTDIR)" CHECK="$(CHECK)" systemd/install.sh install

plugin: ## add a plugin to the system service (sudo make plugin PLUGIN=folder-or-package)
	@DESTDIR="$(DESTDIR)" PLUGIN="$(PLUGIN)" systemd/install.sh plugin

uninstall: ## remove the system service, but not its data and configuration
	@DESTDIR="$(DESTDIR)" systemd/install.sh uninstall

clean: ## remove what was made, but not ./var
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .mutation
