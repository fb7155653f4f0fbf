#!/bin/sh
# Install emovox, editable, with all that it is developed with: `make install` and `make newest`.
#
#     scripts/install.sh PYTHON VENV [--newest]
#
# On the platform that requirements.lock was made for, exactly those files are installed, checked by
# their hashes. Elsewhere, and with --newest, pip chooses the newest versions that pyproject.toml
# allows, except for those in constraints.txt.
set -eu
cd "$(dirname "$0")/.."
venv=$2
export PIP_DISABLE_PIP_VERSION_CHECK=1
"$1" -m venv "$venv"
pip_install() { "$venv/bin/python" -m pip install "$@"; }

platform=$("$venv/bin/python" -c 'import platform as p, sys
print(p.python_implementation(), *sys.version_info[:2], p.system(), p.machine(), p.libc_ver()[0])')
if [ "${3-}" != --newest ] && [ "$platform" = "CPython 3 11 Linux x86_64 glibc" ]; then
    # PyTorch's CPU build is on its own index, unless pip is set up to find it elsewhere.
    torch=$venv/torch.lock
    sed -n '/^torch==/,/[^\\]$/p' requirements.lock > "$torch"
    pip_install --no-deps --require-hashes --requirement "$torch" ||
        pip_install --no-deps --require-hashes --requirement "$torch" \
            --index-url https://download.pytorch.org/whl/cpu
    pip_install --no-deps --require-hashes --requirement requirements.lock
    pip_install --no-deps --no-build-isolation --editable .
else
    pip_install --editable '.[dev]' --constraint constraints.txt
fi
