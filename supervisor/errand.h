/* SPDX-License-Identifier: ISC */
/*
 * What may take for ever, like a path on a file system whose server does not
 * answer, is done by a process of its own.  Supervisor only.
 */
#ifndef MCRELAY_ERRAND_H
#define MCRELAY_ERRAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"

/* One under way; zero is none. */
struct errand {
	int		answer;		/* what comes back; 0: none under way */
	int		process;	/* as a descriptor */
	uint64_t	kind;		/* of those that may have one server */
};

/* So many of a kind at a time: a server that is away keeps no more. */
#define ERRANDS_MAX	16U

/* What goes to file systems below this directory. */
uint64_t	errand_kind(const char *directory) ATTR_NONNULL;

/*
 * Forks a process that calls `run' and ends.  It has `keep' (-1: nothing) as
 * `kept', and no other descriptor of ours; it writes to `answer', a socket for
 * whole packets.  It need not be waited for, but somebody has to reap it.  0,
 * or -1 with errno.
 */
int	errand_start(struct errand *errand, uint64_t kind,
	    void (*run)(int answer, int kept, const void *argument),
	    int keep, const void *argument);
/*
 * True: it is over, with `answer' filled and `*fd' what came with it (-1:
 * nothing), or with errno when it has ended without.  False: not yet.  Waits
 * for a tenth of a second in ten at most, for all errands together.
 */
bool	errand_done(struct errand *errand, void *answer, size_t size, int *fd,
	    bool *answered);
/* For one that answers by errand_say() at its end: true when it is over, with
 * whether it got there in `*said'.  Never waits. */
bool	errand_ended(struct errand *errand, bool *said) ATTR_NONNULL;
void	errand_say(int answer);
/* Nobody waits for it any more; it ends, if that is possible at all. */
void	errand_forget(struct errand *errand) ATTR_NONNULL;
/* Does it at once, if it is answered (whole) in the time that errand_done()
 * waits. */
bool	errand_ask(const char *directory, void (*run)(int answer, int kept,
	    const void *argument), const void *argument, void *answer,
	    size_t size) ATTR_NONNULL;

#endif /* MCRELAY_ERRAND_H */
