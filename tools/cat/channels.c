/* SPDX-License-Identifier: ISC */
/*
 * Where a channel's archive is, as mcrelayd's configuration says.
 * mcrelay-cat.  Only mcrelayd judges a configuration: what is not understood
 * here is not there.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "common/log.h"
#include "common/util.h"
#include "tools/cat/cat.h"
#include "tools/common/regular.h"

static const char *
scalar(const yaml_node_t *node)
{
	return node != NULL && node->type == YAML_SCALAR_NODE ?
	    (const char *)node->data.scalar.value : NULL;
}

/* The value of a key, or NULL. */
static yaml_node_t *
member(yaml_document_t *document, const yaml_node_t *node, const char *key)
{
	const yaml_node_pair_t *pair;
	const char *name;

	if (node == NULL || node->type != YAML_MAPPING_NODE)
		return NULL;
	for (pair = node->data.mapping.pairs.start;
	    pair < node->data.mapping.pairs.top; pair++) {
		name = scalar(yaml_document_get_node(document, pair->key));
		if (name != NULL && strcmp(name, key) == 0)
			return yaml_document_get_node(document, pair->value);
	}
	return NULL;
}

/* A stream's archive is called CHANNEL.STREAM, and lies beside its
 * channel's. */
static yaml_node_t *
find_channel(yaml_document_t *document, const yaml_node_t *root,
    const char *channel)
{
	yaml_node_t *list = member(document, root, "channels"), *node;
	const size_t length = strcspn(channel, ".");
	const yaml_node_item_t *item;
	const char *name;

	if (list == NULL || list->type != YAML_SEQUENCE_NODE)
		return NULL;
	for (item = list->data.sequence.items.start;
	    item < list->data.sequence.items.top; item++) {
		node = yaml_document_get_node(document, *item);
		name = scalar(member(document, node, "name"));
		if (name != NULL && strlen(name) == length &&
		    memcmp(name, channel, length) == 0)
			return node;
	}
	return NULL;
}

/* A channel's own `archive: none' overrides the defaults. */
static const char *
archive_directory(yaml_document_t *document, const yaml_node_t *root,
    const yaml_node_t *channel)
{
	const yaml_node_t *archive = member(document, channel, "archive");
	const char *directory = scalar(member(document, archive,
	    "directory"));

	if (directory != NULL || scalar(archive) != NULL)
		return directory;
	return scalar(member(document, member(document, member(document,
	    root, "defaults"), "archive"), "directory"));
}

static char *
find_directory(yaml_document_t *document, const char *conf,
    const char *channel, char **why)
{
	yaml_node_t *root = yaml_document_get_root_node(document), *node;
	const char *slash = strrchr(conf, '/'), *directory;

	node = find_channel(document, root, channel);
	if (node == NULL) {
		*why = xasprintf("no such file, and no channel in %s", conf);
		return NULL;
	}
	directory = archive_directory(document, root, node);
	if (directory == NULL) {
		*why = xasprintf("this channel of %s has no archive", conf);
		return NULL;
	}
	if (directory[0] == '/' || slash == NULL)
		return xasprintf("%s/%s", directory, channel);
	return xasprintf("%.*s/%s/%s", (int)(slash - conf), conf, directory,
	    channel);
}

char *
channel_directory(const char *conf, const char *channel, char **why)
{
	yaml_document_t document;
	yaml_parser_t parser;
	char *directory = NULL;
	const char *reason;
	FILE *file = regular_fopen(AT_FDCWD, conf, 0, &reason);

	*why = NULL;
	if (file == NULL) {
		*why = xasprintf("no such file, and no channel: %s: %s", conf,
		    reason);
		return NULL;
	}
	if (yaml_parser_initialize(&parser) == 0)
		fatalx("out of memory");
	yaml_parser_set_input_file(&parser, file);
	if (yaml_parser_load(&parser, &document) == 0) {
		*why = xasprintf("no such file, and no channel: %s: line %zu: "
		    "%s", conf, parser.problem_mark.line + 1, parser.problem);
	} else {
		directory = find_directory(&document, conf, channel, why);
		yaml_document_delete(&document);
	}
	yaml_parser_delete(&parser);
	fclose(file);
	return directory;
}
