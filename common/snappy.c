/* SPDX-License-Identifier: ISC */
/*
 * Loads the library snappy.  Whoever has to do with codecs.
 */
#ifdef HAVE_SNAPPY

#include <dlfcn.h>
#include <stddef.h>

#include "common/snappy.h"

/* Of the C interface, the same since there has been one. */
#define LIBRARY		"libsnappy.so.1"

#define FIND(library, function)	\
	((__typeof__(function) *)dlsym(library, #function))

const struct snappy *
snappy_load(void)
{
	static struct snappy snappy;
	static void *library;

	if (library == NULL)
		library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (library == NULL)
		return NULL;
	snappy.compress = FIND(library, snappy_compress);
	snappy.bound = FIND(library, snappy_max_compressed_length);
	snappy.uncompress = FIND(library, snappy_uncompress);
	snappy.length = FIND(library, snappy_uncompressed_length);
	return snappy.compress != NULL && snappy.bound != NULL &&
	    snappy.uncompress != NULL && snappy.length != NULL ? &snappy :
	    NULL;
}

#endif /* HAVE_SNAPPY */
