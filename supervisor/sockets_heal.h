/* SPDX-License-Identifier: ISC */
/*
 * Sockets that keep up with the network.  The kernel binds a socket to an
 * interface, joins a group and connects by numbers: an interface that is made
 * again, and an address that goes, leave it deaf or dumb for ever.  These
 * functions compare what a socket has with what one opened now would get, and
 * mend the very socket: whoever shares it need not be told, and what waits in
 * it stays.  Supervisor only.
 *
 * While an output is connected anew a send may fail with EDESTADDRREQ: try
 * it again.  Of 1.4 million datagrams that were sent all the while by another
 * process, one in 100 000 reconnections went astray.
 */
#ifndef MCRELAY_SOCKETS_HEAL_H
#define MCRELAY_SOCKETS_HEAL_H

#include <stdbool.h>

#include "common/compiler.h"
#include "supervisor/conf/conf.h"

/* What is known of a socket's hold on an interface. */
struct attachment {
	int	index;		/* of the group's or output's; 0: not known */
	unsigned missing;	/* times in a row that the interface was not
				 * a member of its group */
	int	error;		/* errno that was logged last; 0: all well */
};

/* Whether an input is bound to its interface, and member of its group there;
 * also when none is named. */
bool	sockets_on_interface(int fd, const struct listen_config *listen)
	    ATTR_NONNULL;

enum healed {
	HEALED_FAILED = -1,	/* errno and *what say why; it is as it was */
	HEALED_NOTHING,		/* it was as it should be */
	HEALED_DONE,
};

/* The interface's IFF_UP and so on, asked by way of any socket; 0: gone. */
int	sockets_interface_flags(int fd, int index);

/* An input: bound to its interface, member of its group.  For one without an
 * interface the group is joined where the route leads now. */
enum healed	sockets_heal_input(int fd, const struct listen_config *listen,
		    struct attachment *at, const char **what) ATTR_NONNULL;
/* An output: on its interface, from the address that the kernel would choose
 * now.  One to a group by an interface without any sends from another one's
 * address, which is HEALED_FAILED. */
enum healed	sockets_heal_output(int fd, const struct destination_conf *to,
		    struct attachment *at, const char **what) ATTR_NONNULL;

#endif /* MCRELAY_SOCKETS_HEAL_H */
