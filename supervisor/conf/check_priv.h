/* SPDX-License-Identifier: ISC */
/*
 * What check.c and check_inputs.c share.  Supervisor only, for these two.
 */
#ifndef MCRELAY_CONF_CHECK_PRIV_H
#define MCRELAY_CONF_CHECK_PRIV_H

#include <ifaddrs.h>

#include "common/util.h"
#include "supervisor/conf/address.h"
#include "supervisor/conf/conf_priv.h"

/* One input of a channel. */
struct check_input {
	const struct channel_conf	*channel;
	const struct listen_config	*listen;	/* its */
	size_t				 number;	/* there */
};

struct check {
	const struct conf		*conf;
	const struct channel_places	*places;
	struct problem_list		*problems;
	struct check_input			*input;	/* sorted by address */
	size_t				 inputs;
	struct ifaddrs			*local;
};

/* An address that was there and right, with its port. */
static inline bool
check_usable(const struct sockaddr_storage *address)
{
	return address->ss_family != AF_UNSPEC && address_port(address) != 0;
}

static inline const char *
check_text(const struct sockaddr_storage *address,
    char text[static ADDRESS_TEXT_SIZE])
{
	(void)format_address((const struct sockaddr *)address, text);
	return text;
}

static inline const struct channel_places *
check_places(const struct check *check, const struct channel_conf *channel)
{
	return &check->places[channel - check->conf->channel];
}

/* Fills check->input. */
void	check_sort_inputs(struct check *check) ATTR_NONNULL;
/* An input of exactly this address and port, or NULL. */
const struct check_input	*check_find_input(const struct check *check,
				    const struct sockaddr_storage *address)
				    ATTR_NONNULL;
/* One that listens on this port on all addresses of this family, or NULL. */
const struct check_input	*check_find_wildcard(const struct check *check,
				    const struct sockaddr_storage *address)
				    ATTR_NONNULL;
/* Those that the kernel would not keep apart. */
void	check_inputs(const struct check *check) ATTR_NONNULL;
/* What the kernel does not grant. */
void	check_receive_buffers(const struct check *check) ATTR_NONNULL;

/* Whether another channel has an input of this address and port. */
bool	check_is_shared(const struct check *check,
	    const struct channel_conf *channel,
	    const struct listen_config *listen) ATTR_NONNULL;
/* Inputs by AF_XDP: what cannot be (check_xdp.c). */
void	check_xdp(const struct check *check,
	    const struct channel_conf *channel) ATTR_NONNULL;
/* Outputs by the kernel: what its program cannot do (check_kernel.c). */
void	check_kernel(const struct check *check,
	    const struct channel_conf *channel) ATTR_NONNULL;

#endif /* MCRELAY_CONF_CHECK_PRIV_H */
