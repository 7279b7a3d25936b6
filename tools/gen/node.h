/* SPDX-License-Identifier: ISC */
/*
 * A schema as a tree of nodes, one for each place where a datum has a value.
 * Named types that are used twice have nodes of their own at each place, so
 * that each place has a signal of its own.
 */
#ifndef MCRELAY_GEN_NODE_H
#define MCRELAY_GEN_NODE_H

#include <avro.h>
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "tools/gen/gen.h"
#include "tools/gen/wave.h"

/* How a value that the type leaves open is made. */
enum node_rule {
	RULE_WAVE,	/* numbers; varied text */
	RULE_CLOCK,	/* now / unit_ns */
	RULE_CLOCK_DAY,	/* time of the day / unit_ns */
	RULE_UUID,
	RULE_DECIMAL,	/* a digit, which every precision can hold */
};

struct node {
	avro_type_t	 type;		/* never AVRO_LINK */
	char		*path;		/* field.field...; "" at the root */
	const char	*name;		/* last part of it */
	enum node_rule	 rule;
	uint64_t	 unit_ns;
	struct wave	 wave;
	uint64_t	 count;		/* values made until now */
	size_t		 size;		/* fixed: bytes; enum: symbols */
	/* Fields, branches, or the one node of all items.  NULL: a branch
	 * that cannot end, items that are never there. */
	struct node	**child;
	size_t		 children;
};

/*
 * Both trees of the same schema, `json' for the logical types that avro-c
 * does not keep.  NULL with a message in `error'.
 */
struct node	*node_build(avro_schema_t schema, const json_t *json,
		    char error[static OPTIONS_ERROR_SIZE]) ATTR_NONNULL;
void		 node_free(struct node *node);

/*
 * Deals signals to the numeric nodes, then applies the user's
 * FIELD=SIGNAL[:PERIOD[:AMPLITUDE]].  False with a message.
 */
bool		 node_assign(struct node *root, const char *const *wave,
		    size_t waves, char error[static OPTIONS_ERROR_SIZE]);

#endif /* MCRELAY_GEN_NODE_H */
