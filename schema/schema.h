/* SPDX-License-Identifier: ISC */
/*
 * The schema compiler: an Avro schema's text becomes a datum program
 * (common/datum.h).  Supervisor and tools; worker and decimator get programs,
 * never schemas.
 *
 * jansson reads the text and schema_parse.c walks it, because avro-c 1.11
 * drops logical types and runs away on some recursive records; what passes is
 * given to avro-c, which must agree.
 */
#ifndef MCRELAY_SCHEMA_H
#define MCRELAY_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"

#define SCHEMA_SIZE_MAX		(1U << 20)	/* bytes of text */
#define SCHEMA_DEPTH_MAX	64		/* types inside types */

struct schema_result {
	void	 *program;	/* malloc'ed, aligned; NULL on error */
	size_t	  program_size;	/* bytes */
	char	 *canonical;	/* Parsing Canonical Form; NULL on error */
	char	 *derived;	/* a plan's output schema; NULL: the same */
	char	 *error;	/* NULL on success */
	char	**warning;	/* things that some Avro readers refuse */
	size_t	  warnings;
};

/*
 * Compiles `text' (`size' bytes, no NUL needed).  `time_field' is the path of
 * the channel's time field ("head.time"); NULL takes the first number with
 * a timestamp-* logical type, if there is one.
 *
 * Fills *result, which need not be initialised, in either case.  Returns
 * whether there is a program.  An error says what and where: "field pos.x:
 * unknown type "flaot"", "line 3, column 7: ...", or of the schema as a whole
 * "top level: ...".  Refused are schemas that Avro does not allow, and
 * those with which no archive can be read back or no datagram filled: a datum
 * of zero bytes, one that can never end, one larger than a datagram.
 *
 * The caller may take result->program (free() it) by setting it to NULL.
 */
bool	schema_compile(const char *text, size_t size, const char *time_field,
	    struct schema_result *result);

/* The CRC-64-AVRO fingerprint of a Parsing Canonical Form. */
uint64_t	schema_fingerprint(const char *canonical) ATTR_NONNULL;

/* A field, or a record with all that is in it, that a plan names. */
struct schema_name {
	const char	*path;
	uint8_t		 method;	/* 1 + enum decimate_method */
	double		 range;		/* the method's, or 0 */
	bool		 known;		/* set by schema_plan() */
	bool		 number;	/* or one that has a number in it */
};

/* What a decimated stream makes of the fields. */
struct schema_plan {
	bool			 summary;	/* shape: summary */
	uint8_t			 arrays;	/* DATUM_ARRAY, perhaps with
						 * DATUM_SAMPLES; 0: the last
						 * one is shown */
	/* Of fields without a method of their own; 0: the stream's. */
	uint8_t			 method;
	double			 range;
	struct schema_name	*field;		/* with methods of their own */
	size_t			 fields;
	struct schema_name	*only;		/* none: all are in it */
	size_t			 onlys;
	/* Out: whether the runs are other ones than the channel's. */
	bool			 differs;
	/* Out: the paths of all fields and records; freed with the result. */
	char			**path;
	size_t			 paths;
};

/*
 * The same for a decimated stream: its runs have the methods of `plan', and
 * result->derived is the schema of its output.  False without an error when
 * plan->field[].known and .number, or plan->only[].known, say what is wrong.
 */
bool	schema_plan(const char *text, size_t size, const char *time_field,
	    struct schema_plan *plan, struct schema_result *result);
void	schema_plan_free(struct schema_plan *plan) ATTR_NONNULL;
void	schema_result_free(struct schema_result *result) ATTR_NONNULL;

#endif /* MCRELAY_SCHEMA_H */
