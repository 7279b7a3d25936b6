/* SPDX-License-Identifier: ISC */
/*
 * The sockets that the supervisor opens for its children.  All are
 * non-blocking and close-on-exec.
 *
 * Errors: -1 with errno, and *what names the step ("bind", "join the
 * group"...), for a message of the form "cannot WHAT: reason".
 */
#ifndef MCRELAY_SOCKETS_H
#define MCRELAY_SOCKETS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "supervisor/conf/conf.h"

/* Of what sends: a burst of a whole batch of full messages fits.  Bytes. */
#define SOCKETS_SEND_BUFFER	(4 * 1024 * 1024)

/* An input socket with all its options but the buffer's size, not bound. */
int	sockets_input(const struct listen_config *listen, const char **what)
	    ATTR_NONNULL;
/* Binds it, to its interface, too, and joins its group, if it has one.  What
 * has been done of that before is not done again. */
int	sockets_bind(int fd, const struct listen_config *listen,
	    const char **what) ATTR_NONNULL;
/* Joins the group on the interface; 0: on the one that routing names. */
int	sockets_join(int fd, const struct listen_config *listen, int index)
	    ATTR_NONNULL;
/* Leaves it, also where there is no such interface any more. */
void	sockets_leave(int fd, const struct listen_config *listen, int index)
	    ATTR_NONNULL;
/* Gives it the configured receive buffer; returns the bytes that the kernel
 * granted. */
uint64_t	sockets_receive_buffer(int fd, uint64_t wanted);
/* Lets receive calls poll the interface; what the kernel does not grant is
 * left out. */
void	sockets_busy_poll(int fd, uint64_t ns);
/* Gives an input those options that may change while it is open.  0, or -1
 * with errno. */
int	sockets_adapt(int fd, const struct listen_config *listen) ATTR_NONNULL;
/*
 * Lets another socket bind to the same unicast address while both have this
 * set: one of ours, for the moment of a reload, or, as `listen.share' is
 * configured, anybody's.  Leaves group sockets, and -1, alone.
 */
void	sockets_share(int fd, bool on);

/* An input on the loopback interface and the one socket that can send to it,
 * `*feed': each bound to a port that was free, and connected to the other. */
int	sockets_pair(const struct listen_config *listen, int *input, int *feed,
	    const char **what) ATTR_NONNULL;
bool	sockets_are_pair(int input, int feed);

/* Whether an input socket made for `a' serves for `b' as well, but for the
 * size of its buffer and, unless others share its port, who may send. */
bool	sockets_same_input(const struct listen_config *a,
	    const struct listen_config *b) ATTR_NONNULL;

/* Whether `fd' is a UDP socket that is bound to the address of `listen',
 * where port 0 is any. */
bool	sockets_bound_to(int fd, const struct listen_config *listen)
	    ATTR_NONNULL;

/* Whether both are bound to one group and port: then both get each datagram. */
bool	sockets_same_group(int a, int b);
/* Throws away what waits in the socket and was received by the kernel at
 * CLOCK_REALTIME `until_ns' or before; returns how many datagrams. */
uint64_t	sockets_discard(int fd, uint64_t until_ns);
/* Throws away all that waits in a socket that is about to be closed: nothing
 * comes in any more.  Spoils sockets_drops(). */
uint64_t	sockets_close_door(int fd);

/* A connected socket to a relay's or stream's destination. */
int	sockets_output(const struct destination_conf *to, const char **what)
	    ATTR_NONNULL;

/* Datagrams that the kernel has dropped at this socket, modulo 2^32. */
uint32_t	sockets_drops(int fd);

#endif /* MCRELAY_SOCKETS_H */
