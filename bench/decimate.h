/* SPDX-License-Identifier: ISC */
/*
 * What bench/decimate measures, and with which clock.
 */
#ifndef MCRELAY_BENCH_DECIMATE_H
#define MCRELAY_BENCH_DECIMATE_H

#include <avro.h>
#include <stddef.h>
#include <stdint.h>

#include "common/message.h"
#include "schema/schema.h"

#define FIELDS		1000U
#define DATUMS		64U	/* different ones, 512 KiB of doubles */
#define EVERY		50U
#define RATE		5000U	/* datums a second, as their times say */

struct subject {
	const char		*type;		/* of all fields */
	char			*text;		/* the schema's */
	struct schema_result	 schema;
	avro_schema_t		 avro;
	uint8_t			*data;		/* the datums, one by one */
	size_t			 end[DATUMS];
	size_t			 size;
};

/* Of this process. */
double	cpu_ns(void);

/* Nanoseconds a datum that a decimator takes for channels of such datums. */
double	rings_measure(const struct subject *subject,
	    enum decimate_method method);

#endif /* MCRELAY_BENCH_DECIMATE_H */
