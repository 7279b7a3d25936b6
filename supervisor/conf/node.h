/* SPDX-License-Identifier: ISC */
/*
 * A YAML file as a tree that remembers where everything stood.  Supervisor
 * only.  Knows nothing about what the keys mean.
 *
 * Of YAML it takes what a configuration needs: one document of mappings,
 * lists and scalars.  Anchors, aliases and tags are refused, and so is what
 * goes beyond the limits below: time and memory are bounded for any input.
 */
#ifndef MCRELAY_CONF_NODE_H
#define MCRELAY_CONF_NODE_H

#include "supervisor/conf/problem.h"

#define NODE_FILE_MAX	(4U * 1024 * 1024)	/* bytes */
#define NODE_DEPTH_MAX	16U
#define NODE_KEYS_MAX	64U		/* in one mapping */
#define NODE_COUNT_MAX	200000U		/* in the file */
#define NODE_TEXT_MAX	4096U		/* bytes in one scalar */

enum node_kind {
	NODE_SCALAR,
	NODE_LIST,
	NODE_MAPPING,
	NODE_BAD,	/* its problem has been reported: take it as absent */
};

struct node {
	enum node_kind	 kind;
	struct place	 place;
	char		*text;		/* of a scalar; no control characters */
	char		*key;		/* in a mapping */
	struct place	 key_place;
	struct node	*first;		/* children of a list or mapping */
	struct node	*last;
	struct node	*next;		/* sibling */
	unsigned	 children;
};

/* The file's tree, or NULL when there is none; problems are added. */
struct node	*node_load(const char *file, struct problem_list *problems)
		    ATTR_NONNULL;
void	node_free(struct node *node);

/* The value of a key, or NULL. */
const struct node	*node_child(const struct node *mapping,
			    const char *key) ATTR_NONNULL;
/* "a mapping", "a list", "a value": for messages. */
const char		*node_kind_name(const struct node *node) ATTR_NONNULL;

#endif /* MCRELAY_CONF_NODE_H */
