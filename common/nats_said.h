/* SPDX-License-Identifier: ISC */
/*
 * What libnats knows of an error beyond a status.  Any process that uses it.
 */
#ifndef MCRELAY_NATS_SAID_H
#define MCRELAY_NATS_SAID_H

#include <nats/nats.h>
#include <string.h>

/* Of this thread's last call that failed, in the server's words where it has
 * said any, and without the place in the library's source.  NULL: nothing.  The
 * text is libnats', until the next error. */
static inline const char *
nats_said(natsStatus *status)
{
	const char *said = nats_GetLastError(status), *text;

	if (said == NULL || *said == '\0')
		return NULL;
	text = *said == '(' ? strstr(said, "): ") : NULL;
	return text != NULL ? text + 3 : said;
}

#endif /* MCRELAY_NATS_SAID_H */
