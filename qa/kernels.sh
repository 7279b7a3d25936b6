#!/bin/sh
# SPDX-License-Identifier: ISC
# The programs that mcrelayd puts into the kernel, on the kernels that Debian
# ships: what was built in BUILD, and the integration tests of the kernel's relay
# and of AF_XDP, on a machine that qemu emulates (qa/machine.sh), with two cards,
# which copied with Linux 6.12, and did without with 7.2 (suite forky).  By hand, as
# root, on Debian 12, whose libraries they are taken to have; five to fifteen minutes for
# each kernel, and 2 GB of disk.
#
#	qa/kernels.sh BUILD DIR [SUITE...]	all is kept in DIR
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/qa/functions.sh"
. "$top/qa/root.sh"
. "$top/qa/machine.sh"

programs=$(cd "$1" && pwd)
build=$2
shift 2
[ $# -gt 0 ] || set -- bookworm trixie
need_roots cpio:cpio kmod:depmod qemu-system-x86:qemu-system-x86_64

packages=dash,bash,coreutils,diffutils,mawk,sed,grep,findutils,procps,iproute2
packages=$packages,mount,util-linux,libc-bin,kmod,ethtool,bpftool
packages=$packages,python3,python3-pytest,python3-avro,python3-snappy
packages=$packages,python3-zstandard

# The libraries of all programs, by the packages that have brought them here.
libraries() {
	ldd "$programs"/mcrelayd "$programs"/mcrelay-[a-z]* 2>/dev/null |
	    sed -n 's|.*=> \(/[^ ]*\) .*|\1|p' | sort -u |
	    while read -r file; do
		dpkg-query -S "$(realpath "$file")" 2>/dev/null ||
		    dpkg-query -S "$file"
	    done | sed 's|:.*||' | sort -u | paste -sd,
}

# What the tests want of it; suites differ in where they have it.
add_modules() {
	for modules in "$1/usr/lib/modules" "$1/lib/modules"; do
		[ ! -d "$modules" ] || break
	done
	version=$(ls "$modules")
	rm -rf "$root/lib/modules"
	mkdir -p "$root/lib/modules"
	(cd "$modules" && find . \( -path '*/kernel/net/*' -o \
	    -path '*/kernel/drivers/net/veth*' -o \
	    -path '*/kernel/drivers/net/dummy*' -o \
	    -path '*/kernel/drivers/net/virtio_net*' -o \
	    -path '*/kernel/drivers/net/net_failover*' -o \
	    -path '*/kernel/drivers/virtio/*' -o \
	    -path '*/kernel/lib/*' -o -path '*/kernel/crypto/*' -o \
	    -name 'modules.*' \) -type f -print0 |
	    xargs -0 cp --parents -t "$root/lib/modules")
	depmod -b "$root" "$version"
}

make_kernel() {
	extract "$build/kernel-$1" amd64 "$1" linux-image-amd64
}

make_userland() {
	extract "$root" amd64 bookworm "$packages,$(libraries)"
	touch "$root/made"
}

add_tests() {
	rm -rf "$root/build"
	mkdir -p "$root/build/programs/tests"
	(cd "$programs" && find . -maxdepth 3 -type f \( -path './mcrelay*' \
	    -perm -u+x -o -path './tests/integration/*' -perm -u+x \
	    -o -name '*.so' -o -name '*.skel.h' -o -name '*.bpf.o' \
	    -o -name config.h \) -print0 |
	    xargs -0 cp --parents -t "$root/build/programs")
	cp -R "$top/tests" "$top/etc" "$root/build"
	cat >"$root/job" <<-END
		for module in virtio_pci virtio_net veth bridge \
		    sch_ingress cls_bpf act_bpf 8021q \
		    dummy br_netfilter ipv6; do
			modprobe -q \$module
		done
		cd /build
		MCRELAY_TEST_CARDS="virtio0 virtio1" \
		    MCRELAY_BUILDDIR=/build/programs python3 -B -m pytest -v \
		    --color=no -rs -p no:cacheprovider \
		    tests/integration/test_kernel_relay.py \
		    tests/integration/test_xdp.py \
		    tests/integration/test_xdp_card.py \
		    tests/integration/test_xdp_old.py \
		    tests/integration/test_xdp_vlan.py
	END
}

# try SUITE
try() {
	heading "Kernel of $1"
	[ -e "$build/kernel-$1/usr" ] ||
	    logged "$build/kernel-$1.out" make_kernel "$1" ||
	    cannot "no kernel of $1: see $build/kernel-$1.out"
	add_modules "$build/kernel-$1"
	kernel=$(find "$build/kernel-$1" -name 'vmlinuz*' -type f)
	# Two cards that are wired to each other.
	card="disable-legacy=on,iommu_platform=on,csum=off,guest_csum=off"
	boot "$root" "$kernel" ttyS0 7200 \
	    qemu-system-x86_64 -cpu max -m 4096 \
	    -netdev hubport,id=one,hubid=1 -netdev hubport,id=two,hubid=1 \
	    -device "virtio-net-pci,netdev=one,$card" \
	    -device "virtio-net-pci,netdev=two,$card" | tee "$build/$1.log"
	grep -q '^=.* passed' "$build/$1.log" &&
	    ! grep -q '^=.* failed' "$build/$1.log"
}

heading "Root"
root=$build/userland
[ -e "$root/made" ] || logged "$build/userland.out" make_userland ||
    cannot "no root: see $build/userland.out"
put_init "$root"
add_tests
bad=
for suite in "$@"; do
	try "$suite" || bad="$bad $suite"
done
[ -z "$bad" ] || die "Not all passed on the kernel of$bad."
