#!/bin/sh
# SPDX-License-Identifier: ISC
# make dist, twice: from another directory, with another umask, later, on files
# of another age.  Both must be the same bytes.
#
#	qa/dist.sh [DIR]	where the second tree is made; it is removed
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/qa/functions.sh"

make_beside
build=${1:-$beside/build-dist}
rm -rf "$build"
mkdir -p "$build/first" "$build/second"
configure_in "$build/first"
make -C "$build/first" -s dist
(cd "$build/second" && xz -dc ../first/mcrelay-*.tar.xz | tar -xf - -m)
(
	umask 077
	cd "$build/second"/mcrelay-*
	find . -type f -exec chmod go-rwx {} +
	mkdir out
	cd out
	../configure --silent >/dev/null
	make -s dist
)
cmp "$build"/first/mcrelay-*.tar.xz "$build"/second/mcrelay-*/out/*.tar.xz ||
    die "make dist has made two different files."
sha256sum "$build"/first/mcrelay-*.tar.xz
rm -rf "$build/second"
