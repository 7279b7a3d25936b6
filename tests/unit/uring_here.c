/* SPDX-License-Identifier: ISC */
/*
 * What this kernel lets us do with files and rings.
 */
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <cmocka.h>

#include "common/util.h"
#include "tests/unit/uring_here.h"

#ifdef HAVE_URING

#include <liburing.h>

static bool
can_set_up(unsigned flags)
{
	struct io_uring_params params = {.flags = IORING_SETUP_R_DISABLED |
	    flags};
	long fd = syscall(SYS_io_uring_setup, 1, &params);

	if (fd == -1)
		print_message("no io_uring here: %s\n", strerror(errno));
	else
		close((int)fd);
	return fd != -1;
}

bool
uring_here_writes(void)
{
	return can_set_up(0);
}

bool
uring_here_receives(void)
{
	return can_set_up(IORING_SETUP_SINGLE_ISSUER |
	    IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG);
}

#else

bool
uring_here_writes(void)
{
	print_message("no io_uring here: built without liburing\n");
	return false;
}

bool
uring_here_receives(void)
{
	return uring_here_writes();
}

#endif /* HAVE_URING */

static bool
may_lock(void)
{
	struct __user_cap_header_struct header = {
	    .version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	return syscall(SYS_capget, &header, data) == 0 &&
	    (data[0].effective & 1U << CAP_IPC_LOCK) != 0;
}

bool
uring_here_locks(void)
{
	const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};

	if (may_lock() || setrlimit(RLIMIT_MEMLOCK, &all) == 0)
		return true;
	print_message("RLIMIT_MEMLOCK cannot be lifted here\n");
	return false;
}

/* Of these it is known. */
bool
uring_here_direct(int fd)
{
	static const long magic[] = {EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC};
	struct statfs found;
	size_t i;

	assert_int_equal(fstatfs(fd, &found), 0);
	for (i = 0; i < NITEMS(magic); i++)
		if (found.f_type == magic[i])
			return true;
	print_message("neither ext4 nor xfs: no direct I/O\n");
	return false;
}
