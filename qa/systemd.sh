#!/bin/sh
# SPDX-License-Identifier: ISC
# The packages under a systemd that is PID 1 of a container
# (tests/integration/test_systemd.py): boot, reload, kills, upgrade and watchdog
# under load, restart, stop, purge.  Root only; a minute, once there are
# packages, which qa/deb.sh makes.  Needs the programs of a build directory,
# MCRELAY_BUILDDIR, to send and to look on.
#
# systemd-nspawn is unpacked below DIR, not installed: it has to be of this
# machine's systemd, whose library it uses.  Ends with status 77 and the reason
# when something that it needs cannot be had.
#
# With SUITE the packages are made for that Debian, in a root of its own, and its
# systemd runs there instead of this machine's: with `trixie', 257, by which the
# service is of type notify-reload.  Another five minutes, and 1 GB of disk.
#
#	[SUITE=SUITE] qa/systemd.sh [DIR]	packages are in DIR/deb, or made there
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/qa/functions.sh"
. "$top/qa/root.sh"

make_beside
suite=${SUITE:-}
build=${1:-$beside/build-deb${suite:+-$suite}}

# The very version, unless it is gone from where packages come from.
unpack_nspawn() {
	mkdir -p "$build/nspawn"
	cd "$build/nspawn"
	version=$(dpkg-query -W -f '${Version}' systemd)
	apt-get -q download "systemd-container=$version" ||
	    apt-get -q download systemd-container
	dpkg-deb -x systemd-container_*.deb .
	usr/bin/systemd-nspawn --version
}

# Sets $nspawn.
find_nspawn() {
	nspawn=$(command -v systemd-nspawn) && return
	nspawn=$build/nspawn/usr/bin/systemd-nspawn
	[ ! -x "$nspawn" ] || return 0
	(unpack_nspawn) >"$build/nspawn.log" 2>&1 ||
	    cannot "no systemd-nspawn: see $build/nspawn.log"
}

# In $root: what the container has of a machine is there, too.
suite_packages() {
	heading "Release"
	make_release
	heading "Root of $suite"
	logged "$build/root.out" make_root "$suite" \
	    --include="build-essential,debhelper,systemd,dbus,$(
		)libpam-systemd,iproute2,procps" ||
	    cannot "no root: see $build/root.out"
	heading "Packages"
	logged "$build/deb.out" make_packages "" ""
}

[ "$(id -u)" -eq 0 ] || cannot "needs root"
for program in apt-get dpkg-deb ip nsenter setpriv unshare \
    /lib/systemd/systemd; do
	command -v "$program" >/dev/null || cannot "there is no $program"
done
[ -L /bin ] || cannot "/bin is not in /usr"
unshare --mount --pid --fork --mount-proc mount -t tmpfs none /run ||
    cannot "may not mount"
groups=$(awk '$3 == "cgroup2" || $3 == "cgroup" && /name=systemd/ { print $2 }' \
    /proc/mounts)
[ -n "$groups" ] || cannot "there are no cgroups that systemd could use"
for group in $groups; do
	[ -w "$group" ] || cannot "$group cannot be written to"
done

mkdir -p "$build"
build=$(cd "$build" && pwd)
root=/
[ -z "$suite" ] || root=$build/root
if ls "$build"/deb/mcrelay_*.deb >/dev/null 2>&1; then
	:
elif [ -z "$suite" ]; then
	"$top/qa/deb.sh" "$build"
else
	need_packages mmdebstrap:mmdebstrap xz-utils:xz ||
	    cannot "not all packages can be had"
	suite_packages
fi
find_nspawn
MCRELAY_PACKAGES=$build/deb MCRELAY_NSPAWN=$nspawn MCRELAY_ROOT=$root \
    "${PYTHON:-/usr/bin/python3}" -B -m pytest -q -s -p no:cacheprovider \
    "$top/tests/integration/test_systemd.py"
