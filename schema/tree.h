/* SPDX-License-Identifier: ISC */
/*
 * A schema as a graph of types, for who shows values by name and not only
 * walks them.  Tools.
 *
 * A type that is named again is the same node, which may so be inside of
 * itself.  Names are full ones where types have them, and of letters, digits,
 * dots and underscores alone.
 */
#ifndef MCRELAY_SCHEMA_TREE_H
#define MCRELAY_SCHEMA_TREE_H

#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"

enum schema_type {
	/* Primitive, in the order of schema_type_names. */
	SCHEMA_NULL,
	SCHEMA_BOOLEAN,
	SCHEMA_INT,
	SCHEMA_LONG,
	SCHEMA_FLOAT,
	SCHEMA_DOUBLE,
	SCHEMA_BYTES,
	SCHEMA_STRING,
	SCHEMA_PRIMITIVES,
	/* Named. */
	SCHEMA_RECORD = SCHEMA_PRIMITIVES,
	SCHEMA_ENUM,
	SCHEMA_FIXED,
	/* Others. */
	SCHEMA_ARRAY,
	SCHEMA_MAP,
	SCHEMA_UNION,
	SCHEMA_TYPES
};

/* Of a type that it fits; in the order of the table in schema/parse.c. */
enum schema_logical {
	LOGICAL_NONE,
	LOGICAL_DECIMAL,
	LOGICAL_UUID,
	LOGICAL_DURATION,
	LOGICAL_DATE,
	LOGICAL_TIME_MILLIS,
	LOGICAL_TIME_MICROS,
	LOGICAL_TIMESTAMP_MILLIS,
	LOGICAL_TIMESTAMP_MICROS,
	LOGICAL_TIMESTAMP_NANOS,
	LOGICAL_LOCAL_MILLIS,
	LOGICAL_LOCAL_MICROS,
	LOGICAL_LOCAL_NANOS,
};

struct tree_type;

/* A field of a record; the items or values; a branch. */
struct tree_child {
	char			*name;		/* of a field, else NULL */
	size_t			 name_size;	/* bytes */
	const struct tree_type	*type;
};

struct tree_type {
	enum schema_type	 type;
	enum schema_logical	 logical;
	uint32_t		 size;		/* of a fixed, bytes */
	struct tree_child	*child;
	size_t			 children;
	char			**symbol;	/* of an enum */
	size_t			 symbols;
};

struct schema_tree {
	struct tree_type	*type;		/* of all, the datum's first */
	size_t			 types;
};

/* For a schema that schema_compile() takes; NULL for any other. */
struct schema_tree	*schema_tree_new(const char *text, size_t size)
			    ATTR_NONNULL;
void	schema_tree_free(struct schema_tree *tree);

#endif /* MCRELAY_SCHEMA_TREE_H */
