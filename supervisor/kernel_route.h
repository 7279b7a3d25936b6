/* SPDX-License-Identifier: ISC */
/*
 * What a channel asks of the program in the kernel.  Supervisor only, for
 * kernel_path.c.
 */
#ifndef MCRELAY_KERNEL_ROUTE_H
#define MCRELAY_KERNEL_ROUTE_H

#include "supervisor/kernel_path.h"

/* The entry of one of its inputs, and which of its outputs are in it; false:
 * there is none now. */
bool	kernel_route(const struct channel *channel, size_t input,
	    struct kernel_entry *entry) ATTR_NONNULL;
/* How many inputs it has that are looked at. */
size_t	kernel_route_inputs(const struct channel *channel) ATTR_NONNULL;
/* The number of the interface that the input names; 0: it is not there;
 * UINT32_MAX: the channel has no such input. */
uint32_t	kernel_route_interface(const struct channel *channel,
		    size_t input) ATTR_NONNULL;
/* Whether the sockets that it has tell its worker of marks. */
bool	kernel_route_hears_marks(const struct channel *channel) ATTR_NONNULL;

#endif /* MCRELAY_KERNEL_ROUTE_H */
