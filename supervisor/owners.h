/* SPDX-License-Identifier: ISC */
/*
 * Whose the directories of archives are.  Supervisor only.
 */
#ifndef MCRELAY_OWNERS_H
#define MCRELAY_OWNERS_H

#include <sys/types.h>
#include <stdbool.h>

#include "common/compiler.h"
#include "supervisor/conf/conf.h"

struct owned {
	bool	there;		/* a directory */
	uid_t	uid;
	mode_t	mode;
};

/* Looks at `path', which is `base' or below.  False: it does not answer. */
bool	owners_see(const char *base, const char *path, struct owned *owned)
	    ATTR_NONNULL;
/* The owner of each channel's directory, root where there is none; the caller
 * frees them.  With a warning for what does not answer. */
uid_t	*owners_find(const struct conf *conf, struct conf_problems *problems)
	    ATTR_NONNULL;
/* Whether the channel's archives lie where those of no other before it do. */
bool	owners_first_in_directory(const struct conf *conf, size_t channel)
	    ATTR_NONNULL;

#endif /* MCRELAY_OWNERS_H */
