#!/bin/sh
# SPDX-License-Identifier: ISC
# Builds with AddressSanitizer and UndefinedBehaviorSanitizer and runs the
# unit tests and a part of the integration tests.
# Usage: qa/sanitizers.sh [-b | -t] [BUILD-DIRECTORY]
#	-b	only builds
#	-t	only tests, what -b has built
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/qa/functions.sh"

what=
case ${1:-} in
-[bt])	what=$1
	shift
esac
build=${1:-$beside/build-sanitizers}

if [ "$what" != -t ]; then
	configure_in "$build" --enable-developer --enable-sanitizers \
	    CFLAGS='-O1 -g'
	make -C "$build" -s -j"$(cores)"
	make -C "$build" -s -j"$(cores)" check TESTS= PYTHON=
fi
[ "$what" != -b ] || exit 0
# Without blanks, so that it is one word in PYTEST_ADDOPTS.
some='(test_unicast)or(test_values)or(test_rejected)or(test_one_changed)'
some="$some"'or(test_by_signal)or(test_foreign_descriptors)'
some="$some"'or(test_bad_datums)or(test_garbage)or(test_restart_command)'
some="$some"'or(test_hostile)or(test_last_words)or(test_killed_while)'
PYTEST_ADDOPTS="${PYTEST_ADDOPTS:-} -k $some"
UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
# A thread that ends has its signal stack unmapped, as if it were always the
# sanitizer's: workers have their own (worker/last_words.c).
ASAN_OPTIONS=${ASAN_OPTIONS:-use_sigaltstack=0}
export PYTEST_ADDOPTS UBSAN_OPTIONS ASAN_OPTIONS
status=0
make -C "$build" -k -j"$(cores)" check PYTHON= MODEL_TESTS= || status=1
make -C "$build" -k check TESTS= || status=1
exit "$status"
