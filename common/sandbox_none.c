/* SPDX-License-Identifier: ISC */
/*
 * A system whose sandboxes we do not know: none.  Children of the supervisor.
 * The status says what is missing.
 */
#include "common/sandbox.h"
#include "common/sandbox_priv.h"

void
sandbox_bound(void)
{
}

bool
sandbox_privileges(void)
{
	return false;
}

bool
sandbox_memory(void)
{
	return false;
}

bool
sandbox_landlock(const struct sandbox *sandbox ATTR_UNUSED)
{
	return false;
}
