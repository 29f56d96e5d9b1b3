#!/bin/sh
# Makes worker-sdk/python/.venv with the SDK and everything that its tests, checks and generated code need.
# PYTHON names the interpreter, python3 by default; it has to be 3.11 or newer.
set -eu
cd "$(dirname "$0")"
python="${PYTHON:-python3}"
if ! "$python" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))'; then
  echo "worker-sdk/python needs Python 3.11 or newer with the module venv; set PYTHON to its path." >&2
  exit 1
fi
mark="$(cat pyproject.toml; "$python" -V)"
if [ -x .venv/bin/python ] && [ "$(cat .venv/mark 2>/dev/null || true)" = "$mark" ]; then
  echo "worker-sdk/python/.venv is up to date."
  exit 0
fi
rm -rf .venv
"$python" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
printf '%s' "$mark" > .venv/mark
echo "worker-sdk/python/.venv is ready."
