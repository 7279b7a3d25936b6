/* SPDX-License-Identifier: ISC */
/*
 * Users by their names and numbers.  Supervisor only.
 *
 * Where accounts come from a directory service, to look one up may take for
 * ever.  A process of its own does it, which the first question starts; the
 * supervisor waits some seconds for an answer, and after one that did not come
 * asks no more.
 */
#ifndef MCRELAY_NAMES_H
#define MCRELAY_NAMES_H

#include <sys/types.h>
#include <stdbool.h>

#include "common/compiler.h"
#include "supervisor/privdrop.h"

/* From now on others are held up: all answers until names_end() together may
 * take as long as one might before. */
void	names_hurry(void);
/* 0, or -1 with errno (ENOENT: no such user; ETIMEDOUT: no answer). */
int	names_user(const char *name, struct privdrop *user)
	    ATTR_NONNULL ATTR_UNUSED_RESULT;
/* Whether a user or group of that number has a name, as far as is known. */
bool	names_has(uid_t id);
/* After the last of some questions.  False: one was not answered. */
bool	names_end(void);

#endif /* MCRELAY_NAMES_H */
