/* SPDX-License-Identifier: ISC */
/*
 * A channel's archive as its catalogue tells it: listing finished files and
 * holding them against retention.  mcrelayctl only.
 *
 * The daemon only says where the archive is: it must not wait for a disk.
 * Times are those of common/when.h.
 *
 * All return the exit status: 0, or 1 after log lines when a line of the
 * catalogue cannot be read, a file is no regular one or cannot be held.  What
 * can be listed or held is, all the same.
 */
#ifndef MCRELAY_CTL_FILES_H
#define MCRELAY_CTL_FILES_H

#include <jansson.h>
#include <stdbool.h>

#include "common/compiler.h"

/* Files with datagrams of [start, end); NULL: without that limit. */
int	files_list(const json_t *answer, const char *start, const char *end,
	    bool json);
/* Gives them links in hold/NAME/. */
int	files_hold(const json_t *answer, const char *start, const char *end,
	    const char *name) ATTR_NONNULL;
int	files_release(const json_t *answer, const char *name) ATTR_NONNULL;

#endif /* MCRELAY_CTL_FILES_H */
