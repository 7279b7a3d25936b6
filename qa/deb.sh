#!/bin/sh
# SPDX-License-Identifier: ISC
# The Debian packages, made from what `make dist' makes, and lintian's judgement
# of them, whose warnings are errors.  Prints their sizes.  With nocheck in
# DEB_BUILD_OPTIONS the unit tests are left out.
#
#	qa/deb.sh [DIR]		the packages are in DIR/deb
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/qa/functions.sh"

make_beside
build=${1:-$beside/build-deb}
# Lists of words.
# shellcheck disable=SC2086
need_packages $BUILD_PACKAGES $DEB_PACKAGES libcmocka-dev || exit 1
fetch_uplot || echo "No uPlot: the page will have no charts."

rm -rf "$build"
logged "$build/configure.out" configure_in "$build"
heading "Packages"
logged "$build/deb.out" make -C "$build" deb
for package in "$build"/deb/*.deb; do
	printf '%9s bytes, %6s KiB installed: %s\n' \
	    "$(wc -c <"$package")" \
	    "$(dpkg-deb -f "$package" Installed-Size)" "${package##*/}"
done
heading "lintian"
lintian --allow-root --display-info --fail-on error,warning \
    "$build"/deb/*.changes
echo "lintian has nothing to complain about."
