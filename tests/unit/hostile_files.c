/* SPDX-License-Identifier: ISC */
/*
 * The attempts of a hostile worker on files, one function for each.
 */
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compiler.h"
#include "hostile_priv.h"

int
open_password_file(const struct prey *prey ATTR_UNUSED)
{
	return OUTCOME(open("/etc/passwd", O_RDONLY));
}

int
open_absolute(const struct prey *prey)
{
	return OUTCOME(openat(prey->directory, prey->secret, O_RDONLY));
}

int
open_above(const struct prey *prey)
{
	return OUTCOME(openat(prey->directory, "../outside/secret",
	    O_RDONLY));
}

int
open_through_link(const struct prey *prey)
{
	return OUTCOME(openat(prey->directory, "link", O_RDWR));
}

int
list_above(const struct prey *prey)
{
	return OUTCOME(openat(prey->directory, "..",
	    O_RDONLY | O_DIRECTORY));
}

int
make_file_outside(const struct prey *prey)
{
	return OUTCOME(openat(prey->directory, "../outside/new",
	    O_WRONLY | O_CREAT | O_TRUNC, 0644));
}

int
remove_outside(const struct prey *prey)
{
	return OUTCOME(unlinkat(prey->directory, "../outside/victim", 0));
}

int
rename_out(const struct prey *prey)
{
	return OUTCOME(renameat(prey->directory, "own", prey->directory,
	    "../outside/own"));
}

int
link_in(const struct prey *prey)
{
	return OUTCOME(linkat(prey->directory, "../outside/secret",
	    prey->directory, "linked", 0));
}

int
make_link(const struct prey *prey)
{
	return OUTCOME(symlinkat("/etc", prey->directory, "other"));
}

int
make_fifo(const struct prey *prey)
{
	return OUTCOME(mkfifoat(prey->directory, "fifo", 0600));
}

int
make_directory(const struct prey *prey)
{
	return OUTCOME(mkdirat(prey->directory, "deeper", 0700));
}

int
make_device(const struct prey *prey)
{
	return OUTCOME(mknodat(prey->directory, "device", S_IFCHR | 0600,
	    makedev(1, 1)));
}

int
make_socket(const struct prey *prey)
{
	return OUTCOME(mknodat(prey->directory, "socket", S_IFSOCK | 0600,
	    0));
}

int
truncate_outside(const struct prey *prey)
{
	return OUTCOME(truncate(prey->secret, 1));
}

int
give_away(const struct prey *prey)
{
	return OUTCOME(fchownat(prey->directory, "own", ANYBODY, ANYBODY,
	    0));
}

int
set_user_bit(const struct prey *prey)
{
	return OUTCOME(fchmodat(prey->directory, "own", 04755, 0));
}

int
open_by_handle(const struct prey *prey)
{
	union {
		struct file_handle	handle;
		char			room[sizeof(struct file_handle) +
					    MAX_HANDLE_SZ];
	} to;
	int mount;

	to.handle.handle_bytes = MAX_HANDLE_SZ;
	if (name_to_handle_at(AT_FDCWD, prey->secret, &to.handle, &mount,
	    0) == -1)
		return errno;
	return OUTCOME(open_by_handle_at(prey->directory, &to.handle,
	    O_RDONLY));
}

int
change_root(const struct prey *prey)
{
	return OUTCOME(chroot(prey->place));
}

/* We are in a mount namespace of our own, if we may be. */
int
mount_something(const struct prey *prey)
{
	return OUTCOME(mount("tmpfs", prey->place, "tmpfs", 0, NULL));
}
