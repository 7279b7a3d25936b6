/* SPDX-License-Identifier: ISC */
/*
 * Giving up root.  See privdrop.h.
 */
#include <sys/types.h>
#include <sys/syscall.h>
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/privdrop.h"

static int
verify(const struct privdrop *drop)
{
	uid_t ruid, euid, suid;
	gid_t rgid, egid, sgid;

	if (getresuid(&ruid, &euid, &suid) == -1 ||
	    getresgid(&rgid, &egid, &sgid) == -1)
		return -1;
	if (ruid != drop->uid || euid != drop->uid || suid != drop->uid ||
	    rgid != drop->gid || egid != drop->gid || sgid != drop->gid) {
		errno = EPERM;
		return -1;
	}
	/* There must be no way back. */
	if (drop->uid != 0 && setuid(0) == 0) {
		errno = EPERM;
		return -1;
	}
	return 0;
}

/* Who was not root keeps his by becoming somebody else. */
static int
give_up_capabilities(void)
{
	struct __user_cap_header_struct header = {
	    .version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];

	memset(none, 0, sizeof(none));
	return (int)syscall(SYS_capset, &header, none);
}

int
privdrop_now(const struct privdrop *drop)
{
	if (setgroups(drop->groups, drop->group) == -1)
		return -1;
	if (setresgid(drop->gid, drop->gid, drop->gid) == -1)
		return -1;
	if (setresuid(drop->uid, drop->uid, drop->uid) == -1)
		return -1;
	if (give_up_capabilities() == -1)
		return -1;
	return verify(drop);
}
