/* SPDX-License-Identifier: ISC */
/*
 * The library snappy, loaded when it is first asked for.  It is C++, whose
 * runtime takes longer to link than all that a worker needs besides, and
 * dirties more memory; and there may be a thousand workers without a use for
 * it.
 */
#ifndef MCRELAY_SNAPPY_H
#define MCRELAY_SNAPPY_H

#include <snappy-c.h>

struct snappy {
	__typeof__(snappy_compress)			*compress;
	__typeof__(snappy_max_compressed_length)	*bound;
	__typeof__(snappy_uncompress)			*uncompress;
	__typeof__(snappy_uncompressed_length)		*length;
};

/* NULL: it is not installed.  To be called first before there are threads. */
const struct snappy	*snappy_load(void);

#endif /* MCRELAY_SNAPPY_H */
