/* SPDX-License-Identifier: ISC */
/*
 * A channel's archive as its catalogue tells it: listing finished files and
 * holding them against retention.  mcrelayctl only.
 *
 * The daemon only says where the archive is: it must not wait for a disk.
 * Times are UTC, written like 20261120T213000.5 or 2026-11-20T21:30:00.5Z; any
 * shorter beginning of that is a time, too, from the date on.
 */
#ifndef MCRELAY_CTL_FILES_H
#define MCRELAY_CTL_FILES_H

#include <jansson.h>
#include <stdbool.h>

#include "common/compiler.h"

/* Files with datagrams of [start, end); NULL: without that limit. */
void	files_list(const json_t *answer, const char *start, const char *end,
	    bool json);
/* Gives them links in hold/NAME/. */
void	files_hold(const json_t *answer, const char *start, const char *end,
	    const char *name) ATTR_NONNULL;
void	files_release(const json_t *answer, const char *name) ATTR_NONNULL;

#endif /* MCRELAY_CTL_FILES_H */
