/* SPDX-License-Identifier: ISC */
/*
 * How many guesses somebody has left.  mcrelay-web only.
 */
#ifndef MCRELAY_GUESSES_H
#define MCRELAY_GUESSES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "web/keyed.h"

/* At once, and then one each time that so long has passed. */
#define GUESSES_MAX	5
#define GUESSES_S	6

/* Somebody is a keyed hash, so that nobody chooses whose place it takes. */
double	guesses_made(const uint8_t who[static KEYED_SIZE], uint64_t now_ns)
	    ATTR_NONNULL;
/* One more, up to twice as many as there are; `count' -1: it was none. */
void	guesses_count(const uint8_t who[static KEYED_SIZE], uint64_t now_ns,
	    int count) ATTR_NONNULL;
bool	guesses_left(const uint8_t who[static KEYED_SIZE], uint64_t now_ns)
	    ATTR_NONNULL;

#endif /* MCRELAY_GUESSES_H */
