/* SPDX-License-Identifier: ISC */
/*
 * Several schema texts as one.  Supervisor.
 */
#ifndef MCRELAY_SCHEMA_COMBINE_H
#define MCRELAY_SCHEMA_COMBINE_H

#include <stddef.h>

#include "common/compiler.h"

struct schema_part {
	const char	*name;		/* for messages */
	const char	*text;
	size_t		 size;
};

/*
 * The last of the texts, with what it uses of the others in it.  Each of these
 * defines one type or more (a union of them), and may use names of any other.
 * malloc'ed; NULL: *error, malloc'ed, says why not.  At least one part.
 */
char	*schema_combine(const struct schema_part *part, size_t parts,
	    char **error) ATTR_NONNULL;

#endif /* MCRELAY_SCHEMA_COMBINE_H */
