/* SPDX-License-Identifier: ISC */
/*
 * What account_run.c, account_ask.c and account_serve.c have in common.
 */
#ifndef MCRELAY_ACCOUNT_PRIV_H
#define MCRELAY_ACCOUNT_PRIV_H

#include <sys/types.h>

#include "common/compiler.h"
#include "supervisor/account.h"

/* All that may be printed, several times what is. */
#define ACCOUNT_MAX	(1U << 20)

/* Like fork(); all signals are blocked in the child. */
pid_t	account_fork(void);
/* In a child: it, and what it executes, gains no right and writes no more than
 * it has to.  -1 with errno. */
int	account_confine(void);
/* In a child: gives up all that `user' has not.  -1 with errno. */
int	account_become(const struct privdrop *user) ATTR_NONNULL;
/* Until the child has ended, or was killed after a second. */
enum account_answer	account_await(pid_t pid);

/*
 * Between a supervisor and a program of another version, so for ever: a request
 * is the user as decimal words, "UID GID GROUP...", with two descriptors, the
 * segment's and that of the file that its account is to be written to.  The
 * answer is a byte, an enum account_answer.
 */
#define ACCOUNT_REQUEST_MAX	(12 * (PRIVDROP_GROUPS_MAX + 2))

#endif /* MCRELAY_ACCOUNT_PRIV_H */
