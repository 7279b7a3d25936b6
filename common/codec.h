/* SPDX-License-Identifier: ISC */
/*
 * The codecs of Avro container files, the compressing half.  Worker; the
 * supervisor asks which of them this build has.
 */
#ifndef MCRELAY_CODEC_H
#define MCRELAY_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/segment.h"

/* As in configurations and in `avro.codec'; NULL ends them. */
extern const char *const codec_words[];
/* The name of one; of any other number, "null". */
const char	*codec_name(enum archive_codec which);
/* NULL when this build has the codec, else the Debian package that building
 * it needs. */
const char	*codec_missing(enum archive_codec which);

struct codec;

/* For a codec that is not missing and not CODEC_NULL.  One thread. */
struct codec	*codec_new(enum archive_codec which) ATTR_MALLOC;
void	codec_free(struct codec *codec);
/* The room that so many bytes may need. */
size_t	codec_bound(const struct codec *codec, size_t size) ATTR_NONNULL;
/* Compresses the data of one block; returns the bytes written.  `room' must
 * be codec_bound() of the size. */
size_t	codec_compress(struct codec *codec, const uint8_t *data, size_t size,
	    uint8_t *out, size_t room) ATTR_NONNULL;

#endif /* MCRELAY_CODEC_H */
