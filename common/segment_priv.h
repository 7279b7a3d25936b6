/* SPDX-License-Identifier: ISC */
/*
 * What making and attaching a segment have in common: private to
 * common/segment_create.c and common/segment.c.
 */
#ifndef MCRELAY_SEGMENT_PRIV_H
#define MCRELAY_SEGMENT_PRIV_H

#include <stdint.h>

#include "common/compiler.h"
#include "common/segment.h"

#define PAGE	4096U

/* Where everything lies; a private copy of the header, or the plan of one. */
struct layout {
	uint64_t	size;
	uint64_t	offset[AREAS];
	uint64_t	area_size[AREAS];
	uint32_t	rx_slots;
};

/* What segment_header.layout must be. */
void	segment_layout_sizes(uint32_t sizes[static 6]) ATTR_NONNULL;
/* Of the area of io_uring; 0: there is none. */
uint64_t	segment_uring_size(const struct channel_config *config,
		    uint32_t rx_slots, uint32_t inputs) ATTR_NONNULL;
/* Maps the object once, and its last area once more right behind; NULL with
 * errno. */
uint8_t	*segment_map(int fd, const struct layout *layout, int prot, int flags)
	    ATTR_NONNULL;
/* To the areas behind segment->base. */
void	segment_set_pointers(struct segment *segment,
	    const struct layout *layout) ATTR_NONNULL;

#endif /* MCRELAY_SEGMENT_PRIV_H */
