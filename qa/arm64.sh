#!/bin/sh
# SPDX-License-Identifier: ISC
# Cross-builds some tests for arm64, and runs them under qemu: those of ring and
# segment, because its memory order is weaker than a PC's, and those of the
# decimator's loops, which have other vectors there.  (qemu on a PC keeps the
# PC's order: what this shows is that layout, sizes and atomics are right there.)
#
# cmocka for arm64 is unpacked below BUILD-DIRECTORY: nothing is installed.
# Ends with status 77 and the reason when something that it needs cannot be
# had.
# Usage: qa/arm64.sh [BUILD-DIRECTORY]
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-$top/build-arm64}
compiler=aarch64-linux-gnu-gcc

cannot() {
	echo "arm64: $*"
	exit 77
}

# apt's own state, for one more architecture, in a directory of ours.
apt() {
	program=$1
	shift
	"$program" -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 \
	    -o Dir::State="$build/apt" -o Dir::Cache="$build/apt" \
	    -o Dir::State::status=/dev/null -o APT::Sandbox::User=root "$@"
}

fetch_cmocka() {
	mkdir -p "$build/apt/lists/partial" "$build/apt/archives/partial"
	apt apt-get update || return 1
	(cd "$build" && apt apt-get download libcmocka0 libcmocka-dev) ||
	    return 1
	for package in "$build"/*.deb; do
		dpkg-deb -x "$package" "$build/root" || return 1
	done
}

for program in $compiler qemu-aarch64 apt-get dpkg-deb; do
	command -v "$program" >/dev/null || cannot "there is no $program"
done
mkdir -p "$build"
libraries=$build/root/usr/lib/aarch64-linux-gnu
[ -e "$libraries/libcmocka.so" ] || fetch_cmocka >"$build/fetch.log" 2>&1 ||
    cannot "no cmocka for arm64: see $build/fetch.log"
for test in test_ring test_segment test_reduce_loops; do
	$compiler -std=gnu11 -D_GNU_SOURCE -DHAVE_LINUX=1 -O2 -ffp-contract=off \
	    -Wall -Wextra -Werror \
	    -I"$top" -I"$build/root/usr/include" -o "$build/$test" \
	    "$top/decimator/reduce_loop.c" "$top/decimator/reduce_own.c" \
	    "$top/decimator/reduce_real.c" "$top/common/decimate.c" \
	    "$top/common/inputs.c" "$top/common/ledger.c" \
	    "$top/common/log.c" "$top/common/memory_linux.c" \
	    "$top/common/messages_linux.c" \
	    "$top/common/log_syslog.c" \
	    "$top/common/ring.c" "$top/common/segment.c" \
	    "$top/common/printable.c" "$top/common/segment_create.c" \
	    "$top/common/utf8.c" \
	    "$top/common/util.c" "$top/tests/unit/$test.c" \
	    -L"$libraries" -lcmocka -lpthread -lm
	qemu-aarch64 -L /usr/aarch64-linux-gnu \
	    -E LD_LIBRARY_PATH="$libraries" "$build/$test"
done
