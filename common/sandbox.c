/* SPDX-License-Identifier: ISC */
/*
 * The parts of the sandbox, in their order.  Children of the supervisor.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/sandbox.h"
#include "common/sandbox_priv.h"

uint32_t
sandbox_enter_parts(const struct sandbox *sandbox, uint32_t parts, bool kill)
{
	uint32_t entered = 0;

	/* The time zone's file is read when the first time is asked for. */
	tzset();
	if ((parts & SANDBOX_PRIVILEGES) != 0 && sandbox_privileges())
		entered |= SANDBOX_PRIVILEGES;
	if ((parts & SANDBOX_MEMORY) != 0 && sandbox_memory())
		entered |= SANDBOX_MEMORY;
	if ((parts & SANDBOX_FILES) != 0 &&
	    sandbox_landlock(sandbox))
		entered |= SANDBOX_FILES;
	/* Last: it has no calls for the others. */
	if ((parts & SANDBOX_CALLS) != 0 && sandbox_seccomp(sandbox, kill))
		entered |= SANDBOX_CALLS;
	return entered;
}

uint32_t
sandbox_enter_some(const struct sandbox *sandbox, uint32_t parts)
{
	const char *how = getenv("MCRELAY_SANDBOX");
	bool kill = how != NULL && strcmp(how, "kill") == 0;

#ifdef INSTRUMENTED
	/* Sanitizers and profilers do things of their own. */
	return sandbox_enter_parts(sandbox, 0, kill);
#endif
	return sandbox_enter_parts(sandbox,
	    how != NULL && strcmp(how, "none") == 0 ? 0U : parts, kill);
}

uint32_t
sandbox_enter(const struct sandbox *sandbox)
{
	return sandbox_enter_some(sandbox, SANDBOX_ALL);
}
