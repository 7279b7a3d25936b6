/* SPDX-License-Identifier: ISC */
/*
 * What a schema says of its fields to people.  mcrelay-web only.
 */
#ifndef MCRELAY_WEB_DOCS_H
#define MCRELAY_WEB_DOCS_H

#include <jansson.h>

#include "common/compiler.h"

/* A schema that has been found good. */
struct docs {
	json_t	*top;
	json_t	*types;		/* those that have names, by these */
};

void	docs_open(struct docs *docs, const char *schema) ATTR_NONNULL;
void	docs_close(struct docs *docs) ATTR_NONNULL;
/* The definition of the field at this path ("pos.x"; "": the datum itself), or
 * NULL; it stays the schema's. */
const json_t	*docs_field(const struct docs *docs, const char *path)
		    ATTR_NONNULL;

#endif /* MCRELAY_WEB_DOCS_H */
