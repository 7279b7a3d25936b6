/* SPDX-License-Identifier: ISC */
/*
 * What a client accepts.  mcrelay-web only.  The text is whatever came in.
 */
#ifndef MCRELAY_WEB_ACCEPT_H
#define MCRELAY_WEB_ACCEPT_H

#include <stdbool.h>

#include "common/compiler.h"

/*
 * How much a header like Accept or Accept-Encoding wants `name', in
 * thousandths: what it says of the name itself, or else of all.  An element
 * that asks for another version than `version' is of something else; NULL:
 * there are none.
 */
unsigned	accept_quality(const char *header, const char *name,
		    const char *version);
/* Whether this Accept, NULL for none, would have OpenMetrics rather than the
 * older format. */
bool	accept_openmetrics(const char *header);
/* Whether this Accept-Encoding, NULL for none, takes gzip. */
bool	accept_gzip(const char *header);

#endif /* MCRELAY_WEB_ACCEPT_H */
