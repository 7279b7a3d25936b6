/* SPDX-License-Identifier: ISC */
/*
 * The codecs of Avro container blocks, the writing half, for repaired files.
 * Tools.
 */
#ifndef MCRELAY_TOOLS_COMPRESS_H
#define MCRELAY_TOOLS_COMPRESS_H

#include "tools/common/uncompress.h"

/* Replaces what is in `out' with the compressed data; false when the library
 * fails.  Not for CODEC_UNKNOWN. */
bool	compress_block(enum codec codec, const uint8_t *data, size_t size,
	    struct buffer *out) ATTR_NONNULL;

#endif /* MCRELAY_TOOLS_COMPRESS_H */
