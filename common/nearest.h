/* SPDX-License-Identifier: ISC */
/*
 * What a mistyped word was to be.  Every process that reads what people write.
 */
#ifndef MCRELAY_NEAREST_H
#define MCRELAY_NEAREST_H

#include <stddef.h>

#include "common/compiler.h"

/* Of the words that were tried, the one that was perhaps meant by `text'. */
struct nearest {
	const char	*text;		/* NULL: nothing is near to it */
	const char	*word;		/* NULL: none yet */
	unsigned	 far;
};

void	nearest_begin(struct nearest *nearest, const char *text);
void	nearest_try(struct nearest *nearest, const char *word) ATTR_NONNULL;

#define NEAREST_HINT_SIZE	64

/* ": did you mean `WORD'?", or "". */
const char *nearest_hint(const struct nearest *nearest,
	    char hint[static NEAREST_HINT_SIZE]);

/* The same at once, of an array. */
const char *nearest_hint_of(const char *text, const char *const *words,
	    size_t count, char hint[static NEAREST_HINT_SIZE]);

#endif /* MCRELAY_NEAREST_H */
