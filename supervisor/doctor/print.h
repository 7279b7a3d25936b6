/* SPDX-License-Identifier: ISC */
/*
 * Prints what the doctor's checks have found.  `findings' has an array for
 * each row of doctor_table.  Both return the exit status: 1 when one of them
 * is a fail.
 */
#ifndef MCRELAY_DOCTOR_PRINT_H
#define MCRELAY_DOCTOR_PRINT_H

#include <jansson.h>

#include "common/compiler.h"

int	print_findings(const json_t *findings) ATTR_NONNULL;
int	print_findings_json(const json_t *findings, const char *file)
	    ATTR_NONNULL;

#endif /* MCRELAY_DOCTOR_PRINT_H */
