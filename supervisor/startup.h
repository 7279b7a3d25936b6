/* SPDX-License-Identifier: ISC */
/*
 * The supervisor's start.  Supervisor only.
 */
#ifndef MCRELAY_STARTUP_H
#define MCRELAY_STARTUP_H

#include "common/compiler.h"
#include "supervisor/conf/conf.h"

struct supervisor;

/* Descriptors and threads for a thousand channels, memory that may be locked,
 * and the priority that children may have. */
void	startup_raise_limits(void);
/* For a check of the file alone: whether root could start with it. */
void	startup_warn_user(const struct conf *conf,
	    struct conf_problems *problems) ATTR_NONNULL;
/* Opens everything that the configuration in force asks for, or takes it
 * over.  -1: what is wrong has been reported. */
int	startup_open(struct supervisor *supervisor,
	    struct conf_problems *problems) ATTR_NONNULL;
/*
 * Whether it could be run with this configuration and with what is
 * inherited; says on standard error what speaks against it.  Returns the exit
 * status.  Takes `conf' over.
 */
int	startup_check_handoff(struct supervisor *supervisor,
	    struct conf *conf) ATTR_NONNULL;

#endif /* MCRELAY_STARTUP_H */
