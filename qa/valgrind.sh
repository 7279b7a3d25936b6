#!/bin/sh
# SPDX-License-Identifier: ISC
# Runs the unit tests under valgrind.
# Usage: qa/valgrind.sh [BUILD-DIRECTORY]
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/qa/functions.sh"

build=${1:-$top/build-valgrind}

configure_in "$build" --disable-hardening CFLAGS='-O1 -g'
# Automake runs each test program through LOG_COMPILER; without PYTHON the
# integration tests are left out.
make -C "$build" -s -k -j"$(cores)" check PYTHON= \
    LOG_COMPILER='valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite'
