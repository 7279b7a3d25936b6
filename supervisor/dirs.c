/* SPDX-License-Identifier: ISC */
/*
 * Makes directories.  Supervisor only.  Never changes one that it did not
 * make, and never follows a symbolic link to hand away what is behind it.
 */
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "supervisor/dirs.h"

static int
make_one(int at, const char *name, int flags, mode_t mode,
    const struct privdrop *owner)
{
	bool made = mkdirat(at, name, mode) == 0;
	int fd;

	if (!made && errno != EEXIST)
		return -1;
	if (!made || owner->uid == 0)
		return openat(at, name, flags);
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return -1;
	if (fchown(fd, owner->uid, owner->gid) == -1) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Whoever may write to a directory may put a link there in a name's place:
 * only those of root and of ourselves have links that are followed. */
static int
link_flag(int at)
{
	struct stat st;

	if (fstat(at, &st) == 0 &&
	    (st.st_uid == 0 || st.st_uid == geteuid()) &&
	    (st.st_mode & (S_IWGRP | S_IWOTH)) == 0)
		return 0;
	return O_NOFOLLOW;
}

/* What is missing on the way. */
struct making {
	mode_t			 mode;
	const struct privdrop	*owner;		/* of the last one */
	const struct privdrop	*owner_above;
};

/* Takes `at' over.  `making' NULL: nothing is made. */
static int
step(int at, const char *name, bool last, int flags,
    const struct making *making)
{
	int fd, saved;

	flags |= link_flag(at);
	fd = openat(at, name, flags);
	if (fd == -1 && errno == ENOENT && making != NULL)
		fd = make_one(at, name, flags, making->mode,
		    last ? making->owner : making->owner_above);
	saved = errno;
	close(at);
	errno = saved;
	return fd;
}

/* `last': how to open the directory itself. */
static int
walk_down(const char *path, int last, const struct making *making)
{
	char *copy, *name, *next, *save;
	int fd;

	assert(path[0] == '/');
	/* The directories above may be ours to pass but not to read. */
	fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	copy = xstrdup(path);
	for (name = strtok_r(copy, "/", &save); name != NULL && fd != -1;
	    name = next) {
		next = strtok_r(NULL, "/", &save);
		fd = step(fd, name, next == NULL, O_DIRECTORY | O_CLOEXEC |
		    (next == NULL ? last : O_PATH), making);
	}
	free(copy);
	return fd;
}

int
dirs_open(const char *path, mode_t mode, const struct privdrop *owner,
    bool all)
{
	static const struct privdrop ours;
	const struct making making = {mode, owner, all ? owner : &ours};

	return walk_down(path, O_RDONLY, &making);
}

bool
dirs_identify(int fd, struct dirs_id *id)
{
	struct statx st;

	/* As the kernel knows it: a server is not asked. */
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO,
	    &st) == -1)
		return false;
	*id = (struct dirs_id){st.stx_dev_major,
	    st.stx_dev_minor, st.stx_ino};
	return true;
}

bool
dirs_is_at(const char *path, const struct dirs_id *id)
{
	int there = walk_down(path, O_PATH, NULL);
	struct dirs_id now;
	bool same;

	if (there == -1)
		return false;
	same = dirs_identify(there, &now) && now.inode == id->inode &&
	    now.major == id->major && now.minor == id->minor;
	close(there);
	return same;
}

bool
dirs_leads_to(const char *path, int fd)
{
	struct dirs_id id;

	return dirs_identify(fd, &id) && dirs_is_at(path, &id);
}

/*** Where nobody else may change a name. ***/

/* As many as the kernel follows. */
#define LINKS_MAX	40

struct walk {
	int	 fd;		/* where we are */
	char	*rest;		/* of the path, from there */
	unsigned links;		/* that were followed */
	char	*why;		/* it is refused; NULL: it is not */
};

static void
refuse(struct walk *walk, int fd, const struct stat *st, const char *what)
{
	char *link = xasprintf("/proc/self/fd/%d", fd), name[PATH_MAX];
	ssize_t length = readlink(link, name, sizeof(name) - 1);

	name[length > 0 ? length : 0] = '\0';
	if (what != NULL)
		walk->why = xasprintf("others may write to %s (mode %04o): "
		    "%s", name, (unsigned)st->st_mode & 07777, what);
	else
		walk->why = xasprintf("%s belongs to user id %d, who is "
		    "neither root nor runs mcrelayd: choose another, or "
		    "change its owner", name, (int)st->st_uid);
	free(link);
	errno = EPERM;
}

/* Whether others may replace what we know of it.  `fd' is a directory, or a
 * link whose bits mean nothing. */
static bool
is_own(struct walk *walk, int fd, const struct stat *st)
{
	bool last = walk->rest[strspn(walk->rest, "/")] == '\0';
	bool sticky = (st->st_mode & S_ISVTX) != 0;

	if (st->st_uid != 0 && st->st_uid != geteuid())
		refuse(walk, fd, st, NULL);
	else if (S_ISDIR(st->st_mode) && !(sticky && !last) &&
	    (st->st_mode & (S_IWGRP | S_IWOTH)) != 0)
		refuse(walk, fd, st, sticky ? "choose a directory below it" :
		    "take that from them (chmod go-w), or choose another");
	return walk->why == NULL;
}

/* Goes on with what the link says. */
static int
follow(struct walk *walk, int fd)
{
	char target[PATH_MAX], *rest;
	ssize_t length = readlinkat(fd, "", target, sizeof(target) - 1);

	if (length == -1)
		return -1;
	if (++walk->links > LINKS_MAX) {
		errno = ELOOP;
		return -1;
	}
	target[length] = '\0';
	rest = xasprintf("%s/%s", target, walk->rest);
	free(walk->rest);
	walk->rest = rest;
	if (target[0] != '/')
		return 0;
	close(walk->fd);
	walk->fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return walk->fd == -1 ? -1 : 0;
}

/* Takes the next name off the rest; NULL: there is none.  To be freed. */
static char *
next_name(struct walk *walk)
{
	char *rest = walk->rest + strspn(walk->rest, "/");
	size_t length = strcspn(rest, "/");
	char *name;

	if (length == 0)
		return NULL;
	name = xasprintf("%.*s", (int)length, rest);
	memmove(walk->rest, rest + length, strlen(rest + length) + 1);
	return name;
}

/* Takes `fd' over. */
static int
enter(struct walk *walk, int fd)
{
	struct stat st;
	int result = -1;

	if (fstat(fd, &st) == 0 && is_own(walk, fd, &st)) {
		if (S_ISDIR(st.st_mode)) {
			close(walk->fd);
			walk->fd = fd;
			return 0;
		}
		errno = ENOTDIR;
		if (S_ISLNK(st.st_mode))
			result = follow(walk, fd);
	}
	close(fd);
	return result;
}

static int
step_own(struct walk *walk, const char *name, mode_t mode)
{
	const int flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(walk->fd, name, flags);

	if (fd == -1 && errno == ENOENT &&
	    (mkdirat(walk->fd, name, mode) == 0 || errno == EEXIST))
		fd = openat(walk->fd, name, flags);
	return fd == -1 ? -1 : enter(walk, fd);
}

int
dirs_open_own(const char *path, mode_t mode, char **why)
{
	const int flags = O_DIRECTORY | O_CLOEXEC;
	struct walk walk = {.fd = open("/", O_PATH | flags),
	    .rest = xstrdup(path)};
	int result = -1, saved;
	char *name;

	assert(path[0] == '/');
	if (walk.fd != -1)
		result = enter(&walk, fcntl(walk.fd, F_DUPFD_CLOEXEC, 0));
	while (result == 0 && (name = next_name(&walk)) != NULL) {
		result = step_own(&walk, name, mode);
		free(name);
	}
	if (result == 0)
		result = openat(walk.fd, ".", O_RDONLY | flags);
	saved = errno;
	if (walk.fd != -1)
		close(walk.fd);
	free(walk.rest);
	*why = walk.why;
	errno = saved;
	return result;
}

/*** Locks. ***/

/* The kernel does not say who has a lock but here, with the device as the
 * file system sees it, which need not be fstat()'s. */
static pid_t
lock_holder(int fd)
{
	FILE *locks = fopen("/proc/locks", "re");
	unsigned major_number, minor_number;
	unsigned long long inode;
	pid_t holder = 0;
	char line[256];
	struct stat st;
	int pid;

	if (locks == NULL)
		return 0;
	if (fstat(fd, &st) == -1)
		st.st_ino = 0;
	while (fgets(line, sizeof(line), locks) != NULL) {
		if (sscanf(line, "%*u: FLOCK %*s %*s %d %x:%x:%llu", &pid,
		    &major_number, &minor_number, &inode) != 4 ||
		    inode != st.st_ino || pid <= 0)
			continue;
		holder = pid;
		if (major_number == major(st.st_dev) &&
		    minor_number == minor(st.st_dev))
			break;
	}
	fclose(locks);
	/* Who inherited it from a process that has ended is not told. */
	return kill(holder, 0) == -1 && errno == ESRCH ? 0 : holder;
}

int
dirs_lock(int fd, pid_t *holder)
{
	*holder = 0;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return -1;
	*holder = lock_holder(fd);
	errno = EBUSY;
	return -1;
}
