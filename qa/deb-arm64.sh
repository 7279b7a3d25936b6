#!/bin/sh
# SPDX-License-Identifier: ISC
# Before a release, by hand, as root: the Debian packages for arm64, built from
# what `make dist' makes with Debian's cross compiler, what lintian says of them,
# and then put to work: some of their programs by qemu-user, and all of them with
# their unit tests on a machine that qemu emulates (qa/arm64-machine.sh).  A
# quarter of an hour on two processors, and 2 GB of disk.
#
# The other architecture gets into a root of its own, which is kept for the next
# time; this machine's dpkg hears nothing of it.  Ends with status 77 and the
# reason when something that it needs cannot be had.
#
#	qa/deb-arm64.sh [DIR]	the packages are in DIR/deb
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/qa/functions.sh"
. "$top/qa/root.sh"

make_beside
build=${1:-$beside/build-deb-arm64}
suite=bookworm

# A list of words.
# shellcheck disable=SC2086
need_roots $BUILD_PACKAGES lintian xz-utils cpio:cpio qemu-user:qemu-aarch64 \
    qemu-system-arm:qemu-system-aarch64
root=$build/root

# What depends on a processor or on its system calls.
tests='ring segment reduce_loops reduce reduce_own reduce_random sampler'
tests="$tests step reader_kill recover sandbox"

# These unit tests are built, and not run: nothing here is of that architecture.
make_tests="make -C debian/build -s -j$(cores) $(
    echo "$tests" | sed 's|[^ ][^ ]*|tests/unit/test_&|g')"

by_user() {
	qemu-aarch64 -L "$root" "$@"
}

# Without a kernel of that architecture: what needs none of its own.
try_programs() {
	for name in usr/sbin/mcrelayd usr/bin/mcrelay-gen \
	    usr/bin/mcrelay-verify usr/bin/mcrelay-cat \
	    usr/bin/mcrelay-replay; do
		by_user "$build/unpacked/$name" -V
	done
	(cd "$top/etc/example" &&
	    by_user "$build/unpacked/usr/sbin/mcrelayd" -n -f mcrelay.yaml)
}

heading "Release"
make_release
heading "Root with a cross compiler"
logged "$build/root.out" make_root "$suite" --architectures=amd64,arm64 \
    --include=crossbuild-essential-arm64,build-essential,debhelper ||
    cannot "no root: see $build/root.out"
heading "Packages"
logged "$build/deb.out" make_packages "--host-architecture arm64 -P cross" \
    "-aarm64 -Pcross" "$make_tests"
rm -rf "$build/unpacked"
for package in "$build"/deb/*.deb; do
	case $package in *-dbgsym_*) continue ;; esac
	printf '%9s bytes, %6s KiB installed: %s\n' \
	    "$(wc -c <"$package")" \
	    "$(dpkg-deb -f "$package" Installed-Size)" "${package##*/}"
	dpkg-deb -x "$package" "$build/unpacked"
done
heading "lintian"
lintian --allow-root --display-info --fail-on error,warning \
    "$build"/deb/*.changes
echo "lintian has nothing to complain about."
heading "Programs under qemu-user"
try_programs
# A list of words.
# shellcheck disable=SC2086
"$top/qa/arm64-machine.sh" "$build" "$mirror" "$suite" $tests
