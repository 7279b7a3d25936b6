/* SPDX-License-Identifier: ISC */
/*
 * mcrelay-cat: what its parts share.
 *
 * Records come from files (files.c, follow.c), from a stream on a server
 * (stream.c), from a socket (live.c) or from captures (capture.c), and go one
 * by one through cat_show() to the form that was asked for (struct form).
 */
#ifndef MCRELAY_CAT_CAT_H
#define MCRELAY_CAT_CAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "schema/tree.h"
#include "tools/cat/columns.h"
#include "tools/cat/out.h"
#include "tools/cat/value.h"
#include "tools/common/endpoint.h"
#include "tools/common/options.h"
#include "tools/common/reader.h"
#include "tools/common/span.h"

/* Exit status. */
enum cat_status {
	CAT_GOOD = 0,
	CAT_PARTLY = 1,		/* not all was whole */
	CAT_FAILED = 2,		/* usage, or it could not be done */
};

struct form;

/* The command line, checked.  Texts point into argv. */
struct cat_options {
	const struct form	*form;
	struct span		 span;
	uint64_t		 count;		/* UINT64_MAX: all */
	char			**field;	/* free() the array alone */
	size_t			 fields;
	struct value_style	 style;
	bool			 follow;
	const struct reading_ops *io;
	const char		*conf;		/* where channels are looked
						 * up */
	bool			 live;
	struct endpoint		 from;		/* with live */
	const char		*schema;	/* a file, or NULL: datagrams */
	char			**operand;
	size_t			 operands;
};

/* False with a message in `error' when the command line is wrong. */
bool	cat_parse(int argc, char **argv, struct cat_options *options,
	    char error[static OPTIONS_ERROR_SIZE]) ATTR_NONNULL;

/* What the records of a file or socket are. */
struct shape {
	const char		*path;		/* for messages */
	const struct records	*records;
	const char		*schema;	/* its text, no NUL */
	size_t			 schema_size;
	struct schema_tree	*tree;
	/* Where datagrams were sent; AF_UNSPEC: not known. */
	struct sockaddr_storage	 to;
};

struct cat {
	const struct cat_options *options;
	struct out		 out;
	struct reading		 reading;	/* of files */
	struct shape		 shape;		/* of the records now; tree
						 * NULL: none yet */
	struct columns		 columns;	/* json, csv */
	char			*header;	/* csv: the line; avro: the
						 * schema */
	struct buffer		 block;		/* avro: of records */
	uint64_t		 block_records;
	uint8_t			 sync[AVRO_SYNC_SIZE];
	uint64_t		 shown;		/* records */
	uint64_t		 partly;	/* damaged places, unusable
						 * files, left out datagrams */
	bool			 done;		/* all that was asked for */
	bool			 failed;	/* after a log line */
};

/* A form of output. */
struct form {
	const char	*name;
	bool		 datagrams;	/* shows nothing else */
	bool		 reads;		/* needs `record' */
	bool		 fields;	/* knows of chosen ones */
	/* Records of cat->shape follow; false after a log line. */
	bool		(*begin)(struct cat *cat);
	/* Shows one; returns what is behind it. */
	const uint8_t	*(*put)(struct cat *cat, const uint8_t *at,
			    const uint8_t *end, const struct record *record);
	/* Before a wait, and at the end; or NULL. */
	void		(*rest)(struct cat *cat);
};

/* The one of this name, or NULL. */
const struct form	*form_find(const char *name) ATTR_NONNULL;

/* Sets cat->columns for the shape; false after a log line. */
bool	form_choose(struct cat *cat, bool split) ATTR_NONNULL;

extern const struct form	form_json, form_csv, form_hex, form_raw,
				    form_pcapng, form_avro;

/* The whole program.  Returns the exit status. */
int	cat_main(int argc, char **argv);

/* Whether there is nothing more to do. */
bool	cat_done(const struct cat *cat) ATTR_NONNULL;
/*
 * The records that follow are of this shape, whose tree is made here; what
 * else it points to must stay.  False after a log line, when they cannot be
 * shown: then cat->failed.
 */
bool	cat_begin(struct cat *cat, const struct shape *shape) ATTR_NONNULL;
/* Shows the record at `at', which has been checked, if it was asked for;
 * returns what is behind it. */
const uint8_t	*cat_show(struct cat *cat, const uint8_t *at,
		    const uint8_t *end) ATTR_NONNULL;
/* A Datagram record in Avro's encoding, in place of what is in the buffer. */
void	cat_record(struct buffer *record, uint64_t received_ns,
	    uint64_t sequence, const struct sockaddr_storage *from,
	    const uint8_t *payload, size_t size)
	    __attribute__((__nonnull__(1, 4)));
/* Nothing may stay behind in a buffer: there will be a wait. */
void	cat_settle(struct cat *cat) ATTR_NONNULL;

/* Something is not whole; a log line. */
void	cat_partly(struct cat *cat, const char *fmt, ...) ATTR_PRINTF(2, 3);

/* files.c: an operand. */
void	cat_operand(struct cat *cat, const char *operand) ATTR_NONNULL;
/* Prepares the records of an open file; false after a log line. */
bool	files_begin(struct cat *cat, const struct reader *reader,
	    const char *path) ATTR_NONNULL;
/* The records of a block but the first `skip'. */
void	files_block(struct cat *cat, const struct reader_block *block,
	    uint64_t skip) ATTR_NONNULL;
/* A log line for a damaged one. */
void	files_damage(struct cat *cat, const char *path,
	    const struct reader_block *block) ATTR_NONNULL;

/* follow.c: what is and will be in a directory, from file `first' on (a stem;
 * NULL: all). */
void	follow_directory(struct cat *cat, const char *directory,
	    const char *first) __attribute__((__nonnull__(1, 2)));

/* stream.c: what mcrelay-forwarder has sent to a server. */
void	stream_run(struct cat *cat, const char *address) ATTR_NONNULL;

/* channels.c: the archive directory of a channel of a configuration file,
 * malloc'ed; NULL: there is none, and *why, malloc'ed, says why. */
char	*channel_directory(const char *conf, const char *channel, char **why)
	    ATTR_NONNULL;

/* capture.c: the datagrams of a capture. */
void	capture_run(struct cat *cat, const char *path) ATTR_NONNULL;

/* live.c: what comes by a socket. */
void	live_run(struct cat *cat) ATTR_NONNULL;

#endif /* MCRELAY_CAT_CAT_H */
