/* SPDX-License-Identifier: ISC */
/*
 * Datagrams that the kernel has not handed to anybody, or not all of them.
 * Supervisor only, and the doctor.
 */
#ifndef MCRELAY_UDP_ERRORS_H
#define MCRELAY_UDP_ERRORS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"

/* X(constant, name): counters of the kernel, by the name that it gives them. */
#define UDP_ERROR_TABLE(X)						\
	X(UDP_RCVBUF, RcvbufErrors)					\
	X(UDP_CHECKSUM, InCsumErrors)					\
	X(UDP_NO_PORT, NoPorts)						\
	X(UDP_MEMORY, MemErrors)

enum udp_error {
#define UDP_ERROR_CONSTANT(constant, name)	constant,
	UDP_ERROR_TABLE(UDP_ERROR_CONSTANT)
#undef UDP_ERROR_CONSTANT
	UDP_ERRORS
};

/* Datagrams of IPv4 and IPv6 in our network namespace, whoever they were for,
 * since that began. */
struct udp_errors {
	uint64_t	value[UDP_ERRORS];
	bool		known[UDP_ERRORS];
};

void	udp_errors_read(struct udp_errors *errors) ATTR_NONNULL;
/* The kernel's name for it. */
const char	*udp_errors_name(enum udp_error error);

#endif /* MCRELAY_UDP_ERRORS_H */
