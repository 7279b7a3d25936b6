/* SPDX-License-Identifier: ISC */
/*
 * The supervisor's capabilities.  See capabilities.h.  Supervisor only.
 */
#include <sys/syscall.h>
#include <unistd.h>

#include "supervisor/capabilities.h"

bool
capable(unsigned capability)
{
	struct __user_cap_header_struct header = {
	    .version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};

	if (syscall(SYS_capget, &header, data) == -1)
		return false;
	return (data[capability / 32].effective >> capability % 32 & 1) != 0;
}

bool
capable_of_users(void)
{
	return capable(CAP_SETUID) && capable(CAP_SETGID);
}
