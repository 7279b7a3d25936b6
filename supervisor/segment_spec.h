/* SPDX-License-Identifier: ISC */
/*
 * What a channel's segment is made from, and whether one still fits that.
 * Supervisor only.
 */
#ifndef MCRELAY_SEGMENT_SPEC_H
#define MCRELAY_SEGMENT_SPEC_H

#include "common/compiler.h"
#include "common/segment.h"
#include "supervisor/conf/conf.h"

/* Fills all of `spec' but the predecessor; it refers to `channel', which
 * must live until the segment has been made. */
void	segment_spec_fill(struct segment_spec *spec, const struct conf *conf,
	    const struct channel_conf *channel) ATTR_NONNULL;

/* Gives outputs that were there before the slots that they had. */
void	segment_spec_keep_slots(struct segment_spec *spec,
	    const struct segment *before) ATTR_NONNULL;
/* The slot that an output has in a segment; -1: it is not there. */
int	segment_spec_slot(const struct segment *segment,
	    const struct destination_conf *to) ATTR_NONNULL;

/*
 * Whether a worker may go on in `segment' as if it had been made for `spec':
 * all is the same, but for where and how much is logged.
 */
bool	segment_spec_same(const struct segment *segment,
	    const struct segment_spec *spec) ATTR_NONNULL;
/* Whether a worker with descriptors for `spec' can store and send what is
 * left in `segment'. */
bool	segment_spec_drains(const struct segment *segment,
	    const struct segment_spec *spec) ATTR_NONNULL;
/* What a socket of the segment's inputs was made for, as far as
 * sockets_same_input() asks. */
struct listen_config	segment_spec_listen(const struct segment *segment,
			    uint32_t i) ATTR_NONNULL;

#endif /* MCRELAY_SEGMENT_SPEC_H */
