/* SPDX-License-Identifier: ISC */
/*
 * Collects everything that is wrong, so that all of it can be said at once:
 * on the terminal at start, in the log and to mcrelayctl at a reload.  Uses
 * the configuration's list of problems.  Supervisor only.
 */
#ifndef MCRELAY_REPORT_H
#define MCRELAY_REPORT_H

#include "common/compiler.h"
#include "supervisor/conf/conf.h"

void	report_error(struct conf_problems *problems, const char *fmt, ...)
	    ATTR_PRINTF(2, 3);
void	report_warning(struct conf_problems *problems, const char *fmt, ...)
	    ATTR_PRINTF(2, 3);

/* One log line for each problem, from the `first' on. */
void	report_log(const struct conf_problems *problems, size_t first)
	    ATTR_NONNULL;

#endif /* MCRELAY_REPORT_H */
