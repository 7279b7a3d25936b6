/* SPDX-License-Identifier: ISC */
/*
 * The archives' directories, as the doctor's checks look at them: never made,
 * and where the daemon that runs sees them.
 */
#ifndef MCRELAY_DOCTOR_ARCHIVES_H
#define MCRELAY_DOCTOR_ARCHIVES_H

#include <stdbool.h>

#include "common/compiler.h"
#include "supervisor/doctor/doctor_priv.h"

struct archive_view {
	const struct channel_conf *channel;
	const char *prefix;	/* of paths, by way of the daemon's root */
	char	*path;		/* the channel's own, for people */
	char	*seen;		/* the same, by way of the daemon's root */
	char	*there;		/* so much of `seen' that exists */
	bool	 exists;	/* all of it */
	/* For who may not look into the daemon's /proc: its root, opened, and
	 * `there' from there. */
	int	 root;
	const char *below;
};

/* Calls `look' for the directory of each channel that has an archive. */
void	archives_each(struct doctor *doctor, void (*look)(
	    struct doctor *doctor, const struct archive_view *view))
	    ATTR_NONNULL;
/* Becomes who writes there, until archives_be_self().  False: one may not,
 * which was said. */
bool	archives_become_user(struct doctor *doctor,
	    const struct archive_view *view) ATTR_NONNULL;
void	archives_be_self(void);
/* The name of who writes there. */
const char	*archives_user(const struct channel_conf *channel)
		    ATTR_NONNULL;

#endif /* MCRELAY_DOCTOR_ARCHIVES_H */
