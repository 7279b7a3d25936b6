/* SPDX-License-Identifier: ISC */
/*
 * A JSON document to look into, and no more: all of it in one array, since to
 * make and free a tree of a thousand channels' status takes longer than all
 * that is done with it.  Any process that prints metrics.
 *
 * What a node is asked for that it is not or does not have is NULL, 0 or false,
 * and so it is if there is no node.
 */
#ifndef MCRELAY_DOCUMENT_H
#define MCRELAY_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/compiler.h"

enum node_type {
	NODE_OTHER,		/* null, or a number that is no int64_t */
	NODE_OBJECT,
	NODE_ARRAY,
	NODE_TEXT,
	NODE_NUMBER,
	NODE_TRUTH,
};

/* Those in it follow it, each with its own. */
struct node {
	const char	*name;		/* NULL: it is no member */
	enum node_type	 type;
	uint32_t	 span;		/* nodes: itself and all in it */
	union {
		const char	*text;
		int64_t		 number;	/* or truth */
	};
};

struct document {
	char		*text;
	struct node	*node;		/* the first is all of it */
	size_t		 count;
	size_t		 room;
};

/* The caller's; NULL: it is no JSON, or too deep for a status. */
struct document	*document_read(const char *text, size_t size) ATTR_NONNULL;
/* May be NULL. */
void	document_free(struct document *document);

/* The first node in one, and the one after another in it; NULL: none. */
static inline const struct node *
node_first(const struct node *node)
{
	return node != NULL && node->span > 1 ? node + 1 : NULL;
}

static inline const struct node *
node_next(const struct node *node, const struct node *in)
{
	in += in->span;
	return in < node + node->span ? in : NULL;
}

#define NODE_FOREACH(in, node)						\
	for ((in) = node_first(node); (in) != NULL;			\
	    (in) = node_next(node, in))

static inline const struct node *
node_get(const struct node *node, const char *name)
{
	const struct node *in;

	NODE_FOREACH(in, node)
		if (in->name != NULL && strcmp(in->name, name) == 0)
			return in;
	return NULL;
}

static inline const char *
node_text(const struct node *node)
{
	return node != NULL && node->type == NODE_TEXT ? node->text : NULL;
}

static inline bool
node_is_number(const struct node *node)
{
	return node != NULL && node->type == NODE_NUMBER;
}

/* Of a truth, too: 0 or 1. */
static inline int64_t
node_number(const struct node *node)
{
	return node != NULL && (node->type == NODE_NUMBER ||
	    node->type == NODE_TRUTH) ? node->number : 0;
}

/* The same, the faster if it is the one after `last', which is NULL or in
 * `node': for who asks for all of them as they come. */
static inline const struct node *
node_get_next(const struct node *node, const struct node *last,
    const char *name)
{
	const struct node *in = last == NULL ? node_first(node) :
	    node_next(node, last);

	return in != NULL && in->name != NULL && strcmp(in->name, name) == 0 ?
	    in : node_get(node, name);
}

/* How many nodes there are in it. */
size_t	node_count(const struct node *node);

#endif /* MCRELAY_DOCUMENT_H */
