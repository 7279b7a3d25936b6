/* SPDX-License-Identifier: ISC */
/*
 * What the tests of the reducers have in common.  Everything here fails the
 * test itself when something is wrong.
 */
#ifndef MCRELAY_REDUCE_SUPPORT_H
#define MCRELAY_REDUCE_SUPPORT_H

#include <stddef.h>
#include <stdint.h>

#include "schema/schema.h"
#include "decimator/reduce.h"
#include "tests/unit/avro_random.h"
#include "tests/unit/reduce_push.h"

#define REDUCE_OUTPUT_MAX	65507

/* What the last window gave. */
extern uint8_t	reduce_output[REDUCER_OUTPUTS_MAX][REDUCE_OUTPUT_MAX];
extern size_t	reduce_size[REDUCER_OUTPUTS_MAX];

/* A record of so many fields of one type; free() it. */
char	*reduce_schema(const char *type, unsigned fields);

/* schema_result_free() it. */
struct schema_result	reduce_compile(const char *text);

/* Pushes all datums of `data', which must fill exactly one window. */
void	reduce_window(struct reducer *reducer, const struct avro_bytes *data);

#endif /* MCRELAY_REDUCE_SUPPORT_H */
