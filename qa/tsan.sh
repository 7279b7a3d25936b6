#!/bin/sh
# SPDX-License-Identifier: ISC
# Builds the tests of ring and segment with ThreadSanitizer and runs them.
#
# It knows nothing of fences, on which the readers' check for a lap rests, and
# a lap is a race by design.  So the tests with laps are left out of this
# build, and remain: publishing and reading in step, where each access must be
# ordered by an atomic, and sleeping and waking.
# Usage: qa/tsan.sh [BUILD-DIRECTORY]
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/qa/functions.sh"

build=${1:-$beside/build-tsan}
tests='tests/unit/test_ring tests/unit/test_segment'

configure_in "$build" --enable-sanitizers=thread CFLAGS='-O1 -g -Wno-tsan'
# A list of words.
# shellcheck disable=SC2086
make -C "$build" -s -j"$(cores)" $tests
for test in $tests; do
	TSAN_OPTIONS="halt_on_error=1 ${TSAN_OPTIONS:-}" "$build/$test"
done
