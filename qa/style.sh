#!/bin/sh
# SPDX-License-Identifier: ISC
# The parts of the style that a program can judge, for one C file: licence
# line, width, white space, typedef'd structs, length.
set -eu

expand -t 8 "$1" | awk -v file="$1" '
	function complain(what) {
		printf "%s:%d: %s\n", file, NR, what
		bad = 1
	}
	NR == 1 && $0 != "/* SPDX-License-Identifier: ISC */" {
		complain("the first line is not the licence")
	}
	NR == 2 && $0 != "/*" { complain("no comment says what this is for") }
	length($0) > 80 { complain("longer than 80 columns") }
	/[ \t]$/ { complain("white space at the end") }
	/\r/ { complain("carriage return") }
	/^typedef struct/ { complain("a struct behind a typedef") }
	/^        +if\(|^        +for\(|^        +while\(|^        +switch\(/ {
		complain("no blank after a keyword")
	}
	/^{$/ { start = NR }
	/^}$/ {
		if (start && NR - start > 62)
			complain("a function of " NR - start - 1 " lines")
		start = 0
	}
	END {
		if (NR > 500)
			complain("a file of " NR " lines")
		exit bad
	}'
if grep -n '^ \{8\}' "$1"; then
	echo "$1: eight blanks where a tab belongs"
	exit 1
fi
