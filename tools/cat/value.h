/* SPDX-License-Identifier: ISC */
/*
 * Values as text.  mcrelay-cat.  What is at `at' has been walked by a datum
 * program of the same schema: it is whole, and ends before `end'.
 */
#ifndef MCRELAY_CAT_VALUE_H
#define MCRELAY_CAT_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/datum.h"
#include "schema/tree.h"
#include "tools/cat/out.h"

/* How some are written. */
struct value_style {
	bool	hex;		/* bytes, else base64 */
	bool	iso;		/* times, else numbers */
};

/* Both return what is behind the value. */
const uint8_t	*value_skip(const struct tree_type *type, const uint8_t *at,
		    const uint8_t *end) ATTR_NONNULL;
const uint8_t	*value_json(struct out *out, const struct value_style *style,
		    const struct tree_type *type, const uint8_t *at,
		    const uint8_t *end) ATTR_NONNULL;

/* A number, boolean or enum, as it stands in CSV as well: a float that is not
 * finite becomes `infinity' with its sign, or NaN, between quotes of JSON if
 * `quoted'. */
const uint8_t	*value_scalar(struct out *out, const struct value_style *style,
		    const struct tree_type *type, const uint8_t *at,
		    const uint8_t *end, bool quoted) ATTR_NONNULL;

static inline int64_t
value_long(const uint8_t **at, const uint8_t *end)
{
	int64_t value = 0;

	if (datum_get_long(at, end, &value) != DATUM_OK)
		*at = end;
	return value;
}

/* Bytes and strings: where they are and how many; *at is moved behind. */
static inline const uint8_t *
value_bytes(const struct tree_type *type, const uint8_t **at,
    const uint8_t *end, size_t *size)
{
	const uint8_t *data;
	int64_t length = type->size;

	if (type->type != SCHEMA_FIXED)
		length = value_long(at, end);
	data = *at;
	*size = MIN_OF((size_t)length, (size_t)(end - data));
	*at += *size;
	return data;
}

/* The type that a union has here. */
static inline const struct tree_type *
value_branch(const struct tree_type *type, const uint8_t **at,
    const uint8_t *end)
{
	const uint64_t number = (uint64_t)value_long(at, end);

	return type->child[MIN_OF(number, type->children - 1)].type;
}

#endif /* MCRELAY_CAT_VALUE_H */
