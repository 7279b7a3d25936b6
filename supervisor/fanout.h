/* SPDX-License-Identifier: ISC */
/*
 * Ports that several channels have, told apart by who sends.  Supervisor only.
 * Never reads a datagram but to throw it away.
 *
 * Each channel has a socket of its own there, and so a buffer of its own.  All
 * of a port are one SO_REUSEPORT group, for which the kernel runs a program
 * (SO_ATTACH_REUSEPORT_CBPF) that returns, for a source, the place of a socket
 * in the group.  What nobody names goes to the first channel, whose worker
 * refuses and counts it.
 *
 * The kernel counts places, and when a socket leaves the last one takes its
 * place, at once and unasked: that would be another channel's until the next
 * program.  So a socket leaves by itself only as the last; each other one stays
 * as a hole, which takes nothing in, until one comes that no program names yet:
 * when that is the last, and the hole goes, the one fills the other.  All else
 * is done by one program following the other, which is one moment for all
 * channels.
 *
 * A socket bears its place, where the next image of us, or who takes over,
 * finds it: SO_LINGER, which means nothing to UDP.
 *
 * Groups of multicast need none of it: each socket has a copy.
 */
#ifndef MCRELAY_FANOUT_H
#define MCRELAY_FANOUT_H

#include <sys/socket.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "supervisor/parts.h"

struct inheritance;
struct supervisor;

/* A channel, as it is to be from now on. */
struct fanout_user {
	const struct channel_conf	*conf;
	const struct parts		*parts;
};

/* Ports that channels of `conf' are to share; inputs that are there already
 * become the first there. */
void	fanout_expect(const struct supervisor *supervisor,
	    const struct conf *conf) ATTR_NONNULL;
/* Whether this is, or was, such a port. */
bool	fanout_has(const struct sockaddr_storage *address) ATTR_NONNULL;
/* Why the kernel does not share it out by source, an errno; 0: it does, or
 * there is nothing to share out. */
int	fanout_error(const struct sockaddr_storage *address) ATTR_NONNULL;
/* What to do about it, in parentheses and after a blank; or "". */
const char	*fanout_advice(int error);
/* How many inputs each channel has at ports that it shares, for each of which
 * we have a descriptor more; allocated. */
uint64_t	*fanout_count(const struct conf *conf) ATTR_NONNULL;
/* As bind(2), for an input at a unicast address. */
int	fanout_bind(int fd, const struct sockaddr_storage *address)
	    ATTR_NONNULL;
/* The sockets that a predecessor had at such ports, by descriptors of our own;
 * before any is bound. */
void	fanout_inherit(const struct inheritance *inheritance) ATTR_NONNULL;

/* Gives each source to its channel, in one moment. */
void	fanout_route(const struct fanout_user *user, size_t users);
/* The same for the channels that there are, if sockets have come or gone. */
void	fanout_update(const struct supervisor *supervisor) ATTR_NONNULL;

/* The descriptors that the next image of us must have, one by one; -1: there
 * are no more. */
int	fanout_descriptor(size_t number);

#endif /* MCRELAY_FANOUT_H */
