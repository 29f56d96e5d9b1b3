#!/bin/sh
# Format, lint and types of the Python SDK, its tests, examples and stub worker. Needs what setup.sh makes;
# where Python is too old for that it says so, and is not a failure unless PAWL_REQUIRE names python.
set -eu
cd "$(dirname "$0")"
if ! python3 -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  echo "LEFT OUT: Python's checks need python3, 3.11 or newer, with the module venv."
  case ",${PAWL_REQUIRE:-}," in *,python,*) exit 1 ;; esac
  exit 0
fi
./setup.sh
.venv/bin/ruff format --check . ../../examples/python
.venv/bin/ruff check . ../../examples/python
.venv/bin/mypy
.venv/bin/mypy --explicit-package-bases ../../examples/python
