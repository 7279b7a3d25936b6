/* SPDX-License-Identifier: ISC */
/*
 * Which records were asked for.  Tools.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "common/when.h"
#include "tools/common/span.h"

#define SEQUENCE	"seq:"

static bool
parse_sequence(const char *text, int64_t *sequence)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*sequence = strtoll(text, &end, 10);
	return *end == '\0' && errno == 0;
}

bool
span_option(struct span *span, char error[static OPTIONS_ERROR_SIZE],
    int option, const char *text)
{
	const bool start = option == 's';

	if (strncmp(text, SEQUENCE, strlen(SEQUENCE)) == 0)
		return parse_sequence(text + strlen(SEQUENCE), start ?
		    &span->start_sequence : &span->end_sequence) ||
		    options_fail(error, "-%c %s: not a sequence such as "
		    SEQUENCE "1000", option, text);
	return when_parse(text, start ? &span->start_ns : &span->end_ns) ||
	    options_fail(error, "-%c %s: not a time such as "
	    "2026-11-20T21:30:00Z or 20261120T213000.123456Z, and not a "
	    "sequence such as " SEQUENCE "1000", option, text);
}

bool
span_check(const struct span *span, char error[static OPTIONS_ERROR_SIZE])
{
	return (span->start_ns < span->end_ns &&
	    span->start_sequence < span->end_sequence) ||
	    options_fail(error, "the end is not after the start");
}

static bool
has_times(const struct span *span)
{
	return span->start_ns != INT64_MIN || span->end_ns != INT64_MAX;
}

static bool
has_sequences(const struct span *span)
{
	return span->start_sequence != INT64_MIN ||
	    span->end_sequence != INT64_MAX;
}

bool
span_is_all(const struct span *span)
{
	return !has_times(span) && !has_sequences(span);
}

const char *
span_refuses(const struct span *span, const struct records *records)
{
	if (!records->datagrams && records->time_unit_ns == 0 &&
	    has_times(span))
		return "its records have no time for -s and -e";
	if (!records->datagrams && has_sequences(span))
		return "its records have no sequence for -s and -e";
	return NULL;
}

/* Clocks are corrected a little without a word in the catalogue. */
#define MARGIN_NS	((int64_t)(10 * NS_PER_S))

bool
span_leaves_out(const struct span *span, const struct records *records,
    const struct listed *listed)
{
	return records->datagrams &&
	    (listed->last_sequence < span->start_sequence ||
	    (span->start_ns != INT64_MIN && listed->last_ns < INT64_MAX -
	    MARGIN_NS && listed->last_ns + MARGIN_NS < span->start_ns));
}

enum span_place
span_place(const struct span *span, const struct record *record)
{
	/* One without a time is before any. */
	if (record->time_ns < span->start_ns)
		return SPAN_BEFORE;
	if (record->time_ns >= span->end_ns)
		return SPAN_BEHIND;
	/* Only datagrams have one, and what has none is asked for none. */
	if (!has_sequences(span))
		return SPAN_WITHIN;
	if (record->sequence < span->start_sequence)
		return SPAN_BEFORE;
	return record->sequence < span->end_sequence ? SPAN_WITHIN :
	    SPAN_BEHIND;
}
