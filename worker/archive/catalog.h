/* SPDX-License-Identifier: ISC */
/*
 * catalog.jsonl: one line of JSON for each finished file of the channel.
 * Worker; the closer thread adds a line after it has given a file its name,
 * the keeper thread adds what is missing at the start.
 *
 * A line is appended with one write and synced; a last line that a power cut
 * has torn, or has left zeros in, is cut off before the next one is added.  A
 * file has one line, whatever happens between its rename and the line.  Lines
 * stay when their files are removed.
 */
#ifndef MCRELAY_CATALOG_H
#define MCRELAY_CATALOG_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/segment.h"
#include "worker/archive/file.h"

#define CATALOG_NAME		ARCHIVE_CATALOG
/* The longest line, with its newline and NUL. */
#define CATALOG_LINE_SIZE	FINISHED_LINE_SIZE

struct catalog {
	pthread_mutex_t	 mutex;		/* between the two threads */
	int		 directory;	/* not owned */
	struct finished	*finished;	/* not owned; NULL: nobody is told */
	bool		 settled;	/* what a predecessor left of that */
};

/* The lines that are added are told in `finished', if that is not NULL. */
void	catalog_open(struct catalog *catalog, int directory,
	    struct finished *finished);
void	catalog_close(struct catalog *catalog) ATTR_NONNULL;

/* Keeps room on the disk for some lines, so that it can be said what a full
 * disk lost. */
void	catalog_reserve(const struct catalog *catalog) ATTR_NONNULL;

/* The line of a file that the archive has written itself.  `lost' is what
 * the ledger counted during that file; NULL: it could not be read, and the next
 * line tells it. */
void	catalog_line(char line[static CATALOG_LINE_SIZE], const char *name,
	    enum archive_kind kind, enum archive_codec codec,
	    const struct archive_file *file, const struct ledger_change *lost);

/* Tells of the line, if there is one, that a predecessor added and did not live
 * to tell of.  May read the catalogue. */
void	catalog_settle(struct catalog *catalog) ATTR_NONNULL;
/* Adds a line.  0, or -1 with errno. */
int	catalog_add(struct catalog *catalog, const char *line) ATTR_NONNULL;
/* The same unless the file has a line. */
int	catalog_add_once(struct catalog *catalog, const char *name,
	    const char *line) ATTR_NONNULL;

/* Calls `each' with the name in every line and the line's number: the order in
 * which files were finished.  A name may be anything. */
void	catalog_names(int directory, void (*each)(void *argument,
	    const char *name, uint64_t number), void *argument);

/* Adds a line, unless there is one, for a file that this worker has not
 * written to its end: walks it. */
int	catalog_add_found(struct catalog *catalog, const char *name,
	    enum archive_kind kind) ATTR_NONNULL;

/*
 * Adds a line for each finished file of the channel that has none and whose
 * name `skip' does not forbid, in the order of their times: retention goes by
 * the order of the lines.  Walks those files.  0, or -1 with errno.
 */
int	catalog_complete(struct catalog *catalog, const char *channel,
	    bool (*skip)(void *argument, const char *name), void *argument)
	    ATTR_NONNULL;

#endif /* MCRELAY_CATALOG_H */
