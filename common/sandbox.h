/* SPDX-License-Identifier: ISC */
/*
 * What a child of the supervisor cannot do any more.  Worker and decimator, in
 * their first thread before there is another; the supervisor, which prepares
 * it and shows what is in force.
 *
 * A program enters its sandbox when it has opened, loaded and mapped all that
 * it opens by a path, and before it says that it is ready.  Nothing leads out
 * again, and threads and successors by exec() would inherit it.  A part that
 * the kernel or the build does not have is left out: what is in force is told
 * to the supervisor, whose status says what is missing.
 */
#ifndef MCRELAY_SANDBOX_H
#define MCRELAY_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"

/* The parts: bit, the status' word for it. */
#define SANDBOX_PARTS(X)						\
	/* No capability, and no program gives any (no_new_privs). */	\
	X(PRIVILEGES, 0, "privileges")					\
	/* Nobody traces it, reads its memory or has its core. */	\
	X(MEMORY, 1, "memory")						\
	/* No file but those of the one directory, by Landlock. */	\
	X(FILES, 2, "files")						\
	/* No system call but those that it makes, by seccomp. */	\
	X(CALLS, 3, "calls")

enum sandbox_part {
#define SANDBOX_BIT(name, bit, word)	SANDBOX_##name = 1U << (bit),
	SANDBOX_PARTS(SANDBOX_BIT)
#undef SANDBOX_BIT
#define SANDBOX_SUM(name, bit, word)	SANDBOX_##name |
	SANDBOX_ALL = SANDBOX_PARTS(SANDBOX_SUM) 0U
#undef SANDBOX_SUM
};

/*
 * Before a program is executed, as root: what it executes in turn, or what it
 * is, has no capability.  Nothing happens without the right to do so.
 */
void	sandbox_bound(void);

enum sandbox_program {
	SANDBOX_WORKER,
	SANDBOX_DECIMATOR,
	SANDBOX_WEB,
	SANDBOX_FORWARDER,
	SANDBOX_HOST,	/* a worker that channels share: what its threads do,
			 * each of which is in a sandbox of its own then */
};

/* What a program still needs. */
struct sandbox {
	enum sandbox_program	program;
	int			directory;	/* its files; -1: none.  Who
						 * is no worker only reads. */
	bool			syslog;		/* it may log there */
	bool			uring;		/* it has made an io_uring, or
						 * more, restricted each */
	bool			uring_buffers;	/* for channels that come */
	/* A forwarder's: directories and files to be read by any path. */
	const int		*readable;
	size_t			readables;
};

/*
 * Enters the sandbox, but for what `parts' leaves out; returns the parts that
 * are in force now.  With `kill' a system call that is not allowed ends the
 * process, else it fails, and the kernel logs it.
 */
uint32_t	sandbox_enter_parts(const struct sandbox *sandbox,
		    uint32_t parts, bool kill) ATTR_NONNULL;

/* The same with all parts, or as the environment says: MCRELAY_SANDBOX is
 * `none' for whoever looks into a process or traces it, `kill' for tests. */
uint32_t	sandbox_enter(const struct sandbox *sandbox) ATTR_NONNULL;
/* The same, of these parts. */
uint32_t	sandbox_enter_some(const struct sandbox *sandbox,
		    uint32_t parts) ATTR_NONNULL;

/* What kind of a thread of a worker the caller is. */
enum sandbox_thread {
	SANDBOX_WITH_NETWORK,
	SANDBOX_WITH_FILES,
	SANDBOX_WITH_NEITHER,
};

/*
 * For good, in the calling thread: no system call of those that only the other
 * kinds make, nor any that begins a thread; of io_uring only this `ring', -1:
 * none.  Only where a worker's system calls
 * are restricted at all.  This holds up who has one thread in hand; its memory
 * is that of all.
 */
void		sandbox_thread(enum sandbox_thread thread, int ring);

#endif /* MCRELAY_SANDBOX_H */
