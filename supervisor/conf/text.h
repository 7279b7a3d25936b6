/* SPDX-License-Identifier: ISC */
/*
 * The bytes of a configuration file before anybody parses them: reading with
 * bounds, and whether they are text.  Supervisor only.
 */
#ifndef MCRELAY_CONF_TEXT_H
#define MCRELAY_CONF_TEXT_H

#include "supervisor/conf/problem.h"

#define TEXT_WHY_SIZE	128

/*
 * Reads a file whole: a regular one of at most `limit' bytes.  Returns its
 * content without byte order mark, with a NUL after it, to be freed, or NULL
 * with a reason.  Never waits for what is not a file.
 */
char		*text_read(const char *file, size_t limit, size_t *size,
		    char why[static TEXT_WHY_SIZE]) ATTR_NONNULL;

/*
 * NULL when this is UTF-8 without control characters, else what is wrong and
 * where.
 */
const char	*text_check(const char *text, size_t size,
		    struct place *place) ATTR_NONNULL;

#endif /* MCRELAY_CONF_TEXT_H */
