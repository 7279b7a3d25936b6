/* SPDX-License-Identifier: ISC */
/*
 * One line and an exit status for a monitor.  mcrelayctl only.
 */
#ifndef MCRELAY_CTL_CHECK_H
#define MCRELAY_CTL_CHECK_H

#include <jansson.h>
#include <stdbool.h>

#include "common/compiler.h"

/* As monitoring plugins have it. */
enum check_result {
	CHECK_OK,
	CHECK_WARNING,
	CHECK_CRITICAL,
	CHECK_UNKNOWN,
};

/* Prints the line for the status of all channels, or of one; returns the exit
 * status. */
enum check_result	check_status(const json_t *status) ATTR_NONNULL;
/* Prints the line for what there is no status of, and ends.  `down': mcrelayd
 * does not serve. */
_Noreturn void	check_failed(bool down, const char *text) ATTR_NONNULL;
/* Prints the line for an answer that is a refusal. */
enum check_result	check_refused(const json_t *answer) ATTR_NONNULL;

#endif /* MCRELAY_CTL_CHECK_H */
