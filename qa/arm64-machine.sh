#!/bin/sh
# SPDX-License-Identifier: ISC
# The arm64 packages on an emulated machine with Debian's kernel, which they see
# as they see a real one: ./quickstart by the programs that were packaged, and the
# unit tests of what depends on a processor or on its system calls: ring, segment,
# the decimator's loops, kills after each instruction, recovery, the sandbox.
#
# qemu-user would not do: it knows neither all socket options nor clone() as
# mcrelayd calls it, and nobody can be traced.  The processor is one that has
# atomic operations: a pair of exclusive ones never succeeds when it is run
# instruction by instruction.
#
# By qa/deb-arm64.sh, which has left packages, and the directory where they were
# built, below DIR.
#
#	qa/arm64-machine.sh DIR MIRROR SUITE TEST...
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/qa/functions.sh"
. "$top/qa/machine.sh"

build=$1
mirror=$2
suite=$3
root=$build/machine
built=$build/root/build/source
shift 3
tests=$*
# A recovery takes some milliseconds there, and half a million would be tried.
each=7

# What is in its root, some of which the packages want.
packages=dash,coreutils,diffutils,mawk,sed,grep,procps,iproute2,mount,util-linux
packages=$packages,libc-bin,avro-bin,linux-image-arm64,libcmocka0
for package in "$build"/deb/mcrelay*.deb; do
	packages=$packages$(dpkg-deb -f "$package" Depends |
	    tr , '\n' | sed -n 's/^ *\(lib[^ ]*\).*/,\1/p' | tr -d '\n')
done

make_root() {
	extract "$root" arm64 "$suite" "$packages" || return 1
	cp "$root"/boot/vmlinuz-* "$build/vmlinuz"
	rm -rf "${root:?}/boot" "$root/usr/lib/modules" "$root/lib/modules"
	echo "$packages" >"$build/machine.made"
}

# Where they were built, because some look for files there.
add_tests() {
	to=$root/build/source
	rm -rf "$root/build"
	mkdir -p "$to/debian/build/tests/unit" "$to/tests"
	for name in $tests; do
		cp "$built/debian/build/tests/unit/test_$name" \
		    "$to/debian/build/tests/unit"
	done
	cp -R "$built/tests/unit" "$to/tests"
	cp -R "$built/quickstart" "$built/qa" "$built/etc" "$to"
}

put_job() {
	cat >"$root/job" <<-END
		mkdir /tmp/programs
		ln -s /usr/bin/mcrelay-* /usr/sbin/mcrelay* \
		    /usr/libexec/mcrelay/* /tmp/programs
		ln -s /usr/share/mcrelay/web /tmp/programs/web-page
		cd /build/source
		MCRELAY_BUILDDIR=/tmp/programs TMPDIR=/tmp ./quickstart &&
		    echo "passed quickstart" || echo "failed quickstart"
		for file in /tmp/mcrelay-quickstart.*/archive/accel/*.avro; do
			mcrelay-verify "\$file" && echo "passed mcrelay-verify" ||
			    echo "failed mcrelay-verify"
		done
		cd debian/build
		echo "test_step kills after every ${each}th instruction only."
		export MCRELAY_TEST_EACH=$each
		for name in $tests; do
			if timeout 600 tests/unit/test_\$name >/tmp/out 2>&1; then
				grep 'killed after' /tmp/out
				echo "passed test_\$name"
			else
				tail -n 20 /tmp/out
				echo "failed test_\$name"
			fi
		done
	END
}

heading "Machine"
[ "$(cat "$build/machine.made" 2>/dev/null)" = "$packages" ] ||
    logged "$build/machine.out" make_root
for package in "$build"/deb/mcrelay*.deb; do
	case $package in *-dbgsym_*) continue ;; esac
	dpkg-deb -x "$package" "$root"
done
add_tests
put_init "$root"
put_job
boot "$root" "$build/vmlinuz" ttyAMA0 3000 qemu-system-aarch64 -M virt \
    -cpu cortex-a76 -m 3072 | tee "$build/machine.log"
# One for each test, and two of the packaged programs.
wanted=$(($(echo "$tests" | wc -w) + 2))
passed=$(grep -c '^passed ' "$build/machine.log") || :
printf '\n%s of %s passed on %s\n' "$passed" "$wanted" \
    "$(grep '^Linux ' "$build/machine.log")"
[ "$passed" -eq "$wanted" ] || die "Not all passed on the machine."
