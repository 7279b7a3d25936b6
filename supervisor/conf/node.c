/* SPDX-License-Identifier: ISC */
/*
 * YAML into a tree of nodes with their places, by libyaml's event interface.
 * Supervisor only.  Must not take long or much memory for any input: it runs
 * in the process that looks after all channels.
 */
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "common/util.h"
#include "supervisor/conf/node.h"
#include "supervisor/conf/text.h"

struct builder {
	yaml_parser_t		 parser;
	struct problem_list	*problems;
	unsigned		 nodes;
};

const char *
node_kind_name(const struct node *node)
{
	static const char *const names[] = {
		[NODE_SCALAR] = "a value",
		[NODE_LIST] = "a list",
		[NODE_MAPPING] = "a mapping",
		[NODE_BAD] = "nothing",
	};

	return names[node->kind];
}

const struct node *
node_child(const struct node *mapping, const char *key)
{
	const struct node *child;

	for (child = mapping->first; child != NULL; child = child->next)
		if (child->key != NULL && strcmp(child->key, key) == 0)
			return child;
	return NULL;
}

void
node_free(struct node *node)
{
	struct node *child, *next;

	if (node == NULL)
		return;
	/* At most NODE_DEPTH_MAX deep. */
	for (child = node->first; child != NULL; child = next) {
		next = child->next;
		node_free(child);
	}
	free(node->text);
	free(node->key);
	free(node);
}

static struct place
place_of(const yaml_mark_t *mark)
{
	return (struct place){ .line = (unsigned)mark->line + 1,
	    .column = (unsigned)mark->column + 1 };
}

static void
report_syntax(struct builder *b)
{
	const yaml_parser_t *p = &b->parser;
	const char *what = p->problem != NULL ? p->problem : "not YAML";
	const char *hint = "";

	if (strcmp(what, "found character that cannot start any token") == 0)
		hint = " (a tab? indent with spaces)";
	if (p->context != NULL && p->context_mark.line != p->problem_mark.line)
		problem_error(b->problems, place_of(&p->problem_mark),
		    "%s%s, %s that begins on line %zu", what, hint,
		    p->context, p->context_mark.line + 1);
	else
		problem_error(b->problems, place_of(&p->problem_mark),
		    "%s%s", what, hint);
}

static bool
next_event(struct builder *b, yaml_event_t *event)
{
	if (yaml_parser_parse(&b->parser, event))
		return true;
	report_syntax(b);
	return false;
}

static struct node *
new_node(struct builder *b, const yaml_event_t *event, enum node_kind kind)
{
	struct node *node;

	if (problem_enough(b->problems))
		return NULL;
	if (++b->nodes > NODE_COUNT_MAX) {
		problem_error(b->problems, place_of(&event->start_mark),
		    "more than %u values in one file", NODE_COUNT_MAX);
		return NULL;
	}
	node = xcalloc(1, sizeof(*node));
	node->kind = kind;
	node->place = place_of(&event->start_mark);
	return node;
}

/* Reports and marks a node that uses what is not taken here. */
static void
refuse(struct builder *b, struct node *node, const char *what)
{
	problem_error(b->problems, node->place, "%s", what);
	node->kind = NODE_BAD;
}

static void
check_anchor_and_tag(struct builder *b, struct node *node,
    const yaml_char_t *anchor, const yaml_char_t *tag)
{
	if (anchor != NULL)
		refuse(b, node, "anchors (`&name') are not supported");
	if (tag != NULL)
		refuse(b, node, "tags (`!name') are not supported");
}

static struct node *
build_scalar(struct builder *b, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	size_t length = event->data.scalar.length, i;
	struct node *node;

	if ((node = new_node(b, event, NODE_SCALAR)) == NULL)
		return NULL;
	check_anchor_and_tag(b, node, event->data.scalar.anchor,
	    event->data.scalar.tag);
	if (length > NODE_TEXT_MAX) {
		problem_error(b->problems, node->place,
		    "a value of more than %u bytes", NODE_TEXT_MAX);
		node->kind = NODE_BAD;
		length = 0;
	}
	for (i = 0; i < length; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			break;
	if (i < length) {
		refuse(b, node, "a control character or line break in a value");
		length = 0;
	}
	node->text = xmalloc(length + 1);
	memcpy(node->text, text, length);
	node->text[length] = '\0';
	return node;
}

static struct node	*build(struct builder *, const yaml_event_t *,
			    unsigned);

/* The next node of the collection, or NULL: `end' tells why. */
static struct node *
build_next(struct builder *b, yaml_event_type_t end_type, unsigned depth,
    bool *end)
{
	struct node *node = NULL;
	yaml_event_t event;

	*end = false;
	if (!next_event(b, &event))
		return NULL;
	if (event.type == end_type)
		*end = true;
	else
		node = build(b, &event, depth);
	yaml_event_delete(&event);
	return node;
}

static void
append_child(struct node *parent, struct node *child)
{
	if (parent->last == NULL)
		parent->first = child;
	else
		parent->last->next = child;
	parent->last = child;
	parent->children++;
}

static bool
build_list(struct builder *b, struct node *list, unsigned depth)
{
	struct node *item;
	bool end;

	while ((item = build_next(b, YAML_SEQUENCE_END_EVENT, depth, &end)) !=
	    NULL)
		append_child(list, item);
	return end;
}

/* Gives `value' its key; false when the parse has to end. */
static bool
take_pair(struct builder *b, struct node *mapping, struct node *key,
    struct node *value)
{
	const struct node *twin;

	value->key_place = key->place;
	if (key->kind != NODE_SCALAR) {
		if (key->kind != NODE_BAD)
			problem_error(b->problems, key->place,
			    "a key must be a word, not %s",
			    node_kind_name(key));
		append_child(mapping, value);
		return true;
	}
	if ((twin = node_child(mapping, key->text)) != NULL)
		problem_error(b->problems, key->place,
		    "`%s' is given twice, first on line %u", key->text,
		    twin->key_place.line);
	value->key = key->text;
	key->text = NULL;
	append_child(mapping, value);
	if (mapping->children <= NODE_KEYS_MAX)
		return true;
	problem_error(b->problems, key->place,
	    "more than %u keys in one mapping", NODE_KEYS_MAX);
	return false;
}

static bool
build_mapping(struct builder *b, struct node *mapping, unsigned depth)
{
	struct node *key, *value;
	bool end, more = true;

	while (more && (key = build_next(b, YAML_MAPPING_END_EVENT, depth,
	    &end)) != NULL) {
		value = build_next(b, YAML_NO_EVENT, depth, &more);
		more = value != NULL && take_pair(b, mapping, key, value);
		node_free(key);
	}
	return more && end;
}

static struct node *
build_collection(struct builder *b, const yaml_event_t *event, unsigned depth)
{
	bool list = event->type == YAML_SEQUENCE_START_EVENT, whole;
	struct node *node;

	node = new_node(b, event, list ? NODE_LIST : NODE_MAPPING);
	if (node == NULL)
		return NULL;
	if (depth >= NODE_DEPTH_MAX) {
		problem_error(b->problems, node->place,
		    "nested more than %u levels deep", NODE_DEPTH_MAX);
		node_free(node);
		return NULL;
	}
	if (list) {
		check_anchor_and_tag(b, node,
		    event->data.sequence_start.anchor,
		    event->data.sequence_start.tag);
		whole = build_list(b, node, depth + 1);
	} else {
		check_anchor_and_tag(b, node,
		    event->data.mapping_start.anchor,
		    event->data.mapping_start.tag);
		whole = build_mapping(b, node, depth + 1);
	}
	if (!whole) {
		node_free(node);
		return NULL;
	}
	return node;
}

/* The tree that begins with this event; NULL when the parse has to end. */
static struct node *
build(struct builder *b, const yaml_event_t *event, unsigned depth)
{
	struct node *node;

	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return build_scalar(b, event);
	case YAML_ALIAS_EVENT:
		if ((node = new_node(b, event, NODE_BAD)) != NULL)
			refuse(b, node, "aliases (`*name') are not supported");
		return node;
	default:
		return build_collection(b, event, depth);
	}
}

/* The one document: its root is `depth' 0. */
static struct node *
build_document(struct builder *b)
{
	struct node *root = NULL;
	yaml_event_t event;
	bool end = false;

	while (!end && next_event(b, &event)) {
		switch (event.type) {
		case YAML_STREAM_START_EVENT:
		case YAML_DOCUMENT_END_EVENT:
			break;
		case YAML_DOCUMENT_START_EVENT:
			if (root == NULL)
				break;
			problem_error(b->problems, place_of(&event.start_mark),
			    "more than one document in the file");
			end = true;
			break;
		case YAML_STREAM_END_EVENT:
			end = true;
			break;
		default:
			end = (root = build(b, &event, 0)) == NULL;
			break;
		}
		yaml_event_delete(&event);
	}
	if (!end) {
		node_free(root);
		return NULL;
	}
	return root;
}

static struct node *
build_tree(const char *text, size_t size, struct problem_list *problems)
{
	struct builder b = { .problems = problems };
	struct node *root;

	if (!yaml_parser_initialize(&b.parser))
		fatalx("out of memory");
	yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&b.parser,
	    (const unsigned char *)text, size);
	root = build_document(&b);
	yaml_parser_delete(&b.parser);
	return root;
}

struct node *
node_load(const char *file, struct problem_list *problems)
{
	struct node *root = NULL;
	struct place place = { 0, 0 };
	const char *fault;
	char *text, why[TEXT_WHY_SIZE];
	size_t size;

	text = text_read(file, NODE_FILE_MAX, &size, why);
	if (text == NULL) {
		problem_error(problems, place, "%s", why);
		return NULL;
	}
	fault = text_check(text, size, &place);
	if (fault != NULL)
		problem_error(problems, place, "%s", fault);
	else
		root = build_tree(text, size, problems);
	free(text);
	if (root == NULL && problems->errors == 0)
		problem_error(problems, (struct place){ 1, 1 },
		    "there is nothing in this file");
	return root;
}
