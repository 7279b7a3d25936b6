#!/bin/sh
# SPDX-License-Identifier: ISC
# Before a release: ./quickstart and the tests that may care in the places where
# somebody will run them.  Each ends with a line `ok PLACE' or `not ok PLACE';
# exit status 1 when one was not ok.  Some minutes for each of them; ./check does
# not run it.  As root, without which there is only the first.
#
#	closed		below a directory of mode 0700, blanks in the path,
#			umask 077, no HOME
#	user		an ordinary user, in a checkout of his own
#	noipv6		a network namespace without IPv6
#	mounted		a checkout that is mounted read-only
#	dist		make dist makes the same bytes there (qa/dist.sh)
#	check		all of ./check where `closed' was; only if it is named
#
# What is built in DIR stays, so that one place can be tried again for less.
#
#	qa/places.sh [DIR [PLACE...]]
#
# Functions are called by their names as arguments:
# shellcheck disable=SC2317
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/qa/functions.sh"

bad=0
# We call ourselves, in a namespace or as another user: inside FUNCTION
# DIRECTORY.
if [ "${1:-}" = inside ]; then
	root=$3
else
	make_beside
	root=${1:-$beside/build-places}
	[ $# -eq 0 ] || shift
	mkdir -p "$root"
	root=$(cd "$root" && pwd)
fi
tree="$root/a closed place/the tree"
own="$root/own"
build=$tree/build-quickstart
reach="test_daemon.py test_users.py test_sandbox.py test_isolation.py"
job="test_daemon.py test_main_job.py test_control.py"
v6="test_config.py test_main_job.py test_path.py test_waiting.py"

# What git has, or, in an unpacked release, what is there.
copy_tree() {
	mkdir -p "$1"
	if [ -e "$top/.git" ]; then
		(cd "$top" && git ls-files -z) | (cd "$top" &&
		    xargs -0 cp -p --parents -t "$1")
	else
		(cd "$top" && tar -cf - --exclude='./build*' .) |
		    (cd "$1" && tar -xf -)
	fi
}

# integration FILE...: some of the files, with what was built in the tree.
integration() {
	for file in "$@"; do
		shift
		set -- "$@" "${build%/*}/tests/integration/$file"
	done
	MCRELAY_BUILDDIR=$build /usr/bin/python3 -B -m pytest -q \
	    -p no:cacheprovider "$@"
}

# With what those have said that failed: it is not kept.
unit() {
	make -C "$build" -s -k -j"$(cores)" check PYTHON= MODEL_TESTS= VERBOSE=1
}

# both FILE...: the one also when the other has failed.
both() {
	status=0
	unit || status=1
	integration "$@" || status=1
	return "$status"
}

quickstart_in() {
	rm -rf "$root/tmp"
	mkdir "$root/tmp"
	TMPDIR=$root/tmp "$1/quickstart"
}

copy_closed() {
	umask 077
	unset HOME
	copy_tree "$tree"
	chmod 700 "$root/a closed place"
}

closed() {
	copy_closed
	# shellcheck disable=SC2086
	quickstart_in "$tree" && both $reach
}

# Built, and with the sources of now, which others go on from.
have_closed() {
	copy_closed
	[ -e "$build/mcrelayd" ] || closed
}

check() {
	copy_closed
	"$tree/check"
}

user_inside() {
	build=$own/build-quickstart
	# shellcheck disable=SC2086
	TMPDIR=$root/tmp "$own/quickstart" && both $job
}

# Where he can reach it.  What was built with blanks in its path knows its sources
# by ./source.
user() {
	have_closed
	his=$(mktemp -d "${TMPDIR:-/tmp}/mcrelay-places.XXXXXX")
	trap 'rm -rf "$his"' EXIT
	cp -a "$tree" "$his/own"
	ln -sfn .. "$his/own/build-quickstart/source"
	# In these it is built in where their data lies.
	rm -f "$his"/own/build-quickstart/tests/unit/*.o
	mkdir "$his/tmp"
	chown -R 65534:65534 "$his"
	setpriv --reuid=65534 --regid=65534 --clear-groups env HOME="$his" \
	    "$his/own/qa/places.sh" inside user_inside "$his"
}

mounted_inside() {
	mount --bind -o ro "$root/ro" "$root/ro" &&
	    ! touch "$root/ro/file" 2>/dev/null && quickstart_in "$root/ro"
}

mounted() {
	rm -rf "$root/ro"
	copy_tree "$root/ro"
	rm -rf "$root/ro/configure"
	unshare -m "$0" inside mounted_inside "$root"
}

noipv6_inside() {
	ip link set lo up
	for which in all default lo; do
		sysctl -qw "net.ipv6.conf.$which.disable_ipv6=1"
	done
	# shellcheck disable=SC2086
	quickstart_in "$tree" && both $v6
}

noipv6() {
	have_closed
	unshare -n "$0" inside noipv6_inside "$root"
}

dist() {
	"$top/qa/dist.sh" "$root/dist"
}

# place NAME: in a shell of its own, which a fault ends.
place() {
	heading "$1"
	if ("$1") >"$root/$1.out" 2>&1 </dev/null; then
		echo "ok $1"
	else
		tail -n 60 "$root/$1.out"
		echo "not ok $1"
		bad=1
	fi
}

if [ "${1:-}" = inside ]; then
	"$2"
	exit
fi
if [ "$(id -u)" -ne 0 ]; then
	echo "Not root: no place but the first."
	set -- closed
elif [ $# -eq 0 ]; then
	set -- closed user noipv6 mounted dist
fi
for name in "$@"; do
	place "$name"
done
exit "$bad"
