/* SPDX-License-Identifier: ISC */
/*
 * The files of the live page.  mcrelay-web only.
 *
 * All of one directory are read, once, before there is a sandbox: no part of a
 * URL is ever one of a path.
 */
#ifndef MCRELAY_WEB_PAGES_H
#define MCRELAY_WEB_PAGES_H

#include <microhttpd.h>
#include <stdbool.h>

#include "common/compiler.h"

/* Of MCRELAY_WEBDIR in the environment, or where they were installed. */
void	pages_load(void);
void	pages_free(void);
/* Whether there is such a page; then its response, which stays ours, and its
 * status. */
bool	pages_find(struct MHD_Connection *connection, const char *url,
	    bool gzip, struct MHD_Response **response, unsigned *code)
	    ATTR_NONNULL;

/* What all responses say, so that a browser does with them what is meant. */
void	pages_protect(struct MHD_Response *response) ATTR_NONNULL;

#endif /* MCRELAY_WEB_PAGES_H */
