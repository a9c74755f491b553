# make benchmark   set up, then separate and score the default tracks with every system, and build the report
# make test        set up, then run the tests
# make test-slow   set up, then run the slow tests, which `make test` leaves out
# make lint        set up, then ruff and mypy
# make setup       only set up: .venv, requirements, ffmpeg, fluidsynth
# make train-smoke DATA=DIR   set up, train `small` for a minute, kill it half-way, resume it
# make spleeter    set up, then make the environment of Spleeter (1.1 GB), for --systems spleeter
# make clean       remove .venv, caches and out/
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
REQUIREMENTS := requirements.txt requirements-dev.txt requirements-axe.txt pyproject.toml
# What is installed is compiled by all cores afterwards: pip's one core takes a third of its time for that.
PIP_OPTIONS := --quiet --disable-pip-version-check --no-compile
# Where it is set, every process of the tests would compile this repository again.
unexport PYTHONDONTWRITEBYTECODE
# The stamp is named after what was installed and where: a changed requirement or a moved checkout sets up again.
STAMP := $(VENV)/.installed-$(shell { echo "$(CURDIR)"; cat $(REQUIREMENTS); } | cksum | cut -d' ' -f1)
# The tests render with it; apt-dev.txt names its package.
SOUNDFONT := /usr/share/sounds/sf2/TimGM6mb.sf2
BROWSERS := chromium chromium-browser google-chrome
# Training music of train-smoke: MUSDB_PATH, or the team's shared folder.
DATA ?= $(firstword $(wildcard $(MUSDB_PATH) ../shared/data/musdb18-7 /work/shared/data/musdb18-7))
NEEDS_PYTHON := import sys; sys.exit(sys.version_info < (3, 11))

.PHONY: help setup programs browser chromium benchmark spleeter train-smoke test test-slow lint clean

help:
	@sed -n "s/^# make /make /p" Makefile

setup: programs $(STAMP)

$(STAMP):
	@python=; for candidate in $${PYTHON:-python3 python3.11 python3.12 python3.13}; do \
	  if command -v $$candidate >/dev/null && $$candidate -c '$(NEEDS_PYTHON)'; then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "setup: Python 3.11 or newer is needed, found $$($${PYTHON:-python3} --version 2>&1 || true); install it or run make with PYTHON=/path/to/python3.11" >&2; \
	  exit 1; \
	fi; \
	if ! $$python -c 'import ensurepip, venv' 2>/dev/null; then \
	  echo "setup: $$python has no venv module; on Debian: apt-get install python3-venv" >&2; exit 1; \
	fi; \
	echo "setup: installing into $(VENV) with $$($$python --version) (about 5.5 GB and a few minutes the first time)"; \
	$$python -m venv $(VENV)
	@$(BIN)/python -m pip install $(PIP_OPTIONS) -r requirements.txt -r requirements-dev.txt -e .
	@$(BIN)/python -m pip install $(PIP_OPTIONS) --no-deps -r requirements-axe.txt
	@$(BIN)/python -m compileall -q -j 0 $(VENV)/lib >/dev/null 2>&1 || true  # some packages bring files of other Pythons
	@rm -f $(VENV)/.installed-*
	@touch $@

programs:
	@missing=; \
	for program in ffmpeg ffprobe fluidsynth; do command -v $$program >/dev/null || missing="$$missing $$program"; done; \
	[ -f $(SOUNDFONT) ] || missing="$$missing $(SOUNDFONT)"; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	packages=$$(cat apt.txt apt-dev.txt | xargs); \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "setup: installing $$packages through apt"; \
	  export DEBIAN_FRONTEND=noninteractive; \
	  apt-get update -qq && apt-get install -qq -y --no-install-recommends $$packages >/dev/null; \
	else \
	  echo "setup: not found:$$missing; install what is missing (Debian: sudo apt-get install $$packages)" >&2; \
	  if ! command -v ffmpeg >/dev/null || ! command -v ffprobe >/dev/null; then exit 1; fi; \
	  echo "setup: going on; only rendering MIDI songs, and its tests, need it" >&2; \
	fi

# The report and the separating page are tested in it; without it, or without onnxruntime-web, those tests are left out.
browser: setup chromium
	@[ -d $(VENV)/onnxruntime-web ] || ! command -v npm >/dev/null || $(BIN)/python -c \
	  "from pathlib import Path; from models.browser import runtime; runtime.provide('npm', Path('$(VENV)/onnxruntime-web'))" \
	  || echo "setup: no onnxruntime-web: the separating page will not be tested in a browser" >&2

chromium: programs
	@for program in $(BROWSERS); do if command -v $$program >/dev/null; then exit 0; fi; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "setup: installing chromium through apt"; \
	  export DEBIAN_FRONTEND=noninteractive; \
	  apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium >/dev/null; \
	else \
	  echo "setup: no Chromium: the report will not be tested in a browser (Debian: sudo apt-get install chromium)" >&2; \
	fi

benchmark: setup
	@status=0; $(BIN)/python -m benchmark run --systems bsrnn,demucs,openunmix --out out/benchmark || status=$$?; \
	if [ $$status -le 1 ]; then $(BIN)/python -m benchmark report out/benchmark; fi; exit $$status

spleeter: setup
	@$(BIN)/python -m benchmark install spleeter

train-smoke: setup
	@if [ -z "$(DATA)" ]; then echo "train-smoke: name the music, make train-smoke DATA=MUSDB18" >&2; exit 2; fi
	@$(BIN)/python tests/train_smoke.py --data $(DATA) --out out/train-smoke

test: setup browser
	@$(BIN)/python -m pytest -q -n 3 --dist loadfile

test-slow: setup
	@$(BIN)/python -m pytest -q -n 2 -m "slow and not gpu and not network"

lint: setup
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check .
	@$(BIN)/python -m mypy

clean:
	rm -rf $(VENV) .venv-spleeter out *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
