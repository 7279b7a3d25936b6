#!/bin/sh
# SPDX-License-Identifier: ISC
# Checks the models with Spin, exhaustively; then that they can fail: each
# BREAK leaves out one step of the protocol and must be found out.
set -eu
models=$(cd "$(dirname "$0")" && pwd)
if ! command -v spin >/dev/null 2>&1; then
	echo "SKIP: spin is not installed (Debian package spin)"
	exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# check MODEL BREAK [DEFINITION]: prints the outcome of the search: ok, error,
# or unfinished
check()
{
	spin -a -DBREAK="$2" ${3:+"$3"} "$models/$1.pml" >spin.log 2>&1 ||
	    { cat spin.log; exit 1; }
	${CC:-cc} -O1 -w -DSAFETY -DCOLLAPSE -o pan pan.c
	./pan -m1000000 -w24 >pan.log 2>&1 || true
	if grep -q 'errors: [1-9]' pan.log
	then echo error
	elif grep -q 'errors: 0' pan.log &&
	    ! grep -q 'max search depth' pan.log
	then echo ok
	else echo unfinished
	fi
}

failed=0
report()
{
	if [ "$3" = "$4" ]; then
		echo "ok - $1 with step $2 left out: $3 ($(grep -o \
		    '[0-9.e+]* states, stored' pan.log | head -n 1))"
	else
		echo "not ok - $1 with step $2 left out: $3, expected $4"
		cat pan.log
		failed=1
	fi
}

for model in worker ring lease turn; do
	report "$model" 0 "$(check "$model" 0)" ok
	for step in 1 2 3 4 5 6 7 8 10 11 12; do
		grep -q "BREAK [!=]= $step\>" "$models/$model.pml" || continue
		report "$model" "$step" "$(check "$model" "$step")" error
	done
done
report turn "0 (part 6)" "$(check turn 0 -DPART=6)" ok
exit "$failed"
