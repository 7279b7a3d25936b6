#!/bin/sh
# SPDX-License-Identifier: ISC
# Before a release, by hand, as root: the Debian packages in the hands of Debian's
# own testers, in a root of their own.  piuparts installs, removes, installs again
# and purges them, and says what has stayed; autopkgtest runs debian/tests.  Some
# minutes and 1 GB of disk; the root is kept for the next time.
#
# Ends with status 77 and the reason when something that it needs cannot be had.
#
#	qa/testbed.sh [DIR]	packages are in DIR/deb, or made there
#
# Functions are called by their names as arguments:
# shellcheck disable=SC2317
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/qa/functions.sh"
. "$top/qa/root.sh"

make_beside
build=${1:-$beside/build-deb}
suite=bookworm

make_roots() {
	make_root "$suite" --include=piuparts,autopkgtest,apt-utils || return 1
	[ -e "$root/base.tar.gz" ] ||
	    mmdebstrap --quiet --variant=minbase --include=systemd,eatmydata \
	    "$suite" "$root/base.tar.gz" "deb $mirror $suite main"
}

# A repository of these packages, because some need another one.
add_packages() {
	rm -rf "$root/packages" "$root/source"
	mkdir "$root/packages" "$root/source"
	for package in "$build"/deb/mcrelay*.deb; do
		case $package in *-dbgsym_*) continue ;; esac
		cp "$package" "$root/packages"
	done
	in_root sh -c 'cd /packages && apt-ftparchive packages . >Packages'
	xz -dc "$build"/mcrelay-*.tar.xz |
	    tar -xf - -C "$root/source" --strip-components=1
}

# systemd is there before: what it leaves of its own is not ours.
piuparts() {
	in_root sh -c "exec piuparts -b /base.tar.gz -d $suite \
	    -m '$mirror main' --bindmount=/packages \
	    --extra-repo='deb [trusted=yes] file:///packages ./' \
	    --install-remove-install /packages/*.deb"
}

# The root is a copy, as the packages are installed in it: it is the container
# that the test asks for.
autopkgtest() {
	original=$root
	root=$build/testbed.copy
	rm -rf "$root"
	cp -a "$original" "$root"
	status=0
	in_root sh -c "apt-get -q update; exec autopkgtest --no-built-binaries \
	    --ignore-restrictions=isolation-container \
	    /packages/*.deb /source/ -- null" || status=$?
	rm -rf "$root"
	root=$original
	return "$status"
}

need_roots xz-utils:xz
root_for_packages testbed "piuparts and autopkgtest"
add_packages
bad=0
for tester in piuparts autopkgtest; do
	heading "$tester"
	if $tester >"$build/$tester.out" 2>&1 </dev/null; then
		grep -E 'PASS' "$build/$tester.out"
		echo "ok $tester"
	else
		tail -n 40 "$build/$tester.out"
		echo "not ok $tester"
		bad=1
	fi
done
exit "$bad"
