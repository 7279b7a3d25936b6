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
	char	*path;		/* the channel's own, for people */
	char	*seen;		/* the same, by way of the daemon's root */
	char	*there;		/* so much of `seen' that exists */
	bool	 exists;	/* all of it */
};

/* Calls `look' for the directory of each channel that has an archive. */
void	archives_each(struct doctor *doctor, void (*look)(
	    struct doctor *doctor, const struct archive_view *view))
	    ATTR_NONNULL;
/* The same as who writes there.  False, and nothing is called: nobody can
 * become that here. */
bool	archives_each_as_user(struct doctor *doctor, void (*look)(
	    struct doctor *doctor, const struct archive_view *view))
	    ATTR_NONNULL;

#endif /* MCRELAY_DOCTOR_ARCHIVES_H */
