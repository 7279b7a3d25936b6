/* SPDX-License-Identifier: ISC */
/*
 * mcrelay-gen: what its parts share.  Two commands in one program: the
 * source sends datagrams at a rate, the sink receives and judges them.
 */
#ifndef MCRELAY_GEN_GEN_H
#define MCRELAY_GEN_GEN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/util.h"
#include "tools/common/batch.h"
#include "tools/common/endpoint.h"
#include "tools/common/options.h"

/* Exit status. */
enum gen_status {
	GEN_GOOD = 0,
	GEN_BAD = 1,	/* sink: something did not arrive as it was sent */
	GEN_FAILED = 2,	/* usage, or it could not be done */
};

enum gen_command {
	GEN_SOURCE,
	GEN_SINK,
};

/* The command line, checked.  Texts point into argv. */
struct gen_options {
	enum gen_command	 command;
	struct endpoint		 endpoint;
	uint64_t		 count;		/* 0: no limit */
	uint64_t		 time_ns;	/* 0: no limit */
	bool			 json;
	bool			 quiet;
	/* source */
	size_t			 bytes;		/* of a numbered datagram */
	uint64_t		 rate;		/* datagrams/s; 0: no limit */
	bool			 coalesce;
	unsigned		 batch;		/* 0: chosen by rate */
	const char		*schema;	/* NULL: numbered datagrams */
	unsigned		 datums;	/* in a datagram */
	const char		**wave;		/* FIELD=SIGNAL... as given */
	size_t			 waves;
	/* sink */
	bool			 anything;	/* do not interpret */
	uint64_t		 idle_ns;	/* 0: for ever */
	const char		*dump;		/* file name, or NULL */
};

/* False with a message in `error' when the command line is wrong. */
bool	gen_parse(int argc, char **argv, struct gen_options *options,
	    char error[static OPTIONS_ERROR_SIZE]) ATTR_NONNULL;
void	gen_options_free(struct gen_options *options) ATTR_NONNULL;

/* The whole program.  Returns the exit status. */
int	gen_main(int argc, char **argv);

/*
 * The two commands.  They log what went wrong.  *report is an object for
 * the user, the caller's to release, or NULL when there is nothing to say.
 */
enum gen_status	source_run(const struct gen_options *options,
		    json_t **report) ATTR_NONNULL;
enum gen_status	sink_run(const struct gen_options *options, json_t **report)
		    ATTR_NONNULL;

#endif /* MCRELAY_GEN_GEN_H */
