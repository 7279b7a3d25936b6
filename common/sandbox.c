/* SPDX-License-Identifier: ISC */
/*
 * Privileges and memory, and the order of all parts.  Children of the
 * supervisor.
 */
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <linux/capability.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/sandbox.h"
#include "common/sandbox_priv.h"

void
sandbox_bound(void)
{
	unsigned long capability;

	/* Beyond the last one that the kernel knows: EINVAL. */
	for (capability = 0; prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0;
	    capability++)
		continue;
}

static bool
drop_privileges(void)
{
	struct __user_cap_header_struct header = {
	    .version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];

	sandbox_bound();
	memset(none, 0, sizeof(none));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	    syscall(SYS_capset, &header, none) == 0)
		return true;
	log_warn("cannot give up privileges");
	return false;
}

static bool
hide_memory(void)
{
	const struct rlimit none = {0, 0};

	if (setrlimit(RLIMIT_CORE, &none) == 0 &&
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)
		return true;
	log_warn("cannot hide memory");
	return false;
}

uint32_t
sandbox_enter_parts(const struct sandbox *sandbox, uint32_t parts)
{
	uint32_t entered = 0;

	/* syslog() reads the time zone's file when it is first called. */
	tzset();
	if ((parts & SANDBOX_PRIVILEGES) != 0 && drop_privileges())
		entered |= SANDBOX_PRIVILEGES;
	if ((parts & SANDBOX_MEMORY) != 0 && hide_memory())
		entered |= SANDBOX_MEMORY;
	if ((parts & SANDBOX_FILES) != 0 &&
	    sandbox_landlock(sandbox->directory))
		entered |= SANDBOX_FILES;
	return entered;
}

uint32_t
sandbox_enter(const struct sandbox *sandbox)
{
	const char *how = getenv("MCRELAY_SANDBOX");

	return sandbox_enter_parts(sandbox,
	    how != NULL && strcmp(how, "none") == 0 ? 0U : SANDBOX_ALL);
}
