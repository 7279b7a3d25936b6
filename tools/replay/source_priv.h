/* SPDX-License-Identifier: ISC */
/*
 * What the files of source.h share.
 */
#ifndef MCRELAY_REPLAY_SOURCE_PRIV_H
#define MCRELAY_REPLAY_SOURCE_PRIV_H

#include <stdbool.h>

#include "common/compiler.h"
#include "tools/replay/source.h"

/* That ends the channel; a log line. */
void	source_unusable(struct source *source, const char *why) ATTR_NONNULL;
/* The same of one among many, which is only counted. */
void	source_left_out(struct source *source, const char *why) ATTR_NONNULL;

/* Reads the next block of source->reader.  False: there is none any more, or
 * source->failed. */
bool	source_next_block(struct source *source) ATTR_NONNULL;
/* There is no block any more. */
void	source_forget_block(struct source *source) ATTR_NONNULL;
/* The next record of the block, of which source->left are left; false: the
 * file is not what it was. */
bool	source_next_record(struct source *source) ATTR_NONNULL;
/* Then: the same block once more, without what was sent of it.  False: that can
 * be no help. */
bool	source_recover(struct source *source) ATTR_NONNULL;

#endif /* MCRELAY_REPLAY_SOURCE_PRIV_H */
