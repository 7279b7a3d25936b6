/* SPDX-License-Identifier: ISC */
/*
 * Random Avro schemas and datums for tests, and a slow, recursive reference
 * that says what a datum's bytes are.  The reference walks avro-c's schema
 * objects, so it shares nothing with the schema compiler or the interpreter.
 */
#ifndef MCRELAY_AVRO_RANDOM_H
#define MCRELAY_AVRO_RANDOM_H

#include <avro.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct avro_random {
	uint64_t	state;		/* of the generator; not 0 */
	bool		plain;		/* no logical types; doubles that are
					 * neither NaN nor huge nor tiny */
	unsigned	names;		/* given so far */
	unsigned	known;		/* finished types to refer to */
	char		known_name[64][64];
};

struct avro_bytes {
	uint8_t	*data;
	size_t	 size;
	size_t	 room;
};

void	avro_random_init(struct avro_random *random, uint64_t seed, bool plain);
uint64_t	avro_random_next(struct avro_random *random);
/* From 0 to below - 1. */
uint32_t	avro_random_below(struct avro_random *random, uint32_t below);

/* A record's schema whose datums have a byte at least; free() it. */
char	*avro_random_schema(struct avro_random *random);

/* Appends a datum, in any of the forms that Avro allows. */
void	avro_random_datum(struct avro_random *random, avro_schema_t schema,
	    struct avro_bytes *bytes);

void	avro_bytes_add(struct avro_bytes *bytes, const void *data, size_t size);
void	avro_bytes_add_long(struct avro_bytes *bytes, int64_t value);
void	avro_bytes_free(struct avro_bytes *bytes);

enum avro_verdict {
	AVRO_GOOD,
	AVRO_STRICT,	/* readers differ; mcrelay refuses it */
	AVRO_BAD,	/* every reader refuses it */
	AVRO_UNSAFE,	/* bad, and do not try avro-c with it */
};

/* What is at *at?  Moves *at behind a good datum. */
enum avro_verdict	avro_reference(avro_schema_t schema,
			    const uint8_t **at, const uint8_t *end);

#endif /* MCRELAY_AVRO_RANDOM_H */
