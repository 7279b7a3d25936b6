/* SPDX-License-Identifier: ISC */
/*
 * The state and the counters for Prometheus.  mcrelayctl only.
 */
#ifndef MCRELAY_CTL_METRICS_H
#define MCRELAY_CTL_METRICS_H

#include "common/compiler.h"

/*
 * The command `metrics': argv[0] is its name, options and channels follow.
 * Asks the daemon behind `socket', prints; returns the exit status, or -1 when
 * this is not how it is called.
 */
int	metrics_command(const char *socket, int argc, char **argv)
	    ATTR_NONNULL ATTR_UNUSED_RESULT;

#endif /* MCRELAY_CTL_METRICS_H */
