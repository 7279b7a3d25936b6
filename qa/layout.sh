#!/bin/sh
# SPDX-License-Identifier: ISC
# Builds the daemon's programs as a version whose segments have another layout,
# and upgrades between it and those of BUILD-DIRECTORY, which `make' has filled.
# Usage: qa/layout.sh BUILD-DIRECTORY [OTHER-BUILD-DIRECTORY]
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/qa/functions.sh"

build=$(cd "$1" && pwd)
other=${2:-$build-layout}

build_layout "$other"
other=$(cd "$other" && pwd)
cd "$top"
MCRELAY_BUILDDIR=$build MCRELAY_OTHER_BUILDDIR=$other \
    "${PYTHON:-/usr/bin/python3}" -B -m pytest -q -p no:cacheprovider \
    tests/integration/test_layout.py
