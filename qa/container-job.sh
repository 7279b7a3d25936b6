#!/bin/sh
# SPDX-License-Identifier: ISC
# What qa/container.sh has done in its root, where packages and Containerfile are in
# /work: the image is made, and used as doc/containers.md says.
set -eu

cd /work
count=5000

# In a network of our own, where there is nothing but lo.
if [ "${1:-}" != inside ]; then
	podman import -q /base.tar docker.io/library/debian:bookworm-slim
	podman build -q --pull=never --isolation=chroot --format=docker \
	    -t mcrelay .
	exec unshare --net sh "$0" inside
fi
ip link set lo up
# For crun, which looks what kind there is, and then needs none.
mount -t tmpfs tmpfs /sys/fs/cgroup

in_it() {
	podman exec mcrelay "$@"
}

number() {
	in_it mcrelayctl ledger one | awk -v name="$1" '$1 == name { print $2 }'
}

wait_for() {
	what=$1
	tries=0
	shift
	until "$@" >/dev/null 2>&1; do
		tries=$((tries + 1))
		[ "$tries" -lt 300 ] || break
		sleep 0.1
	done
	[ "$tries" -lt 300 ] && return
	podman logs mcrelay
	echo "No $what within half a minute."
	exit 1
}

stored() {
	[ "$(number archived)" = "$count" ]
}

ill() {
	in_it mcrelayctl status | grep '^two ' &&
	    ! podman healthcheck run mcrelay
}

channel() {
	printf '  - name: %s\n    listen: {address: 127.0.0.1, port: %s%s}\n' \
	    "$1" "$2" "$3"
	printf '    payload: {format: raw}\n'
	printf '    archive: {directory: /var/lib/mcrelay}\n'
}

mkdir -p etc
{ echo channels:; channel one 26000 ""; } >etc/mcrelay.yaml
chmod -R a+rX etc
# As its limits are: here nobody may be able to raise them.
podman run -d --name mcrelay --network host --read-only --cap-drop ALL \
    --ulimit host --stop-timeout 45 \
    -v /work/etc:/etc/mcrelay:ro -v mcrelay:/var/lib/mcrelay mcrelay
wait_for "answer from mcrelayd" in_it mcrelayctl status
in_it id
if in_it touch /tmp/file /file; then
	echo "Its root can be written to."
	exit 1
fi
in_it mcrelay-gen source -r 5000 -n "$count" 127.0.0.1:26000
wait_for "complete archive" stored
in_it mcrelayctl ledger one
wait_for "health" podman healthcheck run mcrelay
in_it mcrelayctl check
channel two 26001 ", interface: none0" >>etc/mcrelay.yaml
podman kill -s HUP mcrelay
wait_for "end of health with a channel that waits" ill
podman stop mcrelay
podman logs mcrelay
[ "$(podman inspect -f '{{.State.ExitCode}}' mcrelay)" = 0 ]
podman run --rm --network none --read-only --entrypoint sh \
    -v mcrelay:/var/lib/mcrelay mcrelay -c \
    'exec mcrelay-verify /var/lib/mcrelay/one/*.avro'
