#!/bin/sh
# SPDX-License-Identifier: ISC
# Checks what no compiler reads: manual pages, shell scripts, C style, Python.
# One line for each file: `ok NAME', `not ok NAME' after the complaints, or
# `skip NAME: WHY'.  Exit status 1 when something was not ok.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
bad=0

# lint NAME PROGRAM ARGUMENT...
lint() {
	name=$1
	shift
	if ! command -v "$1" >/dev/null; then
		echo "skip $name: no $1"
	elif "$@"; then
		echo "ok $name"
	else
		echo "not ok $name"
		bad=1
	fi
}

for page in man/*.[1-8]; do
	# mandoc's status tells nothing below its -W level.
	lint "mandoc $page" mandoc -Tlint -W warning "$page"
done
for script in quickstart check autogen.sh .ci/run qa/*.sh \
    etc/example/mcrelay-hook etc/bash-completion/mcrelayctl \
    debian/make-changelog debian/mcrelay.post* debian/tests/main-job \
    tests/integration/container.sh; do
	lint "shellcheck $script" shellcheck -x "$script"
done
for shell in zsh fish; do
	command -v "$shell" >/dev/null || continue
	for script in "etc/$shell-completion/"*; do
		lint "$shell -n $script" "$shell" -n "$script"
	done
done
# However deep: a room that is made later is checked as well.
for file in $(find ./* -path './build*' -prune -o -name '*.[ch]' -print |
    sed 's|^\./||' | sort); do
	lint "style $file" sh qa/style.sh "$file"
done
for file in tests/integration/*.py qa/*.py bench/run bench/*.py \
    etc/grafana/make-board etc/grafana/tables.py; do
	lint "python $file" /usr/bin/python3 -c \
	    'import ast, sys; ast.parse(open(sys.argv[1]).read())' "$file"
done
# Called by lint.
# shellcheck disable=SC2317
narrow() {
	expand -t 8 "$1" | awk -v file="$1" '
		length > 80 { print file ":" NR ": longer than 80 columns"
		    bad = 1 }
		END { exit bad }'
}

for file in web/page/*.js tests/page/*.mjs bench/*.mjs; do
	lint "javascript $file" node --check "$file"
	lint "width $file" narrow "$file"
done
lint "width web/page/page.css" narrow web/page/page.css
exit "$bad"
