/* SPDX-License-Identifier: ISC */
/*
 * Asks what may hang, in a process of its own.  See peek.h.  Supervisor only;
 * what follows the fork runs in the child, which has nothing open, so that one
 * that cannot be killed keeps nothing from anybody.
 */
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "supervisor/peek.h"
#include "supervisor/spawn.h"

enum answer {
	ANSWER_HERE,
	ANSWER_ELSEWHERE,
	ANSWER_UNKNOWN,
};

/*** The question. ***/

bool
peek_is_mount_point(const char *path)
{
	const int flags = AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC;
	struct statx at, above;
	char *parent;
	bool is;

	if (statx(AT_FDCWD, path, flags, STATX_INO, &at) == -1)
		return false;
#ifdef STATX_ATTR_MOUNT_ROOT
	if ((at.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0)
		return (at.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
#endif
	/* Before Linux 5.8: one that is bound from the same file system is
	 * not seen. */
	parent = xasprintf("%s/..", path);
	is = statx(AT_FDCWD, parent, flags, STATX_INO, &above) == 0 &&
	    (at.stx_dev_major != above.stx_dev_major ||
	    at.stx_dev_minor != above.stx_dev_minor ||
	    at.stx_ino == above.stx_ino);
	free(parent);
	return is;
}

bool
peek_here(const char *path, const char *mount, const struct dirs_id *id)
{
	return (mount == NULL || peek_is_mount_point(mount)) &&
	    dirs_is_at(path, id);
}

/*** The process. ***/

static enum answer
find_out(const char *path, const char *mount, const struct dirs_id *id)
{
	errno = 0;
	if (peek_here(path, mount, id))
		return ANSWER_HERE;
	switch (errno) {
	case 0:
	case ENOENT:
	case ENOTDIR:
	case ELOOP:
	case EACCES:
		return ANSWER_ELSEWHERE;
	}
	/* A server that is away, for one. */
	return ANSWER_UNKNOWN;
}

static _Noreturn void
run(const char *path, const char *mount, const struct dirs_id *id)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	spawn_reset_signals();
	(void)alarm(PEEK_S);
	log_close();
	if (close_range(0, UINT_MAX, 0) == -1)
		_exit(ANSWER_UNKNOWN);
	_exit((int)find_out(path, mount, id));
}

static void
on_reaped(struct ev_loop *loop, ev_child *watcher, int events ATTR_UNUSED)
{
	struct peek *peek = watcher->data;
	int status = watcher->rstatus;

	ev_child_stop(loop, watcher);
	peek->pid = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == ANSWER_ELSEWHERE)
		peek->elsewhere(peek->owner);
}

void
peek_init(struct peek *peek)
{
	ev_child_init(&peek->reaper, on_reaped, 0, 0);
	peek->reaper.data = peek;
	peek->pid = 0;
}

void
peek_start(struct peek *peek, struct ev_loop *loop, const char *path,
    const char *mount, int fd)
{
	sigset_t all, before;

	if (peek->pid != 0 || !dirs_identify(fd, &peek->id))
		return;
	/* No handler of ours may run in there. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	peek->pid = fork();
	if (peek->pid == 0)
		run(path, mount, &peek->id);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (peek->pid == -1) {
		peek->pid = 0;
		return;
	}
	ev_child_set(&peek->reaper, peek->pid, 0);
	ev_child_start(loop, &peek->reaper);
}

void
peek_stop(struct peek *peek, struct ev_loop *loop)
{
	if (peek->pid == 0)
		return;
	ev_child_stop(loop, &peek->reaper);
	(void)kill(peek->pid, SIGKILL);
	peek->pid = 0;
}
