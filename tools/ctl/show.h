/* SPDX-License-Identifier: ISC */
/*
 * Answers for people: tables as wide as what is in them.  mcrelayctl only.
 */
#ifndef MCRELAY_CTL_SHOW_H
#define MCRELAY_CTL_SHOW_H

#include <stdio.h>
#include <jansson.h>

#include "common/compiler.h"

/* One line for each channel. */
void	show_status(const json_t *status) ATTR_NONNULL;
/* A schema, as it is. */
void	show_schema(const char *text) ATTR_NONNULL;
/* All counters with their meaning, outputs and streams. */
void	show_ledger(const json_t *status) ATTR_NONNULL;
/* A line for each channel whose counters could not be read just now. */
void	show_old_counters(const json_t *channels, FILE *to);

#endif /* MCRELAY_CTL_SHOW_H */
