#!/bin/sh
# SPDX-License-Identifier: ISC
# Runs the unit tests under valgrind, each for ten minutes at the most.
# Usage: qa/valgrind.sh [BUILD-DIRECTORY]
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/qa/functions.sh"

build=${1:-$beside/build-valgrind}
# These trace or kill processes at a certain instruction, system call or
# moment, which under valgrind would be one of valgrind's.
without='kill|step|trace'
# This one compares with long doubles, which valgrind cuts down to doubles.
without="$without|reduce_random"
# Nor is a system call of valgrind's one that a sandbox has.
without="$without|sandbox"
MCRELAY_SANDBOX=none
export MCRELAY_SANDBOX

configure_in "$build" --disable-hardening CFLAGS='-O1 -g'
tests=$(cd "$top" && printf '%s\n' tests/unit/test_*.c |
    grep -Ev "/test_($without)\.c\$" | sed 's/\.c$//' | tr '\n' ' ')
# Automake runs each test program through LOG_COMPILER.
make -C "$build" -s -k -j"$(cores)" check PYTHON= TESTS="$tests" \
    LOG_COMPILER='timeout 600 valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite'
