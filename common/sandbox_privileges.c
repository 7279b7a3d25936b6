/* SPDX-License-Identifier: ISC */
/*
 * No capabilities, and nobody who looks into a process.  Children of the
 * supervisor; sandbox_bound() before they are executed.
 */
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <linux/capability.h>
#include <string.h>
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

bool
sandbox_privileges(void)
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

bool
sandbox_memory(void)
{
	const struct rlimit none = {0, 0};

	if (setrlimit(RLIMIT_CORE, &none) == 0 &&
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)
		return true;
	log_warn("cannot hide memory");
	return false;
}
