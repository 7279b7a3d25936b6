#!/bin/sh
# SPDX-License-Identifier: ISC
# Before a release, by hand, as root: the image of etc/Containerfile, built of the
# packages and run as doc/containers.md says, by podman, in a root of its own: a
# root file system that can only be read, no capabilities, a stream in, relayed and
# archived, its health, a reload, and a stop in order.  Some minutes and 1 GB of
# disk; the root is kept for the next time.
#
# The image that it is made from is Debian's, unpacked here: no registry is asked.
# Ends with status 77 and the reason when something that it needs cannot be had.
#
#	qa/container.sh [DIR]	packages are in DIR/deb, or made there
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/qa/functions.sh"
. "$top/qa/root.sh"

make_beside
build=${1:-$beside/build-deb}
suite=bookworm

# Neither a control group nor a system call of the outer world is at hand in a
# root that is one by chroot() alone.
make_roots() {
	make_root "$suite" --include=podman,crun,iproute2 || return 1
	cat >"$root/etc/containers/containers.conf" <<-'END'
		[engine]
		cgroup_manager = "cgroupfs"
		events_logger = "file"
		[containers]
		cgroups = "disabled"
	END
	[ -e "$root/base.tar" ] ||
	    mmdebstrap --quiet --variant=minbase "$suite" "$root/base.tar" \
	    "deb $mirror $suite main"
}

need_roots xz-utils:xz
root_for_packages container "podman"
rm -rf "$root/work" "$root/var/lib/containers"
mkdir "$root/work"
cp "$top"/etc/Containerfile "$top"/qa/container-job.sh "$root/work"
cp "$build"/deb/mcrelay*.deb "$root/work"
heading "Image, and a container of it"
in_root sh /work/container-job.sh
