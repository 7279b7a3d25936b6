/* SPDX-License-Identifier: ISC */
/*
 * A schema's Parsing Canonical Form and its CRC-64-AVRO fingerprint, which
 * the headers of the single-object encoding carry.  Supervisor only.  By the
 * sections of these names in the specification of Avro 1.11.
 *
 * Everything that the form leaves out (attributes, white space, short names,
 * escapes) the graph of types has already lost; what is left is its order.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"
#include "schema/schema_priv.h"

/* The fingerprint of nothing, and the polynomial. */
#define CRC_EMPTY	UINT64_C(0xc15d213aa4d7a795)

static void	write_type(FILE *out, struct schema_node *node);

static void
write_fields(FILE *out, const struct schema_node *record)
{
	size_t i;

	for (i = 0; i < record->children; i++) {
		fprintf(out, "%s{\"name\":\"%s\",\"type\":",
		    i > 0 ? "," : "", record->child[i].name);
		write_type(out, record->child[i].node);
		fputc('}', out);
	}
}

static void
write_symbols(FILE *out, const json_t *symbols)
{
	json_t *symbol;
	size_t i;

	json_array_foreach(symbols, i, symbol)
		fprintf(out, "%s\"%s\"", i > 0 ? "," : "",
		    json_string_value(symbol));
}

/* Defined where it stands first; by its name from then on. */
static void
write_named(FILE *out, struct schema_node *node)
{
	if (node->written) {
		fprintf(out, "\"%s\"", node->name);
		return;
	}
	node->written = true;
	fprintf(out, "{\"name\":\"%s\",\"type\":\"%s\",", node->name,
	    schema_type_names[node->type]);
	if (node->type == SCHEMA_FIXED) {
		fprintf(out, "\"size\":%u}", node->size);
		return;
	}
	fputs(node->type == SCHEMA_ENUM ? "\"symbols\":[" : "\"fields\":[",
	    out);
	if (node->type == SCHEMA_ENUM)
		write_symbols(out, node->symbols);
	else
		write_fields(out, node);
	fputs("]}", out);
}

static void
write_union(FILE *out, const struct schema_node *node)
{
	size_t i;

	fputc('[', out);
	for (i = 0; i < node->children; i++) {
		if (i > 0)
			fputc(',', out);
		write_type(out, node->child[i].node);
	}
	fputc(']', out);
}

/* As deep as the text was nested, which schema_parse() has bounded. */
static void
write_type(FILE *out, struct schema_node *node)
{
	if (node->type < SCHEMA_PRIMITIVES)
		fprintf(out, "\"%s\"", schema_type_names[node->type]);
	else if (node->name != NULL)
		write_named(out, node);
	else if (node->type == SCHEMA_UNION)
		write_union(out, node);
	else {
		fprintf(out, "{\"type\":\"%s\",\"%s\":",
		    schema_type_names[node->type],
		    node->type == SCHEMA_ARRAY ? "items" : "values");
		write_type(out, node->child[0].node);
		fputc('}', out);
	}
}

char *
schema_canonical(struct schema_node *top)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		fatal("out of memory");
	write_type(out, top);
	if (fclose(out) != 0)
		fatal("out of memory");
	return text;
}

uint64_t
schema_fingerprint(const char *canonical)
{
	uint64_t crc = CRC_EMPTY;
	unsigned bit;

	for (; *canonical != '\0'; canonical++) {
		crc ^= (uint8_t)*canonical;
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (CRC_EMPTY & -(crc & 1));
	}
	return crc;
}
