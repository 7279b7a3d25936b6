/* SPDX-License-Identifier: ISC */
/*
 * The records of a container file, as far as its schema tells: where each
 * ends, when it was taken, and, of mcrelay's own Datagram records, what they
 * hold.  Tools.  No I/O here; the data may be damaged or hostile.
 */
#ifndef MCRELAY_TOOLS_RECORDS_H
#define MCRELAY_TOOLS_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"

struct datum_program;

/* No time is known.  Times are nanoseconds since 1970. */
#define RECORDS_NO_TIME	INT64_MIN

/* Of Datagram records as mcrelay-worker writes them. */
extern const char records_datagram_schema[];

struct records {
	struct datum_program	*program;	/* NULL: see error */
	uint32_t		*offset;	/* for datum_split() */
	char			*error;		/* of the schema */
	bool			 datagrams;	/* Datagram records */
	bool			 destinations;	/* and where to each went */
	int64_t			 time_unit_ns;	/* 0: no time field */
};

/* One record.  What it points to is in the block. */
struct record {
	const uint8_t	*data;
	size_t		 size;
	int64_t		 time_ns;	/* received, or the time field */
	/* of Datagram records only */
	int64_t		 sequence;
	const char	*source;	/* address:port, no NUL */
	size_t		 source_size;
	const uint8_t	*payload;
	size_t		 payload_size;
	const char	*destination;	/* of several, as `source'; NULL */
	size_t		 destination_size;
};

/*
 * Understands a schema.  When that fails records->error says why, and only
 * records_free() may be called.
 */
bool	records_open(struct records *records, const char *schema, size_t size)
	    ATTR_NONNULL;
void	records_free(struct records *records) ATTR_NONNULL;

/* Reads the record at `data'; NULL, or what is wrong with it. */
const char	*records_read(const struct records *records,
		    const uint8_t *data, size_t size, struct record *record)
		    ATTR_NONNULL;

#endif /* MCRELAY_TOOLS_RECORDS_H */
