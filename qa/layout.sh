#!/bin/sh
# SPDX-License-Identifier: ISC
# Builds the daemon's programs as a version whose segments have another layout,
# and upgrades between it and those of BUILD-DIRECTORY, which `make' has filled.
# With FROM=REVISION that version is what git has by this name: one with another
# layout that can say what it has counted, d5463dc for the one before several
# inputs in a channel.
# Usage: [FROM=REVISION] qa/layout.sh BUILD-DIRECTORY [OTHER-BUILD-DIRECTORY]
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/qa/functions.sh"

build=$(cd "$1" && pwd)
other=${2:-$build-layout}

# build_revision DIRECTORY REVISION
build_revision() {
	rm -rf "$1"
	mkdir -p "$1/source"
	git -C "$top" archive "$2" | tar -xf - -C "$1/source"
	(cd "$1/source" && ./autogen.sh) >/dev/null 2>&1
	(cd "$1" && source/configure --silent)
	make -C "$1" -s -j"$(cores)" mcrelayd mcrelay-worker mcrelay-decimator
}

if [ -n "${FROM:-}" ]; then
	build_revision "$other" "$FROM"
	# It does not know what is new in the configuration.
	set -- -k "not several_inputs"
else
	set --
	build_layout "$other"
fi
other=$(cd "$other" && pwd)
cd "$top"
MCRELAY_BUILDDIR=$build MCRELAY_OTHER_BUILDDIR=$other \
    "${PYTHON:-/usr/bin/python3}" -B -m pytest -q -p no:cacheprovider \
    tests/integration/test_layout.py "$@"
