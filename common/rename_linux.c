/* SPDX-License-Identifier: ISC */
/*
 * A rename that replaces nothing, by the file system.  Any program, any thread.
 */
#include <stdio.h>

#include "common/rename.h"

int
rename_exclusive(int from, const char *old, int to, const char *new)
{
	return renameat2(from, old, to, new, RENAME_NOREPLACE);
}
