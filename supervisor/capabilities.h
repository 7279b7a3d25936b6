/* SPDX-License-Identifier: ISC */
/*
 * What the supervisor may that others may not.  Supervisor only.
 *
 * Once everything is open that its start needs, it gives up each capability
 * that its configuration does not ask for, also for whatever it executes (the
 * bounding set): so an image that takes over in an upgrade has no more.  Root
 * it stays, when it was: what it executes has its capabilities by that.  What
 * was given up does not come back before a restart, so a reload or upgrade
 * that would need it is refused.
 */
#ifndef MCRELAY_CAPABILITIES_H
#define MCRELAY_CAPABILITIES_H

#include <linux/capability.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "supervisor/conf/conf.h"

struct supervisor;

/* Whether this process has it (CAP_*) in force. */
bool	capable(unsigned capability);
/* Whether it may start others as somebody else. */
bool	capable_of_users(void);

/* Gives up what supervisor->conf, whose users are known, does not ask for,
 * and notes that in supervisor->given_up. */
void	capabilities_reduce(struct supervisor *supervisor) ATTR_NONNULL;
/* Before `conf', whose users are known, comes into force: reports what it
 * asks for and was given up. */
void	capabilities_check(const struct supervisor *supervisor,
	    const struct conf *conf, struct conf_problems *problems)
	    ATTR_NONNULL;
/* Reports what of `conf' this process cannot do, whoever it is: outputs that
 * keep the sender's address.  `given_up' is struct supervisor's. */
bool	capabilities_suffice(const struct conf *conf, uint64_t given_up,
	    struct conf_problems *problems) ATTR_NONNULL;
/* The names of those that this process has, as an array. */
json_t	*capabilities_json(void);

#endif /* MCRELAY_CAPABILITIES_H */
