/* SPDX-License-Identifier: ISC */
/*
 * Datums for a reducer, one after the other, for tests and fuzzers that need
 * no times.
 */
#ifndef MCRELAY_REDUCE_PUSH_H
#define MCRELAY_REDUCE_PUSH_H

#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "decimator/reduce.h"

/* Takes the datum that `data' begins with; *used is its size. */
static inline enum reducer_status
reducer_push(struct reducer *r, const uint8_t *data, size_t size, size_t *used)
{
	if (!reducer_look(r, data, size, used))
		return REDUCER_INVALID;
	return reducer_take(r, data, 0, false);
}

#endif /* MCRELAY_REDUCE_PUSH_H */
