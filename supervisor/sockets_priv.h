/* SPDX-License-Identifier: ISC */
/*
 * What the files of the sockets share.  For nobody else.
 */
#ifndef MCRELAY_SOCKETS_PRIV_H
#define MCRELAY_SOCKETS_PRIV_H

#include <sys/socket.h>
#include <stdbool.h>

#include "common/compiler.h"
#include "supervisor/conf/conf.h"

static inline const struct sockaddr *
sockets_generic(const struct sockaddr_storage *address)
{
	return (const void *)address;
}

/* The address, with the interface where a link-local one needs it. */
struct sockaddr_storage	sockets_scoped(const struct sockaddr_storage *address,
	    int index) ATTR_NONNULL;
/* Sets an option that is an int. */
int	sockets_set_int(int fd, int level, int option, int value);
/* Closes it and returns -1, with errno as it was. */
int	sockets_fail(int fd);
/* The interface's index; 0 for "", -1 with errno when there is none. */
int	sockets_interface(const char *name) ATTR_NONNULL;
int	sockets_bind_device(int fd, const char *name) ATTR_NONNULL;
/* The interface that a socket is bound to; 0: none. */
int	sockets_bound_index(int fd);
/* Whether an input is bound to its interface. */
bool	sockets_input_bound(const struct listen_config *listen) ATTR_NONNULL;
/* Sets the options of an output, on this interface, and connects it. */
int	sockets_connect(int fd, const struct destination_conf *to, int index,
	    const char **what) ATTR_NONNULL;

#endif /* MCRELAY_SOCKETS_PRIV_H */
