/* SPDX-License-Identifier: ISC */
/*
 * The lines of a channel's catalogue (catalog.jsonl), which mcrelay-worker may
 * be adding to.  Tools.  A line that cannot be read is told to the user, by
 * its number and why, and counted: what is missing there must not go unsaid.
 */
#ifndef MCRELAY_TOOLS_LINES_H
#define MCRELAY_TOOLS_LINES_H

#include <sys/types.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/archive_names.h"

/* Behind a line, for who comes again when there are more.  Zeros: at the
 * beginning. */
struct lines_place {
	ino_t		 inode;
	off_t		 from;		/* where the line begins */
	off_t		 to;		/* and ends */
	uint64_t	 hash;		/* of its text */
	uint64_t	 number;
};

struct lines {
	char		*path;		/* for messages */
	FILE		*file;		/* NULL: there is none */
	char		*text;		/* of the last line */
	size_t		 room;
	uint64_t	 number;	/* of the last line, from 1 */
	struct lines_place place;	/* behind the last whole line */
	size_t		 bad;		/* errors that were told */
};

/* The catalogue in `directory', whose path is `path'.  One that is missing is
 * one without lines; one that cannot be opened counts as a bad line. */
void	lines_open(struct lines *lines, int directory, const char *path)
	    ATTR_NONNULL;

/*
 * The next line that can be read, an object with the name of a finished file
 * in "name", which *name tells; NULL at the end.  json_decref() it.
 */
json_t	*lines_next(struct lines *lines, struct archive_name *name)
	    ATTR_NONNULL;

/*
 * Just after lines_open(): goes on there.  False, and nothing has been read: it
 * is another catalogue, or one that has been cut.
 */
bool	lines_go_on(struct lines *lines, const struct lines_place *place)
	    ATTR_NONNULL;

void	lines_close(struct lines *lines) ATTR_NONNULL;

#endif /* MCRELAY_TOOLS_LINES_H */
