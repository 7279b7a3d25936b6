/* SPDX-License-Identifier: ISC */
/*
 * What may take for ever, like a path on a file system whose server does not
 * answer, is done by a process of its own.  Supervisor only.
 */
#ifndef MCRELAY_ERRAND_H
#define MCRELAY_ERRAND_H

#include <stdbool.h>
#include <stddef.h>

#include "common/compiler.h"

/* One under way; zero is none. */
struct errand {
	int	answer;		/* what comes back; 0: none under way */
	int	process;	/* as a descriptor */
};

/*
 * Forks a process that calls `run' and ends.  It has `keep' (-1: nothing) as
 * `kept', and no other descriptor of ours; it writes to `answer', a socket for
 * whole packets.  It need not be waited for, but somebody has to reap it.  0,
 * or -1 with errno.
 */
int	errand_start(struct errand *errand, void (*run)(int answer, int kept,
	    const void *argument), int keep, const void *argument);
/*
 * True: it is over, with `answer' filled and `*fd' what came with it (-1:
 * nothing), or with errno when it has ended without.  False: not yet.  Waits
 * for a tenth of a second, but not when another one has been waited for in
 * vain lately.
 */
bool	errand_done(struct errand *errand, void *answer, size_t size, int *fd,
	    bool *answered);
/* Nobody waits for it any more; it ends, if that is possible at all. */
void	errand_forget(struct errand *errand) ATTR_NONNULL;
/* Whether the file system at `path' (absolute) answers: is near, or has
 * answered an errand within a tenth of a second.  Asks once a second at most,
 * for several paths in turn more often. */
bool	errand_answers(const char *path) ATTR_NONNULL;

#endif /* MCRELAY_ERRAND_H */
