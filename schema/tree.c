/* SPDX-License-Identifier: ISC */
/*
 * A schema as a graph of types that outlives its text.  Tools.
 */
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "schema/schema_priv.h"
#include "schema/tree.h"

/* The first is the datum's: schema_parse() makes it first. */
static void
number_nodes(struct schema_context *c, struct schema_tree *tree)
{
	struct schema_node *node;

	for (node = c->first; node != NULL; node = node->next)
		node->number = tree->types++;
	tree->type = xcalloc(tree->types, sizeof(*tree->type));
}

static void
copy_symbols(struct tree_type *type, json_t *symbols)
{
	json_t *symbol;
	size_t i;

	type->symbol = xcalloc(json_array_size(symbols),
	    sizeof(*type->symbol));
	json_array_foreach(symbols, i, symbol)
		type->symbol[type->symbols++] =
		    xstrdup(json_string_value(symbol));
}

static void
copy_node(struct schema_tree *tree, const struct schema_node *node)
{
	struct tree_type *type = &tree->type[node->number];
	struct tree_child *child;

	type->type = node->type;
	type->logical = node->logical;
	type->size = node->size;
	if (node->type == SCHEMA_ENUM)
		copy_symbols(type, node->symbols);
	if (node->children == 0)
		return;
	type->child = xcalloc(node->children, sizeof(*type->child));
	for (; type->children < node->children; type->children++) {
		child = &type->child[type->children];
		child->type = &tree->type[
		    node->child[type->children].node->number];
		if (node->child[type->children].name == NULL)
			continue;
		child->name = xstrdup(node->child[type->children].name);
		child->name_size = strlen(child->name);
	}
}

struct schema_tree *
schema_tree_new(const char *text, size_t size)
{
	struct schema_result result = {0};
	struct schema_context c = { .result = &result };
	struct schema_tree *tree = NULL;
	struct schema_node *top, *node;

	top = schema_parse(&c, text, size);
	if (top != NULL && schema_check(&c, top)) {
		tree = xcalloc(1, sizeof(*tree));
		number_nodes(&c, tree);
		for (node = c.first; node != NULL; node = node->next)
			copy_node(tree, node);
	}
	schema_context_free(&c);
	schema_result_free(&result);
	return tree;
}

void
schema_tree_free(struct schema_tree *tree)
{
	struct tree_type *type;

	if (tree == NULL)
		return;
	for (type = tree->type; type < tree->type + tree->types; type++) {
		for (size_t i = 0; i < type->children; i++)
			free(type->child[i].name);
		for (size_t i = 0; i < type->symbols; i++)
			free(type->symbol[i]);
		free(type->child);
		free(type->symbol);
	}
	free(tree->type);
	free(tree);
}
