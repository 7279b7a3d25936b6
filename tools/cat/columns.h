/* SPDX-License-Identifier: ISC */
/*
 * The parts of a datum that are shown: columns of CSV, members of JSON when
 * fields were chosen.  mcrelay-cat.
 *
 * A column is a path of fields ("pos.x") through records, and through unions
 * of one record and null: where that is null, so are the columns below it.  A
 * datum that is no record is one column, "value".
 */
#ifndef MCRELAY_CAT_COLUMNS_H
#define MCRELAY_CAT_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "schema/tree.h"

/* A schema that is more would be one with records in records without end. */
#define COLUMNS_MAX	65536U

struct column {
	char			*path;
	const struct tree_type	*type;
	const uint8_t		*at;	/* in the datum; NULL: it is null */
};

/* A path of the schema that columns are at or below. */
struct place {
	const struct tree_type	*type;		/* not a union with null */
	bool			 nullable;
	uint64_t		 null;		/* its branch */
	size_t			 column;	/* or NO_COLUMN */
	struct place		*inner;		/* of the record's fields, or
						 * NULL: nothing wanted */
};
#define NO_COLUMN	SIZE_MAX

struct columns {
	struct column	*column;
	size_t		 count;
	struct place	 top;
};

/*
 * Chooses `field's (with `split' each record by what is in it); none: all.
 * NULL, or why not, malloc'ed.  columns_free() in any case.
 */
char	*columns_choose(struct columns *columns, const struct tree_type *type,
	    char *const *field, size_t fields, bool split)
	    __attribute__((__nonnull__(1, 2)));
void	columns_free(struct columns *columns) ATTR_NONNULL;

/* Finds all columns in a datum; returns what is behind it. */
const uint8_t	*columns_locate(struct columns *columns, const uint8_t *at,
		    const uint8_t *end) ATTR_NONNULL;

#endif /* MCRELAY_CAT_COLUMNS_H */
