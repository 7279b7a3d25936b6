/* SPDX-License-Identifier: ISC */
/*
 * No file but those of one directory, by Landlock; with newer kernels no TCP,
 * no abstract sockets and no signals to others, too.  Children of the
 * supervisor.  What is open already is not touched.
 */
#include <sys/stat.h>
#include <sys/syscall.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#ifdef HAVE_LINUX_LANDLOCK_H
#include <linux/landlock.h>
#endif

#include "common/compiler.h"
#include "common/log.h"
#include "common/sandbox.h"
#include "common/sandbox_priv.h"

#ifdef HAVE_LINUX_LANDLOCK_H

/* What headers may be too old for; the kernel is asked. */
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER		(1ULL << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE		(1ULL << 14)
#endif
#ifndef LANDLOCK_ACCESS_FS_IOCTL_DEV
#define LANDLOCK_ACCESS_FS_IOCTL_DEV		(1ULL << 15)
#endif
#ifndef LANDLOCK_ACCESS_NET_BIND_TCP
#define LANDLOCK_ACCESS_NET_BIND_TCP		(1ULL << 0)
#define LANDLOCK_ACCESS_NET_CONNECT_TCP		(1ULL << 1)
#endif
#ifndef LANDLOCK_SCOPE_SIGNAL
#define LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET	(1ULL << 0)
#define LANDLOCK_SCOPE_SIGNAL			(1ULL << 1)
#endif

/* struct landlock_ruleset_attr, as the newest kernel that we know has it. */
struct ruleset {
	uint64_t	files;
	uint64_t	net;
	uint64_t	scoped;
};

/* All that the first version can refuse: up to making symbolic links. */
#define FILES_FIRST	((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)
#define NET		(LANDLOCK_ACCESS_NET_BIND_TCP | \
			    LANDLOCK_ACCESS_NET_CONNECT_TCP)
#define SCOPES		(LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | \
			    LANDLOCK_SCOPE_SIGNAL)

/* What each version of the interface has added. */
static const struct {
	int		abi;
	size_t		size;		/* of struct ruleset */
	struct ruleset	added;
} additions[] = {
	{1, offsetof(struct ruleset, net), {.files = FILES_FIRST}},
	{2, offsetof(struct ruleset, net),
	    {.files = LANDLOCK_ACCESS_FS_REFER}},
	{3, offsetof(struct ruleset, net),
	    {.files = LANDLOCK_ACCESS_FS_TRUNCATE}},
	{4, offsetof(struct ruleset, scoped), {.net = NET}},
	{5, offsetof(struct ruleset, scoped),
	    {.files = LANDLOCK_ACCESS_FS_IOCTL_DEV}},
	{6, sizeof(struct ruleset), {.scoped = SCOPES}},
};

/* What an archive does in its directory; its files never leave it. */
#define ARCHIVING	(LANDLOCK_ACCESS_FS_READ_FILE | \
			    LANDLOCK_ACCESS_FS_WRITE_FILE | \
			    LANDLOCK_ACCESS_FS_READ_DIR | \
			    LANDLOCK_ACCESS_FS_REMOVE_FILE | \
			    LANDLOCK_ACCESS_FS_MAKE_REG | \
			    LANDLOCK_ACCESS_FS_TRUNCATE)
#define READING		(LANDLOCK_ACCESS_FS_READ_FILE | \
			    LANDLOCK_ACCESS_FS_READ_DIR)

/* A descriptor, or -1 with errno. */
static int
make_ruleset(struct ruleset *ruleset, bool connects)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0,
	    LANDLOCK_CREATE_RULESET_VERSION);
	size_t i, size = 0;

	*ruleset = (struct ruleset){0, 0, 0};
	for (i = 0; i < NITEMS(additions) && additions[i].abi <= abi; i++) {
		ruleset->files |= additions[i].added.files;
		ruleset->net |= additions[i].added.net;
		ruleset->scoped |= additions[i].added.scoped;
		size = additions[i].size;
	}
	if (abi < 1)
		return -1;
	if (connects)
		ruleset->net &= ~LANDLOCK_ACCESS_NET_CONNECT_TCP;
	return (int)syscall(SYS_landlock_create_ruleset, ruleset, size, 0);
}

/* Allows `access' beneath what is open there; of a file, what files have.  In
 * the place of a directory something else may stand, while there is none. */
static bool
allow_beneath(int ruleset_fd, uint64_t access, int fd, bool files)
{
	struct landlock_path_beneath_attr beneath = {
	    .allowed_access = access, .parent_fd = fd};
	struct statx st;

	/* As the kernel knows it: a server, which may not answer, is not
	 * asked. */
	if (fd == -1 || statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC,
	    STATX_TYPE, &st) == -1 || !(S_ISDIR(st.stx_mode) ||
	    (files && S_ISREG(st.stx_mode))))
		return true;
	if (!S_ISDIR(st.stx_mode))
		beneath.allowed_access &= LANDLOCK_ACCESS_FS_READ_FILE;
	return syscall(SYS_landlock_add_rule, ruleset_fd,
	    LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) == 0;
}

static bool
restrict_files(int ruleset_fd, const struct ruleset *ruleset,
    const struct sandbox *sandbox)
{
	const uint64_t own = (sandbox->program == SANDBOX_WORKER ? ARCHIVING :
	    READING) & ruleset->files;
	bool good = allow_beneath(ruleset_fd, own, sandbox->directory, false);
	size_t i;

	for (i = 0; i < sandbox->readables; i++)
		good = good && allow_beneath(ruleset_fd,
		    READING & ruleset->files, sandbox->readable[i], true);
	return good && syscall(SYS_landlock_restrict_self, ruleset_fd,
	    0) == 0;
}

bool
sandbox_landlock(const struct sandbox *sandbox)
{
	struct ruleset ruleset;
	int fd = make_ruleset(&ruleset,
	    sandbox->program == SANDBOX_FORWARDER);
	bool done;

	/* No such call, or not switched on: nothing is wrong. */
	if (fd == -1)
		return false;
	done = restrict_files(fd, &ruleset, sandbox);
	if (!done)
		log_warn("cannot give up access to files");
	close(fd);
	return done;
}

#else

bool
sandbox_landlock(const struct sandbox *sandbox ATTR_UNUSED)
{
	return false;
}

#endif /* HAVE_LINUX_LANDLOCK_H */
