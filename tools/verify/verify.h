/* SPDX-License-Identifier: ISC */
/*
 * mcrelay-verify: what its parts share.
 */
#ifndef MCRELAY_VERIFY_VERIFY_H
#define MCRELAY_VERIFY_VERIFY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/compiler.h"
#include "common/printable.h"
#include "tools/common/options.h"
#include "tools/common/progress.h"
#include "tools/common/reader.h"

/* Exit status; of several files the highest. */
enum verify_status {
	VERIFY_WHOLE = 0,
	VERIFY_DAMAGED = 1,
	VERIFY_UNUSABLE = 2,	/* or the program cannot do its work */
};

/* What goes into a repaired file. */
enum verify_keep {
	KEEP_ALL,	/* whatever can be recovered */
	KEEP_PRIOR,	/* what is before the first damage */
	KEEP_AFTER,	/* what is after it */
};

struct verify_options {
	bool			 blocks;	/* a line for each block */
	enum verify_keep	 keep;
	const char		*repaired;	/* file to write, or NULL */
	const char		*catalog;	/* directory to make one for */
	char			**file;
	size_t			 files;
	const struct reading_ops *io;
	uint64_t		 jobs;		/* files read at once; 0: 1 */
};

/* False with a message in `error' when the command line is wrong. */
bool	verify_parse(int argc, char **argv, struct verify_options *options,
	    char error[static OPTIONS_ERROR_SIZE]) ATTR_NONNULL;

/* The whole program.  Returns the exit status. */
int	verify_main(int argc, char **argv);

/* What was found in a file. */
struct summary {
	enum verify_status	 status;
	const char		*why;		/* unusable: why */
	uint64_t		 blocks;	/* whole ones */
	uint64_t		 damaged;	/* stretches that are not */
	uint64_t		 records;	/* good ones */
	uint64_t		 bytes;		/* of the file */
	bool			 sequence_known;
	int64_t			 first_sequence;
	int64_t			 last_sequence;
	int64_t			 first_ns;	/* or RECORDS_NO_TIME */
	int64_t			 last_ns;
};

void	summary_add(struct summary *summary,
	    const struct reader_block *block) ATTR_NONNULL;

/* For the user; names of files and the like may hold anything. */
#define say(out, ...)	printable_print(out, __VA_ARGS__)

/* report.c: lines for the user. */
void	report_begin(FILE *out, const char *path, const struct reader *reader)
	    ATTR_NONNULL;
void	report_block(FILE *out, uint64_t number,
	    const struct reader_block *block) ATTR_NONNULL;
void	report_damage(FILE *out, const char *path,
	    const struct reader_block *block) ATTR_NONNULL;
void	report_end(FILE *out, const char *path, const struct reader *reader,
	    const struct summary *summary) ATTR_NONNULL;

/*
 * repair.c: the repaired file.  It appears under its name when it is complete.
 */
struct repair {
	const char		*path;
	char			*part;		/* its name until it is whole */
	enum verify_keep	 keep;
	int			 fd;		/* -1: no file yet */
	bool			 failed;	/* after a log line */
	bool			 damage_seen;
	uint64_t		 blocks;
	uint64_t		 records;
};

/* Without a path there will be no calls but this. */
void	repair_begin(struct repair *repair, const char *path,
	    enum verify_keep keep);
void	repair_block(struct repair *repair, const struct reader *reader,
	    const struct reader_block *block) ATTR_NONNULL;
/* False when there is no file: it could not be written, which was logged, or
 * the damaged one not be read to its end (`good' false). */
bool	repair_end(struct repair *repair, bool good) ATTR_NONNULL;

/*
 * crew.c: threads that do pieces of work, from the first to the last; who waits
 * for them takes them in that order.  `work' runs in one of the threads.
 */
struct crew;

/* At most `ahead' pieces are done or in hand that nobody has taken yet. */
struct crew	*crew_begin(unsigned threads, size_t pieces, size_t ahead,
		    void (*work)(void *argument, size_t piece), void *argument)
		    ATTR_NONNULL;
/* Waits a moment.  True: the next piece is done; it is taken by
 * crew_taken(). */
bool		 crew_wait(struct crew *crew) ATTR_NONNULL;
void		 crew_taken(struct crew *crew) ATTR_NONNULL;
/* All have been taken. */
void		 crew_end(struct crew *crew) ATTR_NONNULL;

/* catalog.c: what mcrelayd has written down of its files. */
struct catalog {
	char	*directory;	/* with its slash; NULL: none was read */
	json_t	*files;		/* lines by name */
	size_t	 bad;		/* lines that cannot be read, of all */
};

/* The line of the file in the catalogue of its directory, or NULL.  It belongs
 * to the catalogue, which keeps one directory. */
json_t		*catalog_find(struct catalog *catalog, const char *path)
		    ATTR_NONNULL;
void		 catalog_close(struct catalog *catalog) ATTR_NONNULL;
/* Why the file is not the one that was finished; NULL: nothing against it, or
 * no line. */
const char	*catalog_contradicts(json_t *line,
		    const struct summary *summary);

/* rebuild.c: a new catalogue from the files of the directory and the lines of
 * the old one that can be read. */
enum verify_status	rebuild_catalog(const char *path) ATTR_NONNULL;

/* gaps.c: what is missing between a file and the one before. */
struct gaps {
	char		*channel;	/* of the file before; NULL: none */
	int64_t		 last;		/* sequence */
};

void	gaps_file(struct gaps *gaps, struct catalog *catalog,
	    const char *path, const struct summary *summary) ATTR_NONNULL;
void	gaps_end(struct gaps *gaps) ATTR_NONNULL;

#endif /* MCRELAY_VERIFY_VERIFY_H */
