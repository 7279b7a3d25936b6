/* SPDX-License-Identifier: ISC */
/*
 * Times as users write them.
 */
#ifndef MCRELAY_WHEN_H
#define MCRELAY_WHEN_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"

/*
 * Reads an ISO 8601 time, in nanoseconds since 1970: extended
 * (2026-11-20T21:30:00.25Z, 2026-11-20 21:30, 2026-11-20) or basic as in the
 * names of archives (20261120T213000.123456Z, 20261120T2130, 20261120T21,
 * 20261120).
 * Without `Z' or an offset such as +01:00 it is UTC, as in those names.  False
 * when the text is no such time, or not one between 1970 and 2261.
 */
bool	when_parse(const char *text, int64_t *ns) ATTR_NONNULL;

#endif /* MCRELAY_WHEN_H */
