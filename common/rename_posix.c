/* SPDX-License-Identifier: ISC */
/*
 * No rename that replaces nothing.  Any program, any thread.
 */
#include <errno.h>

#include "common/rename.h"

int
rename_exclusive(int from ATTR_UNUSED, const char *old ATTR_UNUSED,
    int to ATTR_UNUSED, const char *new ATTR_UNUSED)
{
	errno = ENOSYS;
	return -1;
}
