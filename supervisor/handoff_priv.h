/* SPDX-License-Identifier: ISC */
/*
 * Descriptors in the handoff.  Only for handoff*.c.
 */
#ifndef MCRELAY_HANDOFF_PRIV_H
#define MCRELAY_HANDOFF_PRIV_H

#include <jansson.h>

#include "supervisor/handoff.h"

/* A descriptor's number, which is to survive; -1 is none. */
json_t	*handoff_put_fd(struct handoff *handoff, int fd);
/* A descriptor: -1 when there is none, or it is not open. */
int	handoff_get_fd(const json_t *object, const char *name);

#endif /* MCRELAY_HANDOFF_PRIV_H */
