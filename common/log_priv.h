/* SPDX-License-Identifier: ISC */
/*
 * Log lines on their way to syslog.  For common/log.c only.
 */
#ifndef MCRELAY_LOG_PRIV_H
#define MCRELAY_LOG_PRIV_H

#include <stdbool.h>

#include "common/compiler.h"

/* Before the first line; `tag' stays the caller's, and the process's name. */
void	syslog_open(const char *tag) ATTR_NONNULL;
/* Gives the socket up, and what waits; the next line opens another. */
void	syslog_close(void);
void	syslog_put(int level, const char *line) ATTR_NONNULL;
/* Sends of what waits as much as there is room for; whether that was any. */
bool	syslog_flush(void);
/* Whether anything waits, or was lost and not told of. */
bool	syslog_waits(void);

#endif /* MCRELAY_LOG_PRIV_H */
