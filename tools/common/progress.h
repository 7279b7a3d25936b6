/* SPDX-License-Identifier: ISC */
/*
 * A progress bar on the standard error output, when that is a terminal.
 * Tools.  One at a time, one thread.
 */
#ifndef MCRELAY_TOOLS_PROGRESS_H
#define MCRELAY_TOOLS_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"

struct progress {
	bool		 terminal;
	bool		 drawn;
	uint64_t	 total;		/* bytes */
	uint64_t	 start_ns;	/* CLOCK_MONOTONIC */
	uint64_t	 next_ns;	/* when to draw again */
};

/* What is to be done is so many bytes as these files have. */
void	progress_begin(struct progress *progress, char *const *file,
	    size_t files) __attribute__((__nonnull__(1)));
/* And of so many as this one has. */
void	progress_expect(struct progress *progress, const char *file)
	    ATTR_NONNULL;
/* `label' says what is being done; cheap when it is not yet time to draw. */
void	progress_show(struct progress *progress, uint64_t done,
	    const char *label) ATTR_NONNULL;
/* Takes the bar away: before other output, and at the end. */
void	progress_clear(struct progress *progress) ATTR_NONNULL;

#endif /* MCRELAY_TOOLS_PROGRESS_H */
