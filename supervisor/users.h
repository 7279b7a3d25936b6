/* SPDX-License-Identifier: ISC */
/*
 * Who runs as whom.  Supervisor only.
 *
 * Of a range of user ids (`user: {base: B, count: N}') the decimators have B,
 * and each channel one of the N that follow, with the group of the same number
 * and no others.  Nothing is written down about it, since all that has to be
 * known lies in the file system already: whose the archive directories are.  A
 * channel has, the first of these that is there and nobody else's:
 *
 * 1. while it runs, the id that it has, also across a reload and an upgrade;
 * 2. the owner of its archive directory, if that is of the range;
 * 3. the first that is free from a place on which its name alone decides (a
 *    hash of it), so that it does not matter which other channels there are,
 *    or in which order, and a channel whose disk is not mounted, or which has
 *    no archive, most likely has the same one as before.  No account's, and
 *    none that owns anything beside the archive directories: channels that are
 *    not configured any more, but may be again, have left it.
 */
#ifndef MCRELAY_USERS_H
#define MCRELAY_USERS_H

#include <sys/types.h>
#include <stdbool.h>

#include "common/compiler.h"
#include "supervisor/conf/conf.h"

struct supervisor;

/*
 * Chooses user ids for `conf', which is about to be in force; channels that
 * there are, or that are inherited, keep theirs.  Reports an error when there
 * are none left, or when a worker could take another's directory away.
 */
void	users_assign(const struct supervisor *supervisor, struct conf *conf,
	    struct conf_problems *problems) ATTR_NONNULL;
/* For a check before the start: warns of archive directories that would be
 * refused, as they are somebody else's. */
void	users_check_directories(const struct conf *conf,
	    struct conf_problems *problems) ATTR_NONNULL;
/* Nobody is to be anybody else: what conf says of users is forgotten. */
void	users_stay(struct conf *conf) ATTR_NONNULL;

/* Whether that is the user of a worker or decimator, each with its own. */
bool	users_is_child(const struct conf *conf, uid_t uid) ATTR_NONNULL;

#endif /* MCRELAY_USERS_H */
