/* SPDX-License-Identifier: ISC */
/*
 * The bench's sources: datagrams of constant content at a rate, cheaper than
 * those of mcrelay-gen, so that it is the relay that is measured.
 */
#ifndef MCRELAY_BENCH_SOURCE_H
#define MCRELAY_BENCH_SOURCE_H

#include <netinet/in.h>
#include <stdint.h>

#include "common/compiler.h"

struct source_spec {
	struct sockaddr_in	destination;
	uint32_t		size;		/* bytes of a datagram */
	uint64_t		rate;		/* a second; 0: all it can */
	uint64_t		duration_ns;
	unsigned		ports;		/* many: so many */
	const char		*out, *in;	/* nic: the veth pair */
};

/*
 * Each sends rate * duration datagrams, or what it can in that time, and
 * returns how many it has sent.
 */
uint64_t	plain_send(const struct source_spec *spec) ATTR_NONNULL;
uint64_t	many_send(const struct source_spec *spec) ATTR_NONNULL;
uint64_t	coalesced_send(const struct source_spec *spec) ATTR_NONNULL;
/* As a network card delivers them: see nic.c. */
uint64_t	nic_send(const struct source_spec *spec) ATTR_NONNULL;

/* How many datagrams a source may send in all. */
static inline uint64_t
source_limit(const struct source_spec *spec)
{
	return spec->rate == 0 ? UINT64_MAX :
	    (uint64_t)((double)spec->rate * (double)spec->duration_ns / 1e9);
}

#endif /* MCRELAY_BENCH_SOURCE_H */
