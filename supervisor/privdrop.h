/* SPDX-License-Identifier: ISC */
/*
 * Giving up root, in one fixed order: supplementary groups, group, user,
 * capabilities, each checked, then verified.  The supervisor looks the users
 * up (names.h); each child drops between fork and exec.
 */
#ifndef MCRELAY_PRIVDROP_H
#define MCRELAY_PRIVDROP_H

#include <sys/types.h>
#include <stddef.h>

#include "common/compiler.h"

#define PRIVDROP_GROUPS_MAX	64

struct privdrop {
	uid_t	uid;		/* 0: nobody else, stay who we are */
	gid_t	gid;
	gid_t	group[PRIVDROP_GROUPS_MAX];
	size_t	groups;
};

/*
 * Becomes that user for good.  0, or -1 with errno: the caller must not go
 * on then.  Makes system calls only.
 */
int	privdrop_now(const struct privdrop *drop)
	    ATTR_NONNULL ATTR_UNUSED_RESULT;

#endif /* MCRELAY_PRIVDROP_H */
