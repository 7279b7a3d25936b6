/* SPDX-License-Identifier: ISC */
/*
 * Which records were asked for, by time and by sequence: -s and -e.  Tools.
 */
#ifndef MCRELAY_TOOLS_SPAN_H
#define MCRELAY_TOOLS_SPAN_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "tools/common/listing.h"
#include "tools/common/options.h"
#include "tools/common/records.h"

struct span {
	int64_t	start_ns;	/* INT64_MIN: the first */
	int64_t	end_ns;		/* the first that is not; INT64_MAX: none */
	int64_t	start_sequence;	/* the same */
	int64_t	end_sequence;
};

#define SPAN_ALL ((struct span){ INT64_MIN, INT64_MAX, INT64_MIN, INT64_MAX })

/* -s or -e with a time, or `seq:' and a number; each may be given for both.
 * False with a message. */
bool	span_option(struct span *span, char error[static OPTIONS_ERROR_SIZE],
	    int option, const char *text) ATTR_NONNULL;
/* Whether anything can be within; false with a message. */
bool	span_check(const struct span *span,
	    char error[static OPTIONS_ERROR_SIZE]) ATTR_NONNULL;
bool	span_is_all(const struct span *span) ATTR_NONNULL;

/* Why such records cannot be told apart by it; NULL: they can. */
const char	*span_refuses(const struct span *span,
		    const struct records *records) ATTR_NONNULL;

/* Whether nothing of a file is asked for, by what the catalogue says of its
 * last datagram: only of datagrams, which alone it counts and times. */
bool		span_leaves_out(const struct span *span,
		    const struct records *records,
		    const struct listed *listed) ATTR_NONNULL;

enum span_place {
	SPAN_BEFORE,		/* not asked for, but later ones may be */
	SPAN_WITHIN,
	SPAN_BEHIND,		/* the end */
};

enum span_place	span_place(const struct span *span,
		    const struct record *record) ATTR_NONNULL;

#endif /* MCRELAY_TOOLS_SPAN_H */
