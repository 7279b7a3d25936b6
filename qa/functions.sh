# SPDX-License-Identifier: ISC
# shellcheck shell=sh disable=SC2034,SC2154
# What quickstart, check and the scripts in qa/ have in common.  Sourced; the
# caller sets $top, the source tree.

# Where builds go: beside the sources, if these can be written to.
if [ -w "$top" ]; then
	beside=$top
else
	beside=${TMPDIR:-/tmp}/mcrelay-$(id -u)
fi

started=$(date +%s)

# With the seconds since the start: they show where the time goes.
heading() {
	printf '\n== %s (%d s)\n' "$*" "$(($(date +%s) - started))"
}

die() {
	printf '%s\n' "$*" >&2
	exit 1
}

# A word is PACKAGE or PACKAGE:COMMAND; with a command, having the command is
# enough, wherever it came from.  Prints the packages that are missing.
missing_packages() {
	for word in "$@"; do
		package=${word%%:*}
		program=${word#"$package"}
		program=${program#:}
		if [ -n "$program" ] && command -v "$program" >/dev/null; then
			continue
		fi
		status=$(dpkg-query -W -f='${db:Status-Status}' "$package" \
		    2>/dev/null) || status=none
		[ "$status" = installed ] || printf '%s ' "$package"
	done
}

# How to become root without being asked anything; fails when we cannot.
as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
		sudo -n "$@"
	else
		return 1
	fi
}

# Installs what is missing.  Fails, with a list, when that is not possible.
need_packages() {
	if ! command -v dpkg-query >/dev/null; then
		echo "This is no Debian: the packages must be there already."
		return 0
	fi
	missing=$(missing_packages "$@")
	if [ -z "$missing" ]; then
		echo "All packages are there."
		return 0
	fi
	if ! as_root true; then
		echo "Missing packages.  As root, run:" >&2
		echo "    apt-get install $missing" >&2
		return 1
	fi
	echo "Installing $missing"
	as_root apt-get -q update >/dev/null ||
	    echo "apt-get update failed; trying with the lists as they are."
	# $missing is a list of words.
	# shellcheck disable=SC2086
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -yq \
	    --no-install-recommends install $missing >/dev/null </dev/null
}

# Nobody else's, where everybody may make one of that name.
make_beside() {
	[ "$beside" != "$top" ] || return 0
	(umask 077 && mkdir -p "$beside")
	[ -O "$beside" ] || die "$beside belongs to somebody else."
}

# Sets $source to sources with a configure: a copy, if it cannot be made there.
find_source() {
	source=$top
	[ ! -x "$source/configure" ] || return 0
	if [ "$beside" != "$top" ]; then
		make_beside
		source=$beside/source
		rm -rf "$source"
		cp -R "$top" "$source"
		chmod -R u+w "$source"
	fi
	(cd "$source" && ./autogen.sh) >/dev/null 2>&1 ||
	    die "autogen.sh failed: run it to see why."
}

# configure_in DIRECTORY OPTION...
configure_in() {
	directory=$1
	shift
	find_source
	mkdir -p "$directory"
	case $source in
	*[!A-Za-z0-9/._+@:,-]*)
		# A configure does not take such a path; by another it does.
		ln -sfn "$source" "$directory/source"
		source=./source
	esac
	(cd "$directory" && "$source/configure" --silent "$@")
}

# build_layout DIRECTORY OPTION...: the daemon's programs, as a version whose
# segments have another layout.
build_layout() {
	configure_in "$@" CPPFLAGS="${CPPFLAGS:-} -DSEGMENT_LAYOUT_SALT=1"
	make -C "$1" -s -j"$(cores)" mcrelayd mcrelay-worker mcrelay-decimator
}

cores() {
	getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1
}

# logged FILE COMMAND...: quiet, unless it fails.
logged() {
	log=$1
	shift
	mkdir -p "$(dirname "$log")"
	if "$@" >"$log" 2>&1 </dev/null; then
		return 0
	fi
	echo "failed: $*" >&2
	echo "The end of $log:" >&2
	tail -n 30 "$log" >&2
	return 1
}

# npm_ci DIRECTORY: what its lock file says, and nothing of that is executed.
npm_ci() {
	(cd "$1" && npm ci --ignore-scripts --no-audit --no-fund \
	    --loglevel=error </dev/null)
}

# uPlot, which draws the page's charts, unless it is there: a release has it.
fetch_uplot() {
	[ ! -d "$top/web/uplot" ] || return 0
	[ ! -d "$top/web/node_modules/uplot/dist" ] || return 0
	need_packages nodejs:node npm:npm && npm_ci "$top/web"
}

BUILD_PACKAGES='autoconf automake gcc libc6-dev make pkg-config:pkg-config
    libev-dev libyaml-dev libavro-dev libbsd-dev libjansson-dev
    libliquid-dev zlib1g-dev libsnappy-dev libzstd-dev
    libseccomp-dev libmicrohttpd-dev
    libgnutls28-dev libcrypt-dev libpcap-dev libnats-dev liburing-dev'
DEB_PACKAGES='debhelper dpkg-dev fakeroot lintian systemd xz-utils
    libbpf-dev bpftool clang'
