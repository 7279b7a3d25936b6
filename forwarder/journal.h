/* SPDX-License-Identifier: ISC */
/*
 * What one place should know of each host beside its archives: the catalogue's
 * lines, and the ledger.  mcrelay-forwarder, a lane.
 */
#ifndef MCRELAY_FORWARDER_JOURNAL_H
#define MCRELAY_FORWARDER_JOURNAL_H

#include <sys/stat.h>

#include "common/archive_names.h"
#include "forwarder/tail.h"
#include "tools/common/lines.h"

struct journal {
	const char	*channel;
	int		 directory;	/* not owned */
	struct tail	 catalog;
	char		 line[ARCHIVE_NAME_SIZE];	/* the last file's that
							 * was sent */
	struct lines_place place;	/* behind that line */
	struct stat	 seen;		/* the catalogue, when all was */
	struct tail	 ledger;
	char		*sent;		/* the last ledger */
	uint64_t	 asked_ns;	/* whether it is still there */
	uint64_t	 next_ns;
};

void	journal_init(struct journal *journal, const char *channel,
	    int directory) ATTR_NONNULL;
/* The connection is another one. */
void	journal_forget(struct journal *journal) ATTR_NONNULL;
/* Once a second, sends some of what is new; waits for a server, but not long
 * enough for anybody to think that the lane hangs. */
void	journal_turn(struct journal *journal) ATTR_NONNULL;

/* The first thread: the supervisor's status document, by its descriptor. */
void	journal_status(int fd);

#endif /* MCRELAY_FORWARDER_JOURNAL_H */
