/* SPDX-License-Identifier: ISC */
/*
 * What drivers say of interfaces.  Supervisor, doctor.
 */
#ifndef MCRELAY_ETHTOOL_H
#define MCRELAY_ETHTOOL_H

#include "common/compiler.h"

/* A command of <linux/ethtool.h>, which becomes its answer.  -1 with errno:
 * the driver does not know it, or the interface is not there. */
int	ethtool_ask(const char *interface, void *command) ATTR_NONNULL;

#endif /* MCRELAY_ETHTOOL_H */
