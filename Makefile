# Needs python3.11 or newer (with venv) and make; everything else is set up in .venv, from the hashes in requirements.lock.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ROOTS := api auth kernel history-service matching-service frontend-gateway infra
SOURCES := $(ROOTS) tests $(wildcard loadtests)

.DEFAULT_GOAL := help
.PHONY: help demo test check dev cluster bench lock protos clean

help:
	@echo "make demo   an order workflow that survives SIGKILL of its worker and of the server"
	@echo "make test   all tests"
	@echo "make check  format, lint, types, imports"
	@echo "make dev    run the embedded server (FLAGS='--port 7233 ...')"
	@echo "make cluster  two processes of each role, with their own Postgres and Redis, on this machine (FLAGS=--secure)"
	@echo "make bench  compare with the reference development server"
	@echo "make protos  renew perdure.api.protos after a change of api/proto"
	@echo "make lock   renew requirements.lock after a change of pyproject.toml"

$(BIN)/perdure: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than 3.11; try make PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV), once: a minute or two"
	@# The lock names all there is; pip, left to look for itself, stumbles over newer releases of what others depend on.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(BIN)/perdure
	$(BIN)/python -m docs.demo

test: $(BIN)/perdure
	$(BIN)/python -m pytest -n 3 --dist worksteal

check: $(BIN)/perdure
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy docs/demo loadtests
	PYTHONPATH=. $(BIN)/lint-imports

dev: $(BIN)/perdure
	$(BIN)/perdure dev $(FLAGS)

cluster: $(BIN)/perdure
	$(BIN)/python -m perdure.infra.local $(FLAGS)

bench: $(BIN)/perdure
	$(BIN)/python -m loadtests.compare --output docs/benchmarks.md

protos: $(BIN)/perdure
	$(BIN)/python api/proto/generate.py

lock:
	uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --no-annotate \
		--python-version 3.11 --group dev pyproject.toml --output-file requirements.lock

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache
