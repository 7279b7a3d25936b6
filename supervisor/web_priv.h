/* SPDX-License-Identifier: ISC */
/*
 * What the files of mcrelay-web's process share.  Supervisor, for web*.c.
 */
#ifndef MCRELAY_WEB_PROCESS_PRIV_H
#define MCRELAY_WEB_PROCESS_PRIV_H

#include <stdbool.h>

#include "common/compiler.h"

struct supervisor;
struct web;

/* False: to look there may take for ever. */
bool	web_is_near(const char *path) ATTR_NONNULL;
/* Why it is missing; said once, as it is tried again each second. */
void	web_lack(struct web *web, const char *fmt, ...) ATTR_PRINTF(2, 3);
/* Whether there is what it is to be told; tries to read it. */
bool	web_have_files(struct web *web) ATTR_NONNULL;
/* What a reload has read comes into force. */
void	web_take_staged(struct web *web) ATTR_NONNULL;

#endif /* MCRELAY_WEB_PROCESS_PRIV_H */
