/* SPDX-License-Identifier: ISC */
/*
 * mcrelay-replay: what its parts share.
 */
#ifndef MCRELAY_REPLAY_REPLAY_H
#define MCRELAY_REPLAY_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "tools/common/endpoint.h"
#include "tools/common/options.h"
#include "tools/common/reading.h"
#include "tools/common/span.h"

/* Exit status. */
enum replay_status {
	REPLAY_GOOD = 0,
	REPLAY_PARTLY = 1,	/* files or records were not whole */
	REPLAY_FAILED = 2,	/* usage, or it could not be done */
};

/* What is sent to one address. */
struct replay_channel {
	char			**operand;	/* files, directories, captures,
						 * addresses of streams */
	size_t			 operands;
	char			*path;		/* PATH of PATH=ADDRESS:PORT,
						 * malloc'ed, or NULL */
	struct sockaddr_storage	 to;
};

/* The command line, checked.  Texts point into argv.  replay_options_free() */
struct replay_options {
	struct replay_channel *channel;
	size_t		 channels;
	bool		 session;	/* of PATH=ADDRESS:PORT */
	struct endpoint	 to;		/* the first's address */
	double		 speed;		/* 1: as it was; 0: no waiting */
	uint64_t	 rate;		/* records/s; 0: by their times */
	uint64_t	 pause_ns;	/* the longest; UINT64_MAX: any */
	struct span	 span;
	const struct reading_ops *io;
	bool		 loop;
	bool		 json;
	bool		 quiet;
};

/* False with a message in `error' when the command line is wrong; there is
 * something to free in any case. */
bool	replay_parse(int argc, char **argv, struct replay_options *options,
	    char error[static OPTIONS_ERROR_SIZE]) ATTR_NONNULL;
void	replay_options_free(struct replay_options *options) ATTR_NONNULL;

/* The whole program.  Returns the exit status. */
int	replay_main(int argc, char **argv);

/*
 * When records are due, in nanoseconds since the first one.  Every moment is
 * reckoned from the first, so that nothing adds up.  A record that is older
 * than the one before (a clock was set) is due together with it, and what
 * follows keeps its distance from that one.  So is one without a time.  A pause
 * is bounded, as it is played, by `pause_ns'; UINT64_MAX: it is not.
 */
struct pace {
	double		 speed;
	uint64_t	 rate;
	uint64_t	 pause_ns;	/* as recorded */
	uint64_t	 count;		/* records so far */
	uint64_t	 elapsed_ns;	/* from first to last, as recorded */
	int64_t		 last_ns;	/* RECORDS_NO_TIME: no last one */
};

void		pace_begin(struct pace *pace, double speed, uint64_t rate,
		    uint64_t pause_ns) ATTR_NONNULL;
/* The next record is due; always 0 with speed 0. */
uint64_t	pace_next(struct pace *pace, int64_t time_ns) ATTR_NONNULL;
/* What comes next does not follow in time, but goes on at once. */
void		pace_cut(struct pace *pace) ATTR_NONNULL;

#endif /* MCRELAY_REPLAY_REPLAY_H */
