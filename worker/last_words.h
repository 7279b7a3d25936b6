/* SPDX-License-Identifier: ISC */
/*
 * What a worker that cannot go on leaves behind in its segment, for the
 * supervisor's log.  Worker, any thread.
 *
 * A signal that tells of a bug (SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT)
 * writes its name, the address and how far the cursors were, then ends the
 * process as if it had not been caught: exit status and core are the same.
 * SIGBUS can also tell of a file that somebody else has made shorter while it
 * was mapped: that is forgiven where it can be (archive/write_mmap.c).
 */
#ifndef MCRELAY_WORKER_LAST_WORDS_H
#define MCRELAY_WORKER_LAST_WORDS_H

#include <signal.h>
#include <stdbool.h>

#include "common/compiler.h"

/* Installs the handlers.  Words go to the segments of those channels that
 * whose_add() has been called for. */
void	last_words_init(void);

/* The calling thread's handlers get a stack of their own, as its own may be
 * what is broken.  For as long as the thread lives. */
void	last_words_thread(void);

/* Takes those signals out of a set that is about to be blocked: one that
 * comes while it is blocked ends the process without a word. */
void	last_words_let_through(sigset_t *set) ATTR_NONNULL;

/* Also called when a signal comes that this process itself is the cause of, in
 * the thread that it comes to: must be safe in a signal handler. */
void	last_words_note(void (*note)(void)) ATTR_NONNULL;

/* Asked first when SIGBUS comes, in the thread that it comes to, with the
 * address that was touched: true, and there is memory there now, so that the
 * thread goes on.  Must be safe in a signal handler. */
void	last_words_forgive(bool (*forgive)(const void *address)) ATTR_NONNULL;

/* A reason, for the log as well. */
void	last_words(const char *fmt, ...) ATTR_PRINTF(1, 2);

#endif /* MCRELAY_WORKER_LAST_WORDS_H */
