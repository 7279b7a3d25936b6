# SPDX-License-Identifier: ISC
# shellcheck shell=sh disable=SC2154
# A machine that qemu emulates, with a Debian kernel, whose root is all in its
# memory.  Its clock goes by what it has executed: so it is not slow, however slow
# it is, and nothing that it does takes it too long.  Sourced; the caller
# sets $build, where all is kept, and $mirror.

# extract ROOT ARCHITECTURE SUITE PACKAGES: unpacked only, nothing is executed.
extract() {
	rm -rf "$1"
	mmdebstrap --quiet --variant=extract --architectures="$2" \
	    --include="$4" "$3" "$1" "deb $mirror $3 main"
}

# put_init ROOT: its process 1, which runs /job.
put_init() {
	ln -sf mawk "$1/usr/bin/awk"
	printf '%s\n' root:x:0:0::/root:/bin/sh \
	    nobody:x:65534:65534::/:/bin/false >"$1/etc/passwd"
	printf '%s\n' root:x:0: nogroup:x:65534: >"$1/etc/group"
	cat >"$1/init" <<-'END'
		#!/bin/sh
		export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
		mkdir -p /proc /sys /dev /tmp /run
		mount -t proc proc /proc
		mount -t sysfs sysfs /sys
		mount -t devtmpfs devtmpfs /dev
		mount -t tmpfs tmpfs /tmp
		mount -t tmpfs tmpfs /run
		ip link set lo up
		uname -srm
		sh /job
		echo o >/proc/sysrq-trigger
		sleep 60
	END
	chmod +x "$1/init"
}

# boot ROOT KERNEL CONSOLE SECONDS QEMU OPTION...: until it switches itself off.
boot() {
	(cd "$1" && find . | cpio --quiet -o -H newc) | gzip -1 \
	    >"$build/initrd.gz"
	kernel=$2
	console=$3
	seconds=$4
	shift 4
	timeout "$seconds" "$@" -icount shift=1,sleep=off -nographic -no-reboot \
	    -nic none -kernel "$kernel" -initrd "$build/initrd.gz" \
	    -append "console=$console rdinit=/init quiet panic=-1" </dev/null |
	    sed -u 's|\r$||'
}
