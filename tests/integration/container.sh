#!/bin/sh
# SPDX-License-Identifier: ISC
# A Debian that boots in a container, with systemd as its PID 1; executed by
# container.py in namespaces of its own for mounts and processes, with which all
# of it goes, and in cgroups that container.py has made and removes.
#
# Its root is its own, in memory: systemd empties /tmp, and more.  Of the system
# at BASE, which is this machine's at / or another one's, it has /usr and what dpkg
# knows, below an overlay that takes all that is written, and a few files of /etc.
#
#	container.sh ROOT PACKAGES NSPAWN CONFIGURATION BASE CGROUP...
set -eu

root=$1
packages=$2
nspawn=$3
configuration=$4
base=${5%/}
shift 5
for group; do
	echo 0 >"$group/cgroup.procs"
done

# What nspawn keeps of its containers it keeps in here, too.
mount -t tmpfs -o mode=755 mcrelay-test /run
mount -t tmpfs -o mode=755,size=2g mcrelay-test "$root"
cd "$root"
mkdir -p usr etc/systemd root run proc sys dev tmp var/cache/apt/archives \
    var/lib/dpkg var/log var/tmp
chmod 1777 tmp var/tmp
for link in bin sbin lib lib32 lib64 libx32; do
	[ ! -L "$base/$link" ] || cp -P "$base/$link" .
done
for tree in usr var/lib/dpkg; do
	mkdir -p ".upper/$tree" ".work/$tree"
	mount -t overlay -o "lowerdir=$base/$tree,upperdir=$root/.upper/$tree,$(
	    )workdir=$root/.work/$tree" mcrelay-test "$tree"
done
# Of users that are not there.
: >var/lib/dpkg/statoverride
# An image for containers may say with it that no service is ever started.
rm -f usr/sbin/policy-rc.d
for name in adduser.conf alternatives apt dbus-1 debconf.conf debian_version \
    deluser.conf dpkg ld.so.cache ld.so.conf ld.so.conf.d login.defs \
    nsswitch.conf os-release; do
	[ ! -e "$base/etc/$name" ] || cp -a "$base/etc/$name" etc
done
cat >etc/passwd <<'END'
root:x:0:0::/root:/bin/sh
man:x:6:12::/nonexistent:/usr/sbin/nologin
messagebus:x:100:100::/nonexistent:/usr/sbin/nologin
nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin
END
cat >etc/group <<'END'
root:x:0:
adm:x:4:
man:x:12:
messagebus:x:100:
nogroup:x:65534:
END
# Without one systemd takes this for the first boot, and enables all services
# that there are in /usr.
echo 6d6372656c61792d636f6e7461696e65 >etc/machine-id
echo mcrelay-test >etc/hostname
: >etc/fstab
for package in mcrelay mcrelay-forwarder mcrelay-tools mcrelay-web; do
	cp "$packages/${package}"_*.deb root
done

# Systemds of today know no groups but these, which it has beside the others here.
[ -z "$base" ] || export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
# Neither a name for systemd-machined nor a unit of this machine's; its own
# network.  Memory is locked and programs are given to the kernel as outside.
set -- "$nspawn" -q -D "$root" --register=no --keep-unit --private-network \
    --resolv-conf=off --timezone=off --link-journal=no \
    --capability=CAP_IPC_LOCK,CAP_BPF --system-call-filter=bpf

# As who makes images of systems: installed before the first boot.
"$@" --pipe /bin/sh -c 'dpkg -i /root/*.deb'
cp "$configuration" etc/mcrelay.yaml
# The test's: to have a buffer for more than the kernel's default, and not to
# wait half a minute for the watchdog.
mkdir -p etc/systemd/system/mcrelayd.service.d
cat >etc/systemd/system/mcrelayd.service.d/test.conf <<'END'
[Service]
AmbientCapabilities=CAP_NET_ADMIN
CapabilityBoundingSet=CAP_NET_ADMIN
WatchdogSec=2s
TimeoutAbortSec=500ms
END
exec "$@" --console=pipe --boot
