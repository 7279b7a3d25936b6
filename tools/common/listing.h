/* SPDX-License-Identifier: ISC */
/*
 * The files of an archive, in their order: as the catalogue has them, in which
 * they were finished; then those that it does not have yet, by their names.
 * Tools, and mcrelay-forwarder.
 */
#ifndef MCRELAY_TOOLS_LISTING_H
#define MCRELAY_TOOLS_LISTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "tools/common/lines.h"

#define LISTING_NO_LINE	UINT64_MAX
#define LISTING_NEVER	UINT64_MAX

struct listed {
	char		*stem;		/* the name as a finished file */
	bool		 finished;	/* when it was listed */
	uint64_t	 line;		/* of the catalogue */
	/* Of the last datagram, as the catalogue has it; INT64_MAX: not known,
	 * or a clock was set in between. */
	int64_t		 last_ns;
	int64_t		 last_sequence;
};

struct listing {
	struct listed	*file;
	size_t		 files;
	struct lines_place place;	/* up to where the catalogue was read */
};

/* Of datagrams or datums, not of rejected ones.  `path' is for messages.
 * False with errno, and there is nothing to free. */
bool	listing_read(struct listing *listing, int directory, const char *path)
	    ATTR_NONNULL;
/* The same, where `before' is an earlier one of that directory, or zeros: of
 * the catalogue only what has come since is read, as long as that will do. */
bool	listing_read_on(struct listing *listing, int directory,
	    const char *path, const struct listing *before) ATTR_NONNULL;
bool	listing_read_path(struct listing *listing, const char *path)
	    ATTR_NONNULL;
void	listing_free(struct listing *listing) ATTR_NONNULL;

/* Whether the directory may have files that were not listed after this was true
 * the last time; *changed_ns is its memory, LISTING_NEVER at first. */
bool	listing_is_due(int directory, uint64_t *changed_ns) ATTR_NONNULL;

#endif /* MCRELAY_TOOLS_LISTING_H */
