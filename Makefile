# Two commands matter: `make run` (the example site on the whole stack) and `make test` (the whole suite).
# Both set up what they need, on a fresh Debian 12 with git, make and python3, as root or with sudo, and again later.

.PHONY: run test lint types setup setup-test bench clean help

VENV     := .venv
BIN      := $(VENV)/bin
GAZETTE  := examples/gazette

help:            ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST)

setup:           ## the tool, the server packages, the example site's environment
	@scripts/setup tool gazette servers

setup-test:      ## the same, and what the suite needs
	@scripts/setup tool gazette servers checkers test-servers

run: setup       ## the example site on the whole stack; Ctrl-C stops it
	@scripts/run-gazette

test: setup-test ## the whole suite against real servers
	@scripts/test

lint:            ## style, types and import contracts alone; needs no server and no root
	@scripts/setup tool checkers
	@scripts/test lint

bench: setup-test ## timings and ratios, side by side (minutes)
	@$(BIN)/python -m bench

clean:           ## remove what was made here (the example site's data too)
	@scripts/clean
