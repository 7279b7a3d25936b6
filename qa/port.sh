#!/bin/sh
# SPDX-License-Identifier: ISC
# What a port to another system stands on:
#
#  - the build without Linux's extras (configure --disable-linux), and some
#    tests of it;
#  - the functions of the C library that it uses and POSIX has not: exactly those
#    that HACKING.md lists;
#  - musl: the libraries of these programs but the supervisor's, which calls
#    statx(): Debian's musl (1.2.3) has none yet.  What they link is not built for
#    musl in Debian, so nothing is linked.
#
# Usage: qa/port.sh [-b | -t] [BUILD-DIRECTORY]
#	-b	all but the tests
#	-t	only tests, of what -b has built
set -eu
# For sort and comm.
export LC_ALL=C

top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/qa/functions.sh"

what=
case ${1:-} in
-[bt])	what=$1
	shift
esac
build=${1:-$beside/build-port}
libraries='libcommon.a libschema.a libmetrics.a libworker.a libdecimator.a
    libtools.a libreader.a libgen.a libverify.a libreplay.a
    libcat.a'

# About what is done otherwise here, and the main promises.
unit=
for test in messages netwatch rename segment sockets spawn; do
	unit="$unit tests/unit/test_$test"
done
integration='test_main_job.py test_restart.py test_config.py test_decimate.py'

objects() {
	find common schema metrics supervisor worker decimator web forwarder \
	    tools -name '*.o' -exec nm "$@" '{}' +
}

# Names of what the C library has, without what its headers make of them.
of_libc() {
	for library in c m; do
		nm -D --defined-only \
		    "$(${CC:-cc} -print-file-name=lib$library.so.6)"
	done | awk '{ sub(/@.*/, "", $3); print $3 }' | sort -u
}

not_posix() {
	objects -u | awk '$1 == "U" { print $2 }' |
	    sed -e 's/@.*//' -e 's/^__\(.*\)_chk$/\1/' \
		-e 's/^__isoc[0-9]*_//' -e '/^__/d' | sort -u >used
	of_libc >libc
	objects --defined-only | awk 'NF == 3 { print $3 }' | sort -u >ours
	sed '/^#/d' "$top/qa/posix-functions" | sort -u >posix
	comm -12 used libc | comm -23 - ours | comm -23 - posix
}

# First words of the table's rows, each of which may name several.
listed() {
	sed -n '/^### Without Linux/,/^## /p' "$top/HACKING.md" |
	    sed -n '/^| function |/,$s/^| \(`[^|]*\) |.*/\1/p' |
	    tr -d '` ' | tr ',' '\n' | sort
}

# With a configuration that was made with another compiler, as the libraries
# would be missing; their headers, and the kernel's, come behind musl's own.  It
# has no <sys/cdefs.h>, and glibc's, which libbsd's would find, is for glibc.
with_musl() {
	configure_in "$build/musl" --disable-linux --disable-hardening \
	    CFLAGS=-O0
	mkdir -p "$build/musl/own/sys"
	: >"$build/musl/own/sys/cdefs.h"
	multiarch=$(${CC:-cc} -print-multiarch)
	# A list of words.
	# shellcheck disable=SC2086
	make -C "$build/musl" -s -j"$(cores)" CC="musl-gcc \
	    -idirafter own -idirafter /usr/include -idirafter /usr/include/$multiarch" \
	    $libraries
}

build_and_compare() {
	configure_in "$build/posix" --disable-linux --enable-developer \
	    CFLAGS=-O1
	make -C "$build/posix" -s -j"$(cores)"
	# A list of words.
	# shellcheck disable=SC2086
	make -C "$build/posix" -s -j"$(cores)" $unit
	cd "$build/posix"
	not_posix >found
	listed >table
	diff -u table found || die "HACKING.md's list (table) is not what is \
used (found)"
	echo "not of POSIX: $(wc -l <found) functions, as HACKING.md says"
	if command -v musl-gcc >/dev/null; then
		with_musl
		echo "compiled with musl"
	else
		echo "no musl-gcc: install the Debian package musl-tools"
	fi
}

tests() {
	status=0
	make -C "$build/posix" -s -k -j"$(cores)" check-TESTS TESTS="$unit" \
	    check_PROGRAMS="$unit" check_SCRIPTS= || status=1
	cd "$top/tests/integration"
	# A list of words.
	# shellcheck disable=SC2086
	MCRELAY_BUILDDIR=$build/posix "${PYTHON:-/usr/bin/python3}" -B \
	    -m pytest -q -p no:cacheprovider $integration || status=1
	return "$status"
}

[ "$what" = -t ] || build_and_compare
[ "$what" = -b ] || tests
