/* SPDX-License-Identifier: ISC */
/*
 * What can go wrong on this host.  mcrelayctl only.
 */
#ifndef MCRELAY_CTL_DOCTOR_H
#define MCRELAY_CTL_DOCTOR_H

#include <jansson.h>
#include <stdbool.h>

#include "common/compiler.h"

/* Executes mcrelayd's doctor with what the daemon has said; returns, with the
 * exit status, only when it cannot. */
int	doctor_call(const json_t *answer, bool json, bool disk) ATTR_NONNULL;

#endif /* MCRELAY_CTL_DOCTOR_H */
