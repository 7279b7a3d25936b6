/* SPDX-License-Identifier: ISC */
/*
 * What a stream's datums hold, by its schema: which numbers, and what they are
 * called.  mcrelay-web only.
 *
 * A schema is compiled when it is first needed.  All together never take more
 * than LAYOUTS_MAX: those that do not fit in are as if they had no fields.
 */
#ifndef MCRELAY_WEB_LAYOUT_H
#define MCRELAY_WEB_LAYOUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "web/text.h"

#define LAYOUTS_MAX	((size_t)8 * 1024 * 1024)
/* Those that follow are not shown. */
#define LAYOUT_FIELDS_MAX	1000U

struct layout;

/* `schema' is the text of what the datums are written by, `names' of the
 * channel's, which knows what the fields mean. */
struct layout	*layout_new(json_t *schema, json_t *names, bool summary)
		    ATTR_NONNULL ATTR_UNUSED_RESULT;
void	layout_free(struct layout *layout);	/* NULL is allowed */
bool	layout_is(const struct layout *layout, const json_t *schema,
	    const json_t *names, bool summary) ATTR_NONNULL;

/* As an array of {name, doc, unit, instant}. */
json_t	*layout_fields(struct layout *layout) ATTR_NONNULL;
/* The schema's own doc, or null. */
json_t	*layout_doc(struct layout *layout) ATTR_NONNULL;
/* Whether it is one datum, no more and no less; it may be anything. */
bool	layout_good(struct layout *layout, const uint8_t *data, size_t size)
	    ATTR_NONNULL;
/* The fields' values, each behind a comma, of a datum that is good. */
void	layout_print(struct layout *layout, const uint8_t *data, size_t size,
	    struct text *text) ATTR_NONNULL;

#endif /* MCRELAY_WEB_LAYOUT_H */
