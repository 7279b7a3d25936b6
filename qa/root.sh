# SPDX-License-Identifier: ISC
# shellcheck shell=sh disable=SC2154
# A Debian in a directory, $root, where packages are made or tried: of another
# suite or architecture than this machine's, whose dpkg hears nothing of it.
# Sourced, after functions.sh; the caller sets $build, absolute, where all is kept
# for the next time.

mirror=${MIRROR:-http://deb.debian.org/debian}

# With the status of who has not been able to do anything.
cannot() {
	echo "$(basename "$0" .sh): $*"
	exit 77
}

# need_roots PACKAGE...: what roots take, these packages too; and $build.
need_roots() {
	[ "$(id -u)" -eq 0 ] || cannot "needs root"
	unshare --mount --pid --fork --mount-proc true || cannot "may not mount"
	need_packages mmdebstrap:mmdebstrap "$@" ||
	    cannot "not all packages can be had"
	mkdir -p "$build"
	build=$(cd "$build" && pwd)
}

# in_root COMMAND...: what is mounted and what runs goes with it; a daemon that is
# started there is alone, but for the network, which packages come by.  No root by
# chroot(), which who joins the namespace would be out of.
in_root() {
	# shellcheck disable=SC2016
	unshare --mount --pid --fork --ipc --uts sh -ec '
		mount --bind "$1" "$1"
		mount -t proc proc "$1/proc"
		mount -t sysfs -o ro sysfs "$1/sys"
		mount --rbind /dev "$1/dev"
		mount -t tmpfs -o mode=1777 tmpfs "$1/tmp"
		mount -t tmpfs tmpfs "$1/run"
		cd "$1"
		pivot_root . mnt
		umount -l /mnt
		shift
		exec "$@"' sh "$root" \
	    env -u TMPDIR DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 \
	    HOME=/root "$@"
}

# make_root SUITE OPTION...: unless it is there.
make_root() {
	[ ! -e "$root/made" ] || return 0
	rm -rf "$root"
	of=$1
	shift
	mmdebstrap --quiet --variant=apt --include=mount "$@" "$of" "$root" \
	    "deb $mirror $of main" || return 1
	cp /etc/resolv.conf "$root/etc"
	touch "$root/made"
}

# What `make dist' makes, in $build/dist.
make_release() {
	logged "$build/configure.out" configure_in "$build/dist"
	fetch_uplot || echo "No uPlot: the page will have no charts."
	rm -f "$build"/dist/mcrelay-*.tar.xz
	logged "$build/dist.out" make -C "$build/dist" -s dist
}

# make_packages BUILD-DEP-OPTIONS OPTIONS [COMMAND]: from that, in the root; into
# $build/deb.  The options are words of dpkg-buildpackage.  The command comes
# after it, where the packages were made.
make_packages() {
	rm -rf "$root/build" "$build/deb"
	mkdir "$root/build" "$build/deb"
	xz -dc "$build"/dist/mcrelay-*.tar.xz | tar -xf - -C "$root/build"
	mv "$root"/build/mcrelay-* "$root/build/source"
	in_root apt-get -q update
	in_root sh -ec "
		cd /build/source
		apt-get -qy --no-install-recommends build-dep $1 ./
		export DEB_BUILD_OPTIONS='nocheck parallel=$(cores)'
		dpkg-buildpackage $2 -us -uc -b
		${3:-}" || return 1
	cp "$root"/build/mcrelay* "$build/deb"
}

# root_for_packages NAME WHAT: as the caller's make_roots makes it, in $build/NAME;
# and packages in $build/deb.
root_for_packages() {
	root=$build/$1
	ls "$build"/deb/mcrelay_*.deb >/dev/null 2>&1 ||
	    "$top/qa/deb.sh" "$build"
	heading "Root with $2"
	logged "$build/$1.out" make_roots ||
	    cannot "no root: see $build/$1.out"
}
