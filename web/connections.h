/* SPDX-License-Identifier: ISC */
/*
 * Who is connected to mcrelay-web, and for how long.  mcrelay-web only.
 *
 * Everybody may connect who reaches the socket, and do so slowly, or ten
 * thousand times.  So there are never more than CONNECTIONS_MAX, each for
 * CONNECTION_NS in all, whatever it does; the others wait in the kernel, which
 * refuses those for which it has no place.  One address has half of them, but
 * a proxy on this host as many as there are.
 */
#ifndef MCRELAY_WEB_CONNECTIONS_H
#define MCRELAY_WEB_CONNECTIONS_H

#include <sys/queue.h>
#include <sys/socket.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/util.h"
#include "web/config.h"

#define CONNECTIONS_MAX		64U
#define CONNECTIONS_EACH	(CONNECTIONS_MAX / 2)
#define CONNECTION_NS		(10 * NS_PER_S)

struct auth;

/* A connection, however far its request is. */
struct connection {
	LIST_ENTRY(connection)	 link;
	int			 fd;
	uint8_t			 client[CONFIG_ADDRESS_SIZE];
	bool			 asked;		/* its headers are complete */
	uint64_t		 deadline_ns;	/* 0: it was ended */
	struct auth		*auth;		/* NULL: it does not wait */
};

/* Whether there is a place for another one from there. */
bool	connections_allow(const struct sockaddr *sa) ATTR_NONNULL;
struct connection	*connection_new(int fd, const struct sockaddr *sa)
			    ATTR_NONNULL;
/* It is closed; NULL is allowed. */
void	connection_free(struct connection *connection);
bool	connections_none(void);
/* Whether anybody has still to say what is asked for, or who asks. */
bool	connections_expected(void);
/* Hangs up on those who have had their time, or left. */
void	connections_end_overdue(uint64_t now_ns);

#endif /* MCRELAY_WEB_CONNECTIONS_H */
