#!/bin/sh
# Make .venv-peer: the reference's own stack, apart from ours so that neither pulls on the other.
set -eu
cd "$(dirname "$0")/.."
python="${PYTHON:-python3.11}"
marker=.venv-peer/.made-from
if [ -f "$marker" ] && cmp -s "$marker" benchmarks/peer-requirements.txt; then
    exit 0
fi
"$python" -m venv .venv-peer
.venv-peer/bin/python -m pip install --quiet --requirement benchmarks/peer-requirements.txt
cp benchmarks/peer-requirements.txt "$marker"
