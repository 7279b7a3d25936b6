/* SPDX-License-Identifier: ISC */
/*
 * What status.c, status_inputs.c and status_outputs.c share.  Supervisor only,
 * for these.
 */
#ifndef MCRELAY_STATUS_PRIV_H
#define MCRELAY_STATUS_PRIV_H

#include <net/if.h>

#include "common/growing.h"
#include "common/ledger.h"
#include "supervisor/status.h"

/* A document on its way; what takes a system call is asked for once. */
struct print {
	struct growing	*out;
	uid_t		 self;			/* who we are */
	int		 index;			/* of `interface' */
	char		 interface[IF_NAMESIZE];
};

/* The members "address" and "port". */
void	status_print_end(struct growing *out,
	    const struct sockaddr_storage *address) ATTR_NONNULL;
/* Counters of the struct that the table is of. */
void	status_print_counts(struct growing *out,
	    const struct ledger_entry *entry, const void *counts)
	    ATTR_NONNULL;
/* The first input, as it was before there could be others. */
void	status_print_listen(struct print *print,
	    const struct channel *channel) ATTR_NONNULL;
void	status_print_inputs(struct print *print,
	    const struct channel *channel) ATTR_NONNULL;
void	status_print_outputs(struct growing *out,
	    const struct channel *channel, const struct output_counts *counts)
	    ATTR_NONNULL;

#endif /* MCRELAY_STATUS_PRIV_H */
